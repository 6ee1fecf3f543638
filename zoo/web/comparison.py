"""Compare the model before a training with the one after it, on labelled clips that neither learned from."""

from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.tables import table
from zoo.data.tables.table import Reading
from zoo.learning.labelling.queue import predictions
from zoo.metrics.classification import confusion_matrix, recalls, unweighted_accuracy
from zoo.runs.folder import read_rows
from zoo.utils.atomic_files import write_json
from zoo.utils.json_files import read_json
from zoo.web.models import Models
from zoo.web.project import Project
from zoo.web.training import Trainings

_SHAPE = {"clips": int, "groups": int, "classes": [str], "before": dict, "after": dict, "notes": [str]}


def compare(project: Project, models: Models, trainings: Trainings, number: str) -> dict[str, Any] | None:
    """Return UA and the recall of each class before and after, of the same clips; None where no clips were held back.

    After: each clip is predicted by the fold that did not learn from its speaker (or from its recording, where speakers
    are unknown). Before: by the model of the command line, with which the training began or was to be compared.
    """
    folder, facts = trainings.folder(number), trainings.one(number)
    if facts["state"] != "done" or not facts["tested"]:
        return None
    kept = folder / "comparison.json"
    if not kept.exists():
        write_json(kept, _computed(project, models, folder, facts))
    return read_json(kept, "a comparison", _SHAPE, "Delete it; it is made again")


def _computed(project: Project, models: Models, folder: Path, facts: dict[str, Any]) -> dict[str, Any]:
    after = {row["clip"]: row for row in read_rows(folder / "run", ("clip", "speaker", "truth", "prediction"))}
    loaded = table.load(folder / "table.csv", Reading(audio_root=project.folder))
    clips = [clip for clip in loaded.clips if clip.name in after]
    rows = predictions(models.base, clips, folder / "before.jsonl", lambda _done: None)
    judged = [clip.name for clip in clips if clip.name in rows]
    truth = [after[name]["truth"] for name in judged]
    notes = [] if len(judged) == len(after) else [f"{len(after) - len(judged)} clips have no prediction before."]
    return {
        "clips": len(judged),
        "groups": len({after[name]["speaker"] for name in judged}),
        "classes": sorted(set(truth)),
        "before": _figures(truth, [rows[name]["emotion"] or "" for name in judged]),
        "after": _figures(truth, [after[name]["prediction"] for name in judged]),
        "notes": notes + facts["notes"],
    }


def _figures(truth: list[str], predicted: list[str]) -> dict[str, Any]:
    """Return {"ua": 0..1, "recalls": {class: 0..1}}; a prediction of no labelled class is wrong."""
    classes = sorted({*truth, *predicted})
    counts = confusion_matrix(
        np.array([classes.index(name) for name in truth]),
        np.array([classes.index(name) for name in predicted]),
        len(classes),
    )
    by_class = dict(zip(classes, recalls(counts).tolist(), strict=True))
    return {"ua": float(unweighted_accuracy(counts)), "recalls": {name: by_class[name] for name in sorted(set(truth))}}
