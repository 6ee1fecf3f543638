"""Predict any number of files shard by shard, by the workers of a pool, into a folder (zoo.distributed.shards)."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from zoo.distributed import shard
from zoo.distributed.pool import Job, Runner
from zoo.errors import UserError
from zoo.inference.open_predictor import open_predictor
from zoo.inference.predictions_file import as_csv, as_json
from zoo.inference.predictor import Predictor, in_turn
from zoo.inference.reading import DEFAULT, MixedNotice, Reading
from zoo.inference.workers import in_this_process
from zoo.models.weights.kinds import DESCRIPTION, is_converted
from zoo.runs.digest import of_files, of_run
from zoo.serving.versions import version_folder
from zoo.utils.backends import announce_device, runtime_of_exports, use_backend

SUFFIXES = {"json": ".jsonl", "csv": ".csv"}


def job(
    options: Mapping[str, Any], kind: str, size: int, backend: str, model_sha256: str, reading: Reading = DEFAULT
) -> Job:
    """Return what workers do: predict the files of a shard, `size` at a time, and write "json" lines or "csv".

    `options` are those of `open_predictor`, in JSON's types; `backend` is that of Keras, "" for exports.
    """
    settings = {"options": dict(options), "reading": asdict(reading), "kind": kind, "size": size, "backend": backend}
    settings |= {"model_sha256": model_sha256, "folder": str(Path.cwd())}
    return Job("zoo.inference.shards:opened", settings, "shard")


def opened(
    options: Mapping[str, Any],
    kind: str,
    size: int,
    backend: str,
    model_sha256: str,
    folder: str,
    reading: Mapping[str, Any],
) -> Runner:
    """Return the function that predicts a shard; names of files are relative to `folder`."""
    loaded, how, notice = list[Predictor](), Reading(**reading), MixedNotice()

    def make(out: Path, content: Mapping[str, Any]) -> None:
        shard.enter(folder, content["items"])
        if not loaded:
            loaded.append(_load(options, backend, model_sha256))
        lines = as_json if kind == "json" else as_csv()
        batches = in_turn([Path(name) for name in content["items"]], size)
        with (
            shard.result(out, content["shard"], SUFFIXES[kind]) as (aside, failed),
            aside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
        ):
            for rows, bad in in_this_process(loaded[0], batches, how, notice):
                file.writelines(map(lines, rows))
                failed += bad

    return shard.guarded(make)


def digest(place: Path, exported: bool) -> str:
    """Return the SHA-256 of what decides the predictions of the folder of a run, an export or published weights."""
    if is_converted(place):
        return of_files(place, [place / DESCRIPTION])  # has the checksum of the weights
    if not exported:
        return of_run(place)
    home = version_folder(place) or place
    return of_files(home, (path for path in home.rglob("*") if path.is_file()))


def _load(options: Mapping[str, Any], backend: str, model_sha256: str) -> Predictor:
    if backend:
        use_backend(backend)
    place, exported = Path(options["place"]), options["exported"]
    if digest(place, exported) != model_sha256:
        raise UserError(
            f"{place}: expected the model that the work was begun with, found another. Copy it to all nodes"
        )
    predictor = open_predictor(**options)
    announce_device(runtime_of_exports() if exported else "")
    return predictor
