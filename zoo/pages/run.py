"""Make the page of finished runs: the first one's figures, and how the others differ from it.

Every figure is of a file of the run, which stands below it. What is computed here anew from predictions.csv is checked
against metrics.json by zoo.studies.finished_runs.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.pages import run_charts, run_clips
from zoo.pages.page import colors_of, render
from zoo.reports.tables import decimal, percent, with_interval
from zoo.runs.folder import check_tested, corpus_name, is_tested
from zoo.runs.open_run import OpenedRun, open_run
from zoo.studies import compare, compare_table
from zoo.studies.finished_runs import read_run
from zoo.utils.progress import Progress

CLIPS = 12  # of the worst errors, unless one says otherwise
MOST_CLIPS = 200  # a clip takes about 40 kB of the page


def page(folders: Sequence[Path], data_root: str = "", n_clips: int = CLIPS, progress: Progress | None = None) -> str:
    """Return the page of a run, and of its comparison with further ones.

    Raises UserError for a folder without a finished run, and runs that cannot be compared.
    """
    if not 0 <= n_clips <= MOST_CLIPS:
        raise UserError(f"--errors is {n_clips}, expected 0 to {MOST_CLIPS}")
    run = open_run(folders[0])
    if run.entry.task not in ("emotion", "continuous"):
        raise UserError(f"{run.folder}: a run of {run.settings.model}, which predicts no emotion; give one of emotions")
    if data_root and run.settings.synthetic:
        raise UserError(f"--data-root is for real speech, and {run.folder} is of a synthetic twin; leave it out")
    compared = _compared(folders) if len(folders) > 1 else None
    tested = is_tested(run.record)
    shown: dict[str, Any] = {}
    if tested:
        read_run(run.folder)  # raises where predictions.csv and metrics.json are not of one run
        shown = _classes(run, data_root, n_clips, progress) if run.protocol.classes else _ratings(run)
    return render(
        "run.html",
        name=run.folder.resolve().name,
        about=_about(run),
        warnings=_warnings(run),
        tested=tested,
        continuous=not run.protocol.classes,
        shown=shown,
        curves=run_charts.curves(run),
        folds=_folds(run),
        compared=compared,
    )


def _about(run: OpenedRun) -> list[tuple[str, str]]:
    record, settings = run.record, run.settings
    when = datetime.fromtimestamp((run.folder / "metrics.json").stat().st_mtime, timezone.utc).date().isoformat()
    clips = f"{record['n_clips']} clips" if "n_clips" in record else f"{record.get('n_recordings', '–')} recordings"
    return [
        ("Network", settings.model),
        ("Recipe", settings.recipe),
        ("Corpus", corpus_name(record)),
        ("Protocol", record["protocol"]),
        ("Tested on", f"{clips} of {record.get('n_speakers', '–')} speakers" if is_tested(record) else "nothing"),
        ("Folds", str(len(run.fold_folders))),
        ("Seed", str(settings.seed)),
        ("Finished", when),
        ("Made with", ", ".join(f"{name} {one}" for name, one in record["versions"].items() if name != "python")),
        ("Corpus, SHA-256", record.get("data_sha256", "–")[:16]),
    ]


def _warnings(run: OpenedRun) -> list[str]:
    record = run.record
    found = [*compare.warnings(record)]
    if record["synthetic"]:
        found.append("Synthetic speech: the figures say nothing about real speech.")
    if leakage := compare.leakage(record):
        found.append(f"Not speaker-independent: {'; '.join(leakage)}.")
    if absences := compare.absences(record):
        found.append(f"Incomplete corpus: {'; '.join(absences)}.")
    if not is_tested(record):
        try:
            check_tested(record, run.folder)
        except UserError as error:
            found.append(error.message.partition(": ")[2].partition(". Give")[0] + ".")
    return found


def _folds(run: OpenedRun) -> dict[str, Any]:
    """Return the table of folds, by the columns that the record has."""
    forms: dict[str, tuple[str, Callable[[Any], str]]] = {
        "best_epoch": ("Kept epoch", str),
        "epochs": ("Epochs", str),
        "validation_ua": ("Validation UA", percent),
        "ua": ("Test UA", lambda score: with_interval(score, percent)),
        "validation_ccc": ("Validation CCC", decimal),
        "n_clips": ("Test clips", str),
    }
    folds = run.record.get("folds", [])
    names = [name for name in forms if folds and all(name in fold for fold in folds)]
    rows = [[fold["fold"], *(forms[name][1](fold[name]) for name in names)] for fold in folds]
    return {"header": [forms[name][0] for name in names], "rows": rows}


def _classes(run: OpenedRun, data_root: str, n_clips: int, progress: Progress | None) -> dict[str, Any]:
    record, classes = run.record, list(run.protocol.classes)
    rows = run_clips.predictions(run)
    return {
        "figures": [
            (
                "UA",
                with_interval(record["ua"], percent),
                f"mean recall of classes; by chance {percent(1 / len(classes))}",
            ),
            ("WA", with_interval(record["wa"], percent), "share of clips that are right"),
            ("Macro-F1", percent(record["macro_f1"]), "mean F1 of classes"),
        ],
        "colors": colors_of(classes),
        "confusion": _confusion(record),
        "per_class": [
            (name, row["n"], *(row[key] for key in ("recall", "precision", "f1")))
            for name, row in record["per_class"].items()
        ],
        "per_speaker": sorted(record["per_speaker"].items(), key=lambda item: (item[1]["ua"] is None, item[1]["ua"])),
        "confidence": run_charts.confidence(rows),
        "clips": run_clips.shown(run, rows, data_root, n_clips, progress) if n_clips else None,
        "n_wrong": sum(row["truth"] != row["prediction"] for row in rows),
    }


def _confusion(record: Mapping[str, Any]) -> list[tuple[str, int, list[tuple[int, float | None]]]]:
    """Return each true class with its number of clips, and each predicted class's number and share of them."""
    found = []
    for name, counts in zip(record["classes"], record["confusion"], strict=True):
        total = sum(counts)
        found.append((name, total, [(n, n / total if total else None) for n in counts]))
    return found


def _ratings(run: OpenedRun) -> dict[str, Any]:
    record = run.record
    kinds = [("as predicted", record), ("post-processed", record.get("postprocessed") or {})]
    keys = ("mean_ccc", "pearson", "rmse", "mae", "kendall")
    table = [
        (dimension, kind, with_interval(row["ccc"]), *(decimal(row.get(key)) for key in keys))
        for kind, figures in kinds
        for dimension, row in figures.get("dimensions", {}).items()
    ]
    return {"table": table, "traces": run_charts.traces(run)}


def _compared(folders: Sequence[Path]) -> dict[str, Any]:
    comparison = compare.compare_runs(folders)
    scale, unit = (1, "CCC") if comparison.continuous else (100, "percentage points")
    by_figure: dict[str, list[tuple[str, float, float, float]]] = {}
    for one in comparison.differences:
        value, low, high = (scale * each for each in (one.value, one.low, one.high))
        by_figure.setdefault(one.figure, []).append((one.other, value, low, high))
    return {
        "grids": compare_table.grids(comparison),
        "notes": list(compare_table.notes(comparison)),
        "reference": comparison.systems[0].name,
        "charts": [run_charts.compared(figure, rows, unit) for figure, rows in by_figure.items()],
        "files": [str(folder.resolve().name) for folder in folders],
    }
