"""Train on features that went through each storage of extract.py, and record their bytes, errors and scores.

    python -m bench.storage --model compare_svm --corpus ravdess --data-root DIR --fold 4 --out record.json FOLDER

Features are written in shards of 256 recordings, read back, and put into a cache of their own, by which train.py trains
in FOLDER. Further flags are train.py's. With --no-training the errors alone are recorded.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config import flags
from zoo.config.saved import cache_folder
from zoo.data.batches import feature_store
from zoo.features import from_config, storage
from zoo.features.shards import clips_of, resolved
from zoo.utils.atomic_files import write_json
from zoo.utils.cli import run
from zoo.utils.parser import Parser

ROOT = Path(__file__).parents[1]
_SHARD_SIZE = 256


def main() -> None:
    parser = Parser(description=__doc__)
    for name in ("--model", "--corpus", "--data-root", "--fold"):
        parser.add_argument(name, required=True)
    parser.add_argument("--no-training", action="store_true")
    parser.add_argument("--out", type=Path, required=True, help="file of the record, JSON")
    parser.add_argument("folder", type=Path, help="a new folder for shards, caches and runs")
    args, flags_of_training = parser.parse_known_args()
    given = {"model": args.model, "corpus": args.corpus, "data_root": args.data_root}
    config = resolved(flags.from_flags(given), listed=False)
    clips = clips_of(config)
    found, bad = from_config.features_of(config, from_config.extractor(config), clips, on_bad_clip="skip")
    whole = {name: one.read() for name, one in found.items()}
    record: dict[str, Any] = {**vars(args), "clips": len(found), "left_out": len(bad)}
    record |= {"columns": next(iter(whole.values())).shape[1], "frames": sum(map(len, whole.values()))}
    record |= {"command": "python -m bench.storage " + " ".join(sys.argv[1:])}
    deviation = np.concatenate(list(whole.values())).std(axis=0, dtype=np.float64)
    for kind in storage.STORAGES:
        place = args.folder / kind
        n_bytes, back = through(place / "shards", whole, kind)
        errors = np.concatenate([back[name].astype(np.float64) - values for name, values in whole.items()])
        varies = deviation > 0
        relative = np.abs(errors)[:, varies] / deviation[varies]
        record[kind] = {"bytes": n_bytes, "largest_error": float(np.abs(errors).max())}
        record[kind] |= {"mean_error_in_deviations": float(relative.mean())}
        record[kind] |= {"largest_error_in_deviations": float(relative.max())}
        if not args.no_training:
            into_cache(place / "cache", config, found, back)
            record[kind] |= scores(args, flags_of_training, place)
        print(kind, record[kind], flush=True)
    del record["folder"], record["out"], record["data_root"]
    write_json(args.out, record)


def through(folder: Path, features: dict[str, np.ndarray], kind: str) -> tuple[int, dict[str, np.ndarray]]:
    """Write features in shards; return their bytes and what is read back."""
    folder.mkdir(parents=True)
    names = list(features)
    for start in range(0, len(names), _SHARD_SIZE):
        some = names[start : start + _SHARD_SIZE]
        path = folder / f"{start // _SHARD_SIZE:06}.npz"
        storage.write(path, storage.stored(some, [features[name] for name in some], kind))
    return sum(path.stat().st_size for path in folder.iterdir()), dict(storage.read_folder(folder.parent))


def into_cache(cache: Path, config, found: dict, values: dict[str, np.ndarray]) -> None:
    """Make a cache of features under the names that the usual one has."""
    for name, one in found.items():
        place = cache / one.path.relative_to(cache_folder(config))
        place.parent.mkdir(parents=True, exist_ok=True)
        feature_store._store(place, values[name], _Facts(one.seconds, one.audio_sha256))


class _Facts:
    def __init__(self, seconds: float, audio_sha256: str):
        self.seconds, self.audio_sha256 = seconds, audio_sha256


def scores(args: argparse.Namespace, further: list[str], place: Path) -> dict[str, float]:
    """Train one fold on cached features; return its scores on the test clips."""
    command = [sys.executable, "scripts/train.py", "--model", args.model, "--corpus", args.corpus]
    command += ["--data-root", args.data_root, "--fold", args.fold, "--cache-dir", str(place / "cache")]
    subprocess.run([*command, *further, "--out", str(place / "run")], cwd=ROOT, check=True)
    found = json.loads((place / "run" / "metrics.json").read_text())
    return {name: found[name]["value"] for name in ("ua", "wa")}


if __name__ == "__main__":
    run(main)
