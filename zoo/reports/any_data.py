"""Print the results of a model on any labelled data: first on clips that it was not trained on."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from zoo.reports import classification, continuous
from zoo.utils.text import printable

_TITLES = {
    "not_trained_on": "clips it was not trained on",
    "validation": "VALIDATION CLIPS, by which its epoch was chosen: no test",
    "training": "CLIPS IT WAS TRAINED ON: no test",
}


def title(results: Mapping[str, Any], group: str) -> str:
    """Return the title of the figures of a group of clips."""
    what = _TITLES[group]
    if group == "not_trained_on" and not results["checked_by"]:
        what = "clips, of which it may have been trained on some"
    return f"{results['model']}, trained on {results['trained_on']}, on {results['corpus']}: {what}"


def lines_of(results: Mapping[str, Any]) -> list[str]:
    """Return what is to be said before the figures: how clips are recognised, counts, what is left out."""
    counts = results["clips"]
    lines = [results["said_of_training"]]
    if counts["training"] or counts["validation"]:
        lines.append(
            f"Of {counts['all']} clips it was trained on {counts['training']} and validated on {counts['validation']}: "
            f"they are marked, and reported apart. Not trained on: {counts['not_trained_on']}."
        )
    if results["same_speakers"]:
        lines.append(
            f"{results['same_speakers']} of the clips it was not trained on are of speakers it was trained on."
        )
    if absent := results["labels_without_class"]:
        words = ", ".join(f"{name} {n}" for name, n in absent.items())
        lines.append(
            f"{counts['no_class']} clips have labels that the model has no class for, and are left out: {words}. "
            "--label-map says which class a label is."
        )
    if counts["no_answer"]:
        lines.append(f"{counts['no_answer']} clips are without speech and have no answer; they are left out.")
    if results["bad_clips"]:
        lines.append(f"{len(results['bad_clips'])} clips cannot be used and are left out, listed in metrics.json.")
    return [*lines, *results["notes"]]


def print_results(results: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what is to be said, and the figures of each group that has clips, those not trained on first."""
    console = console or Console()
    for line in lines_of(results):
        console.print(Text(printable(line)), soft_wrap=True)
    if not results["not_trained_on"]:
        console.print(Text("no clip is left that it was not trained on: there are no test figures", style="bold"))
    for group in _TITLES:
        if figures := results[group]:
            shown = classification if "confusion" in figures else continuous
            record = {**figures, "synthetic": results["synthetic"]}
            shown.print_metrics(record, title(results, group), console)
