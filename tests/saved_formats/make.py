"""Makes the runs in tests/saved_formats/runs, in the formats of the version that is checked out.

    python tests/saved_formats/make.py OUT      # OUT/runs/NAME; then copy them here
    python tests/saved_formats/make.py OUT conv_lstm interrupted_continuous      # only these

The runs here were made by version 0.1.0 before its modules were moved. They stay as they are, for they stand for the
runs that users have; new ones belong beside them only when a format changes on purpose. Everything goes through
scripts/train.py, on small synthetic corpora. Networks are as small as their builders let them be, and pictures, long
tables and anything that only people read are left out. What test_saved_formats.py expects of them is recorded by
`python tests/saved_formats/test_saved_formats.py --record`.
"""

import os
import signal
import subprocess
import sys
import wave
import zipfile
from pathlib import Path

import numpy as np

TRAIN = Path(__file__).resolve().parents[2] / "scripts" / "train.py"
EMOTION = "--synthetic --corpus iemocap --clips 60 --fold 0"
RATED = "--synthetic --corpus recola --clips 8 --fold 0"
GRADIENT = "--epochs 2 --batch-size 12 --learning-rate 0.02"
RATED_GRADIENT = "--epochs 2 --batch-size 6 --learning-rate 0.01 --segment-seconds 2"
DENOISE = "--model denoising_autoencoder --noise noise --snr 0 12 --option recurrent_units=4"

# Flags of train.py by the name of the run. A run may stand on one above it.
FLAGS = {
    # By plain SGD, for model.keras holds the optimizer's moments too, and this network is the largest.
    "log_mel": f"--model attention_blstm_fcn --bands 12 {EMOTION} {GRADIENT} --optimizer sgd"
    " --option recurrent_units=4 --option hidden_units=8 --option kernel_size=1",
    "mfcc_mean": f"--model cnn1d_mfcc {EMOTION},1 {GRADIENT} --option filters=4,3",
    "mfcc_six": f"--model rnn_mfcc --recipe quick {EMOTION} {GRADIENT} --option recurrent_units=4",
    "mfcc_frames": f"--model mfcc_svr {RATED}",
    "waveform_conv_lstm": f"--model conv_lstm {RATED} {RATED_GRADIENT} --label-delay-seconds 0.2"
    " --option filters=4,6,8 --option recurrent_units=4",
    "waveform_conv_bigru": f"--model conv_bigru {RATED} {RATED_GRADIENT} --option filters=4,4,8"
    " --option kernel_sizes=4,16,16 --option recurrent_units=2",
    "waveform_conv_blstm": f"--model conv_blstm {RATED} {RATED_GRADIENT} --option filters=4"
    " --option recurrent_units=2 --option channel_pool=4 --option second_kernel_size=40",
    "functionals": f"--model lstm_drnn {RATED} {RATED_GRADIENT} --option recurrent_units=4",
    "functionals_linear": f"--model egemaps_svr {RATED}",
    "acoustic": f"--model egemaps_svm {EMOTION}",
    "acoustic_components": f"--model compare_pca_svm {EMOTION} --option components=3",
    "joint": f"--model deep_spectrum_svm --from-run log_mel {EMOTION}",
    "image": f"--model alexnet_svm --weights random {EMOTION}",  # its file holds no weight of AlexNet's
    "enhancement": f"{DENOISE} {EMOTION} --epochs 2",
    "enhancement_rated": f"{DENOISE} {RATED} --epochs 1",
    "mfcc_frames_enhanced": f"--model mfcc_svr --enhancer enhancement_rated {RATED}",
    # Killed after their first epoch.
    "interrupted_emotion": f"--model attention_lstm --bands 12 {EMOTION} {GRADIENT} --option recurrent_units=4"
    " --option hidden_units=8",
    "interrupted_continuous": f"--model conv_lstm {RATED} {RATED_GRADIENT} --option filters=4,6,8"
    " --option recurrent_units=4",
    "interrupted_enhancement": f"{DENOISE} {EMOTION} --epochs 2",
}
NOT_KEPT = ("enhancement_rated",)
KEPT = ("config.json", "data.json", "metrics.json", "history.csv", "predictions.csv", "postprocess.json")
LONGEST_TABLE = 20_000  # bytes; predictions of recordings are longer, and only evaluate.py and compare.py read them

# train.py in a process that kills itself when the history of the first epoch is about to appear: its state has.
KILLED = """
import os, runpy, signal, sys
def watch(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith("history.csv"):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(watch)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def write_noise(folder: Path) -> None:
    """Six recordings of white noise from whole numbers, so that their bytes are the same everywhere."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    for number in range(6):
        with wave.open(str(folder / f"noise{number}.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(rng.integers(-3000, 3000, 16_000, dtype=np.int16).astype("<i2").tobytes())


def make(runs: Path, name: str) -> None:
    """Trains one run. Its paths are relative to the folder of all runs."""
    killed = name.startswith("interrupted")
    words = [sys.executable, *(["-c", KILLED] if killed else []), str(TRAIN), *FLAGS[name].split(), "--out", name]
    environment = {**os.environ, "SPEECH_ZOO_CACHE": str(runs.parent / "cache"), "KERAS_BACKEND": "tensorflow"}
    ended = subprocess.run(words, cwd=runs, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != (-signal.SIGKILL if killed else 0):
        sys.exit(f"{name}: exit {ended.returncode}\n{ended.stderr}")


def strip(run: Path) -> None:
    """Leaves only what the zoo reads again, and packs archives closer; their contents stay the same bytes."""
    for path in [path for path in run.rglob("*") if path.is_file()]:
        packed = path.name in ("model.keras", "state.npz")
        long = path.name == "predictions.csv" and path.stat().st_size > LONGEST_TABLE
        if long or not (packed or path.name in KEPT):
            path.unlink()
        elif packed:
            with zipfile.ZipFile(path) as archive:
                content = {item: archive.read(item) for item in archive.namelist()}
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
                for item, data in content.items():
                    archive.writestr(item, data)


if __name__ == "__main__":
    runs = Path(sys.argv[1]) / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    write_noise(runs / "noise")
    names = sys.argv[2:] or list(FLAGS)
    for name in names:
        make(runs, name)
        print(name, flush=True)
    for name in names:
        strip(runs / name)
