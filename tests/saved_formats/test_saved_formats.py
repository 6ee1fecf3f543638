"""Runs that an earlier version saved are still read: they answer what they answered, and interrupted ones go on.

    python tests/saved_formats/test_saved_formats.py --record NEW_NAMES      # of runs that make.py made anew

A failure here means that the runs users have can no longer be used. The runs stay, and the code is changed.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.append(str(Path(__file__).parents[1]))  # to record; pytest has it

import fixed_clip
import keras
import numpy as np
from make import write_noise

FOLDER = Path(__file__).parent
RUNS = FOLDER / "runs"
NAMES = sorted(path.name for path in RUNS.iterdir())
INTERRUPTED = [name for name in NAMES if name.startswith("interrupted")]
FINISHED = [name for name in NAMES if name not in INTERRUPTED]
ENHANCING = [name for name in FINISHED if name.startswith("enhancement")]  # predict.py refuses them: they give MFCCs
NEEDS_OPENSMILE = ("functionals", "functionals_linear", "acoustic", "acoustic_components")
TOLERANCE = 1e-5
RESUMED_TOLERANCE = 1e-2  # training adds up rounding errors, which differ between processors

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the runs are TensorFlow's")


def expected() -> dict:
    return json.loads((FOLDER / "expected.json").read_text())


def check_packages(name: str) -> None:
    if name in NEEDS_OPENSMILE:
        pytest.importorskip("opensmile")


def is_rated(name: str) -> bool:
    return json.loads((RUNS / name / "config.json").read_text())["corpus"] == "recola"


def predicted(script, name: str, folder: Path) -> dict:
    """What predict.py says of the fixed clip: its only row, or some of the rows along a long one."""
    seconds = fixed_clip.LONG_SECONDS if is_rated(name) else fixed_clip.SECONDS
    # In noise, where an enhancement stands before the network: it leaves what is clean alone.
    clip = fixed_clip.write(folder, seconds, **({"noise": 0.1} if "enhanced" in name else {}))
    code, output, errors = script("predict.py", RUNS / name, clip, "--json", *["--any-sound"] * (not is_rated(name)))
    assert code == 0, errors
    rows = [json.loads(line) for line in output.splitlines()]
    for row in rows:
        del row["file"]
        assert row.pop("reason") is None
        if not is_rated(name):  # these runs were made before confidence could be fitted
            assert (row.pop("confidence"), row.pop("abstained")) == (None, None)
            assert (row.pop("channel"), row.pop("start"), row.pop("end")) == ("mix", None, None)
            assert row.pop("quality")["clipped_share"] == 0 and row.pop("speech_seconds") <= fixed_clip.SECONDS
    return {"rows": len(rows), "answers": fixed_clip.spread(rows) if is_rated(name) else rows}


def enhanced(name: str, folder: Path) -> dict:
    """MFCCs of the fixed clip as the saved model gives them, and of noise, which it does not take for clean speech."""
    from zoo.runs.model_file import load_model
    from zoo.training.tasks import base as tasks

    tasks.of("denoising_autoencoder")  # its module brings the loss, which the file names too
    (path,) = RUNS.glob(f"{name}/fold-*/model.keras")
    model = load_model(path)
    clips = np.stack([fixed_clip.samples(), fixed_clip.samples(noise=0.1)]).astype("float32")
    output = np.asarray(model.predict_on_batch({"waveform": clips, "n_samples": np.full(2, clips.shape[1], "int32")}))
    return {
        "shape": list(output.shape),
        "answers": [[float(v) for v in frame] for clip in output for frame in fixed_clip.spread(clip, 3)],
    }


def assert_close(found, wanted, tolerance: float = TOLERANCE) -> None:
    """Numbers within the tolerance, everything else the same."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            assert_close(found[key], value, tolerance)
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert_close(one, other, tolerance)
    elif isinstance(wanted, float):
        assert found == pytest.approx(wanted, rel=tolerance, abs=tolerance)
    else:
        assert found == wanted


def resumed(script, name: str, run: Path) -> dict:
    """Lets train.py go on with a copy of an interrupted run; returns what its last epoch and its records say."""
    shutil.copytree(RUNS / name, run)
    (state,) = run.glob("fold-*/state.npz")
    with np.load(state) as arrays:
        before = json.loads(arrays["history"].tobytes())
    noise = ["--noise", run.parent / "noise"] if name == "interrupted_enhancement" else []  # it was elsewhere before
    code, _, errors = script("train.py", "--out", run, "--resume", *noise)
    assert code == 0, errors
    with (state.parent / "history.csv").open(newline="") as file:
        history = list(csv.DictReader(file))
    assert [float(value) for value in history[0].values()] == [float(value) for value in before[0].values()]
    record = json.loads((run / "metrics.json").read_text())
    assert not state.exists() and (state.parent / "model.keras").is_file()
    last = {key: float(value) for key, value in history[-1].items() if key != "seconds"}
    return {"epochs": len(history), "last": last, "protocol": record["protocol"], "data_sha256": record["data_sha256"]}


def test_every_run_is_of_what_the_recordings_are():
    assert sorted(expected()) == NAMES


@pytest.mark.parametrize("name", [name for name in FINISHED if name not in ENHANCING])
def test_a_saved_run_predicts_what_it_did(script, name, tmp_path):
    check_packages(name)
    assert_close(predicted(script, name, tmp_path), expected()[name])


@pytest.mark.parametrize("name", ENHANCING)
def test_a_saved_enhancement_gives_the_coefficients_it_gave(name, tmp_path):
    assert_close(enhanced(name, tmp_path), expected()[name])


@pytest.mark.parametrize("name", INTERRUPTED)
def test_an_interrupted_run_goes_on(script, name, tmp_path):
    write_noise(tmp_path / "noise")
    assert_close(resumed(script, name, tmp_path / name), expected()[name], RESUMED_TOLERANCE)


def record(names: list[str]) -> None:
    """Writes what the runs answer now. A process for each, as scripts/ end theirs."""
    import tempfile

    found = expected() if (FOLDER / "expected.json").is_file() else {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            write_noise(Path(folder) / "noise")
            answer = partial(resumed if name in INTERRUPTED else predicted, partial(_in_process, folder))
            where = Path(folder) / name if name in INTERRUPTED else Path(folder)
            found[name] = enhanced(name, where) if name in ENHANCING else answer(name, where)
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found) if name in NAMES)
    (FOLDER / "expected.json").write_text(f"{{\n{lines}\n}}\n")


def _in_process(folder: str, name: str, *words) -> tuple[int, str, str]:
    environment = {**os.environ, "SPEECH_ZOO_CACHE": f"{folder}/cache", "KERAS_BACKEND": "tensorflow"}
    command = [sys.executable, str(FOLDER.parents[1] / "scripts" / name), *map(str, words)]
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout, ended.stderr


if __name__ == "__main__" and "--record" in sys.argv:
    record([word for word in sys.argv[1:] if word != "--record"] or NAMES)
