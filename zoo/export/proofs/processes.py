"""Exports asked in processes of their own, where less is there than here: no Keras, or none of TensorFlow's Python.

    python -m zoo.export.proofs.processes without-keras FOLDER

FOLDER holds job.json and arrays.npz, as `ask` writes them; answers.npz and result.json are put beside them. One
process answers for any number of exports, as its start takes longer than its work.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

KINDS = ("without-keras", "c-api", "scan")
SECONDS = 600  # a process that takes longer hangs
_KERAS = ("keras", "tf_keras")

Value = np.ndarray | list[bytes]


@dataclass(frozen=True)
class Request:
    """Inputs of a signature by name, and the graph's own names of its inputs' and outputs' tensors."""

    signature: str
    inputs: Mapping[str, Value]
    feeds: Mapping[str, str]
    fetches: Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    """Of one export: an answer per request, {output: array}, and what the process has to say; or its error."""

    answers: tuple[Mapping[str, np.ndarray], ...]
    text: str = ""
    error: str = ""


def ask(kind: str, jobs: Sequence[tuple[Path, Sequence[Request]]]) -> tuple[list[Outcome], bytes]:
    """Asks exports in a new process of a kind in `KINDS`; returns what came of each.

    "c-api" also returns TensorFlow's list of operations, "scan" has its findings as the outcomes' `text`. Raises
    RuntimeError where the process itself ends with an error.
    """
    with TemporaryDirectory(prefix="serve-check-") as place:
        folder = Path(place)
        _write(folder, jobs)
        root = str(Path(__file__).parents[2])
        paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        done = subprocess.run(
            [sys.executable, "-m", "zoo.export.proofs.processes", kind, place],
            env={**os.environ, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        if done.returncode:
            raise RuntimeError(f"exit code {done.returncode}: {done.stderr.strip()[-600:]}")
        operations = folder / "operations.pb"
        return _outcomes(folder, jobs), operations.read_bytes() if operations.is_file() else b""


def _write(folder: Path, jobs: Sequence[tuple[Path, Sequence[Request]]]) -> None:
    arrays: dict[str, Any] = {}
    content = []
    for number, (place, requests) in enumerate(jobs):
        rows = []
        for index, request in enumerate(requests):
            texts = {}
            for name, value in request.inputs.items():
                if isinstance(value, np.ndarray):
                    arrays[f"{number}/{index}/{name}"] = value
                else:
                    texts[name] = [base64.b64encode(text).decode() for text in value]
            row = {"signature": request.signature, "texts": texts, "inputs": list(request.inputs)}
            rows.append({**row, "feeds": dict(request.feeds), "fetches": dict(request.fetches)})
        content.append({"folder": str(place.resolve()), "requests": rows})
    (folder / "job.json").write_text(json.dumps(content))
    np.savez(folder / "arrays.npz", allow_pickle=False, **arrays)


def _outcomes(folder: Path, jobs: Sequence[tuple[Path, Sequence[Request]]]) -> list[Outcome]:
    results = json.loads((folder / "result.json").read_text())
    with np.load(folder / "answers.npz", allow_pickle=False) as stored:
        return [
            Outcome(
                tuple(
                    {name: stored[key] for name in request.fetches if (key := f"{number}/{index}/{name}") in stored}
                    for index, request in enumerate(requests)
                ),
                **results[number],
            )
            for number, (_, requests) in enumerate(jobs)
        ]


def _main(kind: str, folder: Path) -> None:
    """In the new process."""
    answer = {"without-keras": _without_keras, "c-api": _by_c_api, "scan": _scan}[kind]
    content = json.loads((folder / "job.json").read_text())
    answers: dict[str, Any] = {}
    results = []
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        if kind == "without-keras":
            sys.meta_path[:] = [_WithoutKeras(finder) for finder in sys.meta_path]
        for number, job in enumerate(content):
            try:
                found, text = answer(Path(job["folder"]), _requests(number, job["requests"], arrays))
                results.append({"text": text})
            except Exception as error:  # whatever it is, it is the outcome, and others are to be asked
                found = []
                results.append({"error": f"{type(error).__name__}: {str(error).strip()}"[:2000]})
            for index, one in enumerate(found):
                answers.update({f"{number}/{index}/{name}": value for name, value in one.items()})
    if kind == "c-api":
        from zoo.export.proofs.tensorflow_c_api import all_operations

        (folder / "operations.pb").write_bytes(all_operations())
        _hold_absent("tensorflow")
    if kind == "without-keras":
        _hold_absent("keras")
    np.savez(folder / "answers.npz", allow_pickle=False, **answers)
    (folder / "result.json").write_text(json.dumps(results))


class _WithoutKeras:
    """A finder of modules that finds no Keras, whatever its name; TensorFlow itself asks whether it is there."""

    def __init__(self, finder):
        self._finder = finder

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in _KERAS else self._finder.find_spec(name, path, target)


def _requests(number: int, rows: Sequence[Mapping[str, Any]], arrays: Mapping[str, np.ndarray]) -> list[Request]:
    requests = []
    for index, row in enumerate(rows):
        inputs: dict[str, Value] = {}
        for name in row["inputs"]:
            texts = row["texts"].get(name)
            key = f"{number}/{index}/{name}"
            inputs[name] = arrays[key] if texts is None else [base64.b64decode(text) for text in texts]
        requests.append(Request(row["signature"], inputs, row["feeds"], row["fetches"]))
    return requests


def _without_keras(folder: Path, requests: Sequence[Request]):
    import tensorflow as tf

    signatures = tf.saved_model.load(str(folder)).signatures
    answers = []
    for request in requests:
        inputs = {name: tf.constant(value) for name, value in request.inputs.items()}
        found = signatures[request.signature](**inputs)
        answers.append({name: value.numpy() for name, value in found.items()})
    return answers, ""


def _by_c_api(folder: Path, requests: Sequence[Request]):
    from zoo.export.proofs.tensorflow_c_api import Session

    session = Session(folder)
    answers = []
    for request in requests:
        feeds = {request.feeds[name]: value for name, value in request.inputs.items()}
        found = session.run(feeds, list(request.fetches.values()))
        answers.append(dict(zip(request.fetches, found, strict=True)))
    return answers, ""


def _scan(folder: Path, requests: Sequence[Request]):
    """What `saved_model_cli scan --dir FOLDER --tag_set serve` does; its last line is the finding."""
    from contextlib import redirect_stdout
    from io import StringIO

    from tensorflow.python.tools import saved_model_cli as cli
    from tensorflow.python.tools import saved_model_utils

    printed = StringIO()
    with redirect_stdout(printed):
        graph = saved_model_utils.get_meta_graph_def(str(folder), "serve")
        cli.scan_meta_graph_def(graph, cli._OP_DENYLIST)
    return [], printed.getvalue().strip()


def _hold_absent(package: str) -> None:
    if package in sys.modules:
        raise SystemExit(f"{package} was imported after all")


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]))
