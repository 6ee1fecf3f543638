"""Run exports in a process where Keras cannot be imported.

The process is this module: requests on its standard input, outcomes on its standard output, both as JSON. One
process serves any number of exports, as its start takes longer than its work.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zoo.export.proofs import arrays_as_json
from zoo.export.requests import Inputs, answer

SECONDS = 600  # a process that takes longer hangs

Outcome = list[dict[str, np.ndarray]] | str  # an answer per request, or the error


def outcomes(jobs: Sequence[tuple[Path, Sequence[tuple[str, Inputs]]]]) -> list[Outcome]:
    """Run the requests (signature, inputs) of each export's folder in a new process."""
    paths = [str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
    settings = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "CUDA_VISIBLE_DEVICES": "-1"}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "zoo.export.proofs.without_keras"],
            input=arrays_as_json.dumps(jobs),
            env={**os.environ, **settings, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        return [f"no answer within {SECONDS} s"] * len(jobs)
    if done.returncode:
        error = done.stderr.decode(errors="replace").strip()[-600:]
        return [f"exit code {done.returncode}: {error}"] * len(jobs)
    return arrays_as_json.loads(done.stdout)


def _outcome(folder: Path, requests: Sequence[tuple[str, Inputs]]) -> Outcome:
    import tensorflow as tf

    try:
        module = tf.saved_model.load(str(folder))
        return [answer(module.signatures, *request) for request in requests]
    except Exception as error:  # whatever it is, it is the outcome, and the others are still to be run
        return f"{type(error).__name__}: {str(error).strip()}"[:2000]


def _main() -> None:
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else prints must not come between
    assert "keras" not in sys.modules
    for name in ("keras", "tf_keras"):  # their import fails, TensorFlow's own too
        sys.modules[name] = None  # type: ignore[assignment]
    with results:
        jobs = arrays_as_json.loads(sys.stdin.buffer.read())
        results.write(arrays_as_json.dumps([_outcome(*job) for job in jobs]))


if __name__ == "__main__":
    _main()
