"""Say what a page must say of the model: what it is, how well it did, what its confidence means, its card."""

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from zoo.reports.tables import decimal, percent, with_interval
from zoo.serving.description import DESCRIPTION

Facts = list[tuple[str, str]]


def model_facts(model: Any) -> tuple[Facts, list[str], list[str]]:
    """Return facts of an export as pairs, sentences on its confidence and warnings, and the lines of its card."""
    folder, about = Path(model.exported.folder), model.description
    when = datetime.fromtimestamp((folder / DESCRIPTION).stat().st_mtime, timezone.utc).date().isoformat()
    facts = [
        ("Model", name_of(folder)),
        ("Network", about["model"]),
        ("Trained on", about["trained_on"]),
        ("Model's date", when),
        ("Predicts", ", ".join(model.outputs)),
        ("Input", f"{about['rate_hz']} Hz, mono"),
        *_figures(about.get("metrics") or {}),
        *([("Its figures", about["metrics_are_of"])] if "metrics_are_of" in about else []),
        ("Paper", about.get("paper") or "–"),
    ]
    return facts, [*_confidence(about), *about.get("warnings", ())], _card(folder)


def name_of(folder: Path) -> str:
    """Return the name of an export: its folder's, not its version's."""
    return folder.resolve().parent.name if folder.name.isdigit() else folder.resolve().name


def _figures(metrics: Mapping[str, Any]) -> Facts:
    if "ua" in metrics:
        return [("UA on test clips", with_interval(metrics["ua"], percent))]
    dimensions: Mapping[str, Any] = metrics.get("dimensions", {})
    return [(f"CCC of {name} on test clips", with_interval(row["ccc"], decimal)) for name, row in dimensions.items()]


def _confidence(about: Mapping[str, Any]) -> list[str]:
    if about["task"] == "continuous":
        return ["Ratings have no confidence: read them with the model's CCC in mind."]
    fit: Mapping[str, Any] | None = about.get("confidence")
    if not fit:
        return [
            "No confidence was fitted for this model, so that no segment is abstained on. Probabilities say which "
            "emotion the model prefers, not how often it is right."
        ]
    threshold = fit.get("threshold")
    below = f" below {percent(threshold)}" if isinstance(threshold, float) else " below its threshold"
    return [
        "Confidence estimates the probability that the emotion is right, for speech like that which it was fitted on. "
        f"Segments{below} are abstained on: their likeliest emotion is shown hatched, and is not to be relied on."
    ]


def _card(folder: Path) -> list[str]:
    places = (folder.parent / "model_card.md", folder / "model_card.md")
    found = next((path for path in places if path.is_file()), None)
    return found.read_text(encoding="utf-8").splitlines() if found else []
