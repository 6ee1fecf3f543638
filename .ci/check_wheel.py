"""Builds a source distribution, of it a wheel, and tries that in a fresh environment outside the checkout.

The environment sees the libraries of the one that runs this, but neither the checkout nor its editable installation.
"""

import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
import zipfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODEL = "attention_blstm_fcn-ravdess"
LARGEST_MB = 60  # the package index takes 100
HAS = (
    f"zoo/saved_models/{MODEL}/1/saved_model.pb",
    f"zoo/saved_models/{MODEL}/1/assets.extra/model.onnx",
    f"zoo/saved_models/{MODEL}/model_card.md",
    "zoo/saved_models/conv_lstm-standin/1/variables/variables.index",
    "zoo/examples/sense_and_sensibility.wav",
    "zoo/examples/SOURCES.txt",
    "zoo/commands/ser.py",
    "tuning/command.py",
)
OWN = ("zoo/", "tuning/", "speech_emotion_zoo-")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = built(folder)
        check_contents(wheel)
        environment = installed(wheel, folder / "env")
        try_commands(environment, folder)


def built(folder: Path) -> Path:
    """Build the source distribution in `folder`, and the wheel of what is in it."""
    backend = f"from setuptools import build_meta; print(build_meta.build_sdist({str(folder)!r}))"
    run([sys.executable, "-c", backend], ROOT)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder / "source", filter="data")
    (source,) = (folder / "source").iterdir()
    run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, source])
    (wheel,) = folder.glob("*.whl")
    return wheel


def check_contents(wheel: Path) -> None:
    """Fail unless the wheel has what users need, nothing else, and is not too large. Print its size by part."""
    with zipfile.ZipFile(wheel) as opened:
        infos = opened.infolist()
        (metadata,) = (one.filename for one in infos if one.filename.endswith(".dist-info/METADATA"))
        text = opened.read(metadata).decode()
    names = {one.filename for one in infos}
    dist = metadata.removesuffix("METADATA")
    absent = [one for one in (*HAS, f"{dist}licenses/LICENSE", f"{dist}licenses/NOTICE") if one not in names]
    foreign = sorted(one for one in names if not one.startswith(OWN) or one.endswith(".pyc") or "-demo/" in one)
    if absent or foreign:
        raise SystemExit(f"{wheel.name}: without {absent}, with {foreign}")
    if "License-Expression: Apache-2.0 AND CC-BY-NC-SA-4.0" not in text:
        raise SystemExit(f"{wheel.name}: metadata without the licences:\n{text[:1000]}")
    parts: Counter[str] = Counter()
    for one in infos:
        inside = one.filename.split("/")
        parts["/".join(inside[:3]) if inside[1:2] == ["saved_models"] else inside[0]] += one.compress_size
    print(f"{wheel.name}: {wheel.stat().st_size / 1e6:.1f} MB, {len(infos)} files")
    for part, size in parts.most_common():
        print(f"  {size / 1e6:5.1f} MB  {part}")
    if wheel.stat().st_size > LARGEST_MB * 1e6:
        raise SystemExit(f"{wheel.name}: larger than {LARGEST_MB} MB")


def installed(wheel: Path, place: Path) -> Path:
    """Make an environment with the wheel; return its folder of programs."""
    run([sys.executable, "-m", "venv", "--without-pip", place])
    python = place / "bin" / "python"
    (site,) = place.glob("lib/python*/site-packages")
    # A folder on the path: .pth files in it, such as that of the editable installation, are not read.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = ["install", "-q", "--no-deps", "--no-index", "--ignore-installed", "--disable-pip-version-check", wheel]
    run([sys.executable, "-m", "pip", "--python", python, *install])
    found = run([python, "-c", "import zoo; print(zoo.__file__)"], place).stdout.strip()
    if not found.startswith(str(site)):
        raise SystemExit(f"the environment imports {found}, expected a file in {site}")
    return python.parent


def try_commands(programs: Path, folder: Path) -> None:
    """Run commands as a user does right after the installation. Prints what they say and how long they take."""
    ser = programs / "ser"
    words = {
        "version": [ser, "--version"],
        "list": [ser],
        "models": [ser, "models"],
        "first": [ser, "predict", MODEL, "--example"],
        "second": [ser, "predict", MODEL, "--example"],
        "python": [programs / "python", "-c", f"import zoo; print(zoo.load({MODEL!r}).predict(zoo.example_clip()))"],
    }
    found = {what: timed(given, folder) for what, given in words.items()}
    expected = {"models": f"{MODEL}: ", "first": "sense_and_sensibility.wav\tangry", "python": "'emotion': 'angry'"}
    for what, text in expected.items():
        if text not in found[what].stdout:
            raise SystemExit(f"{what}: expected {text!r}, found {found[what].stdout}")
    if found["second"].stderr.count("\n") != 1 or not found["second"].stderr.startswith("ONNX Runtime"):
        raise SystemExit(f"expected one line on standard error, found {found['second'].stderr}")


def timed(words: list[Path | str], folder: Path) -> subprocess.CompletedProcess[str]:
    begun = time.perf_counter()
    done = run(words, folder)
    shown = " ".join([Path(words[0]).name, *map(str, words[1:])])
    print(f"{time.perf_counter() - begun:5.2f} s  {shown[:70]}: {done.stdout.strip().splitlines()[0][-70:]}")
    return done


def run(words: list[Path | str], folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a program in `folder`, without what would lead it back to the checkout; fail where it fails."""
    own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH" and not key.startswith("SPEECH_ZOO_")}
    done = subprocess.run(list(map(str, words)), cwd=folder, env=own, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done


if __name__ == "__main__":
    main()
