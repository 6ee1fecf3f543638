"""An export held against the run it was made of, from the export's own description."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from zoo.errors import UserError
from zoo.export import agreement, trained_run
from zoo.export.signatures import Plan
from zoo.inference import postprocess
from zoo.serving.saved_model import Exported


def compare(exported: Exported, run: Path) -> str:
    """Compares answers on every signature, several lengths and batch sizes; returns what was compared, in words.

    Raises UserError where they differ, or where the export was not made of this run.
    """
    for name, checksum in exported.description["run_files"].items():
        if not (run / name).is_file() or sha256((run / name).read_bytes()).hexdigest() != checksum:
            raise UserError(
                f"{run / name}: expected the file that {exported.folder} was made of, found another or none; name "
                "its run"
            )
    folds = exported.description["folds"]
    n_folds = len(list(run.glob("fold-*")))
    trained = trained_run.load(run, folds[0].split("-")[0] if len(folds) == 1 < n_folds else None)
    agreement.check(exported.folder, trained, plan(exported.description))
    return (
        f"every signature, batches of {', '.join(map(str, agreement.BATCH_SIZES))}; difference at most "
        f"{agreement.TOLERANCE:g}"
    )


def plan(description: Mapping[str, Any]) -> Plan:
    """Returns the plan that an export's graph was made by."""
    continuous = description["task"] == "continuous"
    return Plan(
        tuple(description["dimensions" if continuous else "classes"]),
        description["shortest"],
        description["longest"],
        description["rate_hz"],
        temperature=description.get("temperature", 1.0),
        steps_per_frame=description.get("steps_per_frame", 0),
        segment_frames=description.get("segment_frames", 0),
        delay_frames=description.get("delay_frames", 0),
        chains=tuple(map(postprocess.from_content, description.get("postprocess", []))),
    )
