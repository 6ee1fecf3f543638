"""Check that a resumed run has the data that it was started on."""

from collections.abc import Mapping
from pathlib import Path

from zoo.errors import UserError
from zoo.utils.atomic_files import write_json
from zoo.utils.json_files import read_json

# Hashes in data.json, and what they cover.
HASHES = {
    "data_sha256": "clips, labels or folds",
    "targets_sha256": "further targets",
    "noise_sha256": "recordings of noise",
    "responses_sha256": "impulse responses",
    "copies_sha256": "ways of altering copies",
    "from_run_sha256": "networks of --from-run",
    "enhancer_sha256": "models of --enhancer",
    "weights_sha256": "weights of --weights",
    "init_sha256": "weights of --init-from",
    "teacher_sha256": "weights and probabilities of --teacher",
}


def check(folder: Path, data: Mapping[str, str]) -> None:
    """Raise UserError where a resumed run has other data than it was started on, so that its folds are never pooled.

    `data` holds hashes of clips, labels and folds, and of noise, impulse responses and other models where it uses some.
    """
    path = folder / "data.json"
    if not path.is_file():
        write_json(path, data)
        return
    before = read_json(path, "hashes of a run's data", {str: str})
    for name, what in HASHES.items():
        if before.get(name) != data.get(name):
            raise UserError(
                f"{folder}: the {what} are not those this run was started on ({path.name}). Resume with what it "
                "had, or give another --out"
            )
