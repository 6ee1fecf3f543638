"""Open a run or an export and labelled data, score one on the other, and write what comes out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zoo.config.run_config import RunConfig
from zoo.data.corpora import label_maps
from zoo.errors import UserError
from zoo.inference import export_predictor
from zoo.inference.predictor import Predictor
from zoo.models.weights.kinds import is_converted
from zoo.reports import any_data as report
from zoo.reports import classification as classification_report
from zoo.runs import labelled
from zoo.runs.labelled import Part
from zoo.runs.open_run import open_run
from zoo.serving import saved_model
from zoo.studies import any_data, known_clips
from zoo.studies.any_data import UNSEEN, Row
from zoo.studies.known_clips import Known
from zoo.utils.atomic_files import write_csv, write_json
from zoo.utils.progress import Progress


def evaluate_on(
    place: Path, exported: bool, config: RunConfig, fold: str | None = None, runtime: str = "auto"
) -> tuple[dict[str, Any], list[Row]]:
    """Score the run, export or published head in `place` on the labelled data that `config` names.

    Returns the results as metrics.json has them, and the rows of predictions.csv. `fold` is for runs, `runtime` for
    exports. Raises UserError for what cannot be scored.
    """
    parts = labelled.load(config)
    kind, opened = _kind(place, exported)
    predictor, network, known = opened(place, parts, config, fold, runtime)
    path = Path(config.label_map).expanduser() if config.label_map else None
    labels = {
        part.name: label_maps.to_classes(part.kind, (clip.label for clip in part.clips), predictor.outputs, path)
        for part in parts
    }
    with Progress() as progress, progress.task("clips", sum(len(part.clips) for part in parts)) as advance:
        found, rows = any_data.score(predictor, parts, labels, known, config.on_bad_clip, advance)
    notes = [note for part in parts for note in part.notes]
    notes += [f"{part.name}: {part.unlabelled} clips without a label are left out" for part in parts if part.unlabelled]
    about: dict[str, Any] = {
        "evaluated": str(place),
        "kind": kind,
        "model": network,
        "trained_on": predictor.trained_on,
        "corpus": "+".join(part.name for part in parts),
        "synthetic": any(part.record["synthetic"] for part in parts),
        "outputs": list(predictor.outputs),
        "label_map": {} if predictor.frame_seconds else labels,
        "checked_by": list(known.checked_by),
        "said_of_training": known.said,
        "notes": notes,
    }
    return {**about, **found}, rows


def _kind(place: Path, exported: bool) -> tuple[str, Callable[..., tuple[Predictor, str, Known]]]:
    """Return what is in `place`, in words, and what opens it."""
    if is_converted(place):
        return "published weights", _head
    return ("export", _export) if exported else ("run", _run)


def _head(
    place: Path, parts: list[Part], config: RunConfig, fold: str | None, runtime: str
) -> tuple[Predictor, str, Known]:
    from zoo.inference import published_head  # imports Keras, which exports do without

    predictor, about = published_head.of_weights(place), published_head.describe(place)
    if predictor.rates_clips:
        found = f"{place} rates clips as wholes: {', '.join(predictor.outputs)}"
        raise UserError(f"classes of emotion or ratings along recordings can be scored, and {found}; use ser predict")
    return predictor, about["family"], known_clips.of_elsewhere(predictor.trained_on)


def _export(
    place: Path, parts: list[Part], config: RunConfig, fold: str | None, runtime: str
) -> tuple[Predictor, str, Known]:
    opened = saved_model.load(place, runtime)
    predictor = export_predictor.of_export(opened, further=False)
    return predictor, opened.description["model"], known_clips.of_export(opened.description, parts)


def _run(
    place: Path, parts: list[Part], config: RunConfig, fold: str | None, runtime: str
) -> tuple[Predictor, str, Known]:
    from zoo.inference.run_predictor import of_run

    opened = open_run(place, fold)
    predictor = of_run(place, fold, config.max_clip_seconds or None)
    return predictor, opened.settings.model, known_clips.of_run(opened, parts)


def write(folder: Path, results: Mapping[str, Any], rows: list[Row]) -> None:
    """Write predictions.csv, for classes a figure of clips that it was not trained on and, last, metrics.json."""
    folder.mkdir(parents=True, exist_ok=True)
    if rows:
        write_csv(folder / "predictions.csv", rows)
    figures = results[UNSEEN]
    if figures and "confusion" in figures:
        classification_report.plot(figures, rows, folder, report.title(results, UNSEEN))
    write_json(folder / "metrics.json", results)
