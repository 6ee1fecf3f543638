"""Find what a run on all clips (--fold final) takes from the run of its recipe's folds: epochs, and figures to name."""

from pathlib import Path
from typing import Any

import numpy as np

from zoo.config import saved
from zoo.config.run_config import RunConfig
from zoo.errors import UserError
from zoo.runs.folder import check_holds, check_tested
from zoo.runs.open_run import OpenedRun, open_run

KEY = "figures_from"  # of a record
_FIGURES = ("n_clips", "n_speakers", "ua", "wa", "macro_f1", "per_class", "per_speaker", "confusion", "absent_classes")
_ALSO = ("per_corpus", "targets", "human_ceiling", "leakage", "notes", "warnings")
_OF_FOLDS = ("protocol", "fold", "patience")  # settings that differ by what it is


def epochs(run: Path) -> int:
    """Return how many epochs to train on all clips: those of the run if it keeps the last, else its folds' median best.

    Raises UserError for a run that is not finished or is not trained in epochs.
    """
    opened = open_run(run)
    if opened.entry.fitted == "linear":
        raise UserError(f"--epochs-from {run}: {opened.settings.model} has no epochs. Give one value of --complexities")
    check_holds(opened.record, ("folds",), run / "metrics.json")
    if opened.settings.keep == "last":
        return opened.settings.epochs
    return max(1, round(float(np.median([fold["best_epoch"] for fold in opened.record["folds"]]))))


def figures(config: RunConfig) -> dict[str, Any]:
    """Return what the record of a run says of the figures of --figures-from, under `KEY`; nothing without it.

    Raises UserError for a run that is not finished, has no test side, or is of another network, corpus or classes.
    """
    if not config.figures_from:
        return {}
    run = Path(config.figures_from)
    theirs = open_run(run)
    record = theirs.record
    check_tested(record, run)
    check_holds(record, ("folds", "classes", *_FIGURES), run / "metrics.json")
    for name in ("model", "corpus", "synthetic", "classes", "target"):
        before, now = getattr(theirs.settings, name), getattr(config, name)
        if before != now:
            raise UserError(
                f"--figures-from {run}: expected a run of the same {name} ({now}), found {before}. Give another"
            )
    changed = [line for line in saved.differences(theirs.settings, config) if line.partition(" ")[0] not in _OF_FOLDS]
    less = "fewer speakers" if record.get("speaker_independent", True) else "a part of the clips"
    said = (
        f"The figures are of other models, those of the run {run.name} under {record['protocol']} (folds: "
        f"{len(record['folds'])}), each trained on {less}. This model is trained on all clips, and none are left to "
        "test it."
    )
    held = {name: record[name] for name in ("classes", *_FIGURES, *_ALSO) if name in record}
    facts = {"run": run.name, "protocol": record["protocol"], "said": said, "settings_that_differ": changed}
    return {KEY: {**facts, "data_sha256": record.get("data_sha256", ""), **held}}


def of_final(run: OpenedRun) -> OpenedRun | None:
    """Return the run whose validation speakers stand in for those that a run on all clips lacks; None if it has some.

    Raises UserError for a run without validation clips that names none with --figures-from.
    """
    if "validation" in run.record.get("sides", ("validation",)):
        return None
    if not run.settings.figures_from:
        raise UserError(
            f"{run.folder} has no validation clips, on which this is fitted. Give a run with a validation side, or "
            "train --fold final with --figures-from RUN, whose validation speakers are then taken"
        )
    return open_run(Path(run.settings.figures_from))
