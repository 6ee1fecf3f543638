"""Measure what the start of a process costs: the seconds that Python takes to import each package, by what is started.

    python -m bench imports --out docs/runs/bench-imports.json
    python -m bench.imports

The second writes the table of docs/start-times.md from the record of the first.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import wave
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.result import Result
from zoo.utils.atomic_files import written_aside
from zoo.utils.json_files import read_json

ROOT = Path(__file__).parents[1]
RECORD, PAGE = ROOT / "docs/runs/bench-imports.json", ROOT / "docs/start-times.md"
# What is started, by the words of Python's command line. EXPORT is a model with an ONNX form, CLIP a WAV file.
PATHS: Mapping[str, Sequence[str]] = {
    "zoo.load and predict, ONNX Runtime": ("-c", "import zoo; zoo.load('EXPORT').predict('CLIP')"),
    "predict.py, ONNX Runtime": ("scripts/predict.py", "EXPORT", "CLIP"),
    "predict.py, TensorFlow": ("scripts/predict.py", "EXPORT", "CLIP", "--runtime", "tensorflow"),
    "train.py, until training begins": ("-c", "import zoo.training.train"),
}
_LINE = re.compile(r"import time:\s*(\d+) \|\s*(\d+) \| +(\S+)")
_MODEL = "attention_blstm_fcn-demo"
_MOST = 6  # packages in a row; the others are one figure
_START, _END = "<!-- measured -->\n", "<!-- end -->\n"


def measure(quick: bool) -> list[Result]:
    """Start each path, and --help of every command, with Python's count of import times: medians of three starts."""
    repeats = 1 if quick else 3
    helps = {f"{path.stem}.py --help": (f"scripts/{path.name}", "--help") for path in sorted(ROOT.glob("scripts/*.py"))}
    paths = {**PATHS, **helps}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        clip = _tone(Path(folder) / "tone.wav")
        for name, words in list(paths.items())[: 1 if quick else None]:
            given = [word.replace("EXPORT", _MODEL).replace("CLIP", str(clip)) for word in words]
            found.append(_result(name, [seconds_by_package(_stderr(given)) for _ in range(repeats)]))
    return found


def _tone(path: Path, rate_hz: int = 16_000) -> Path:
    """Write a second of a tone as a WAV file."""
    samples = (8000 * np.sin(2 * np.pi * 220 * np.arange(rate_hz) / rate_hz)).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate_hz, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return path


def seconds_by_package(text: str) -> dict[str, float]:
    """Return the seconds of importing each package, its own modules' alone, from the output of -X importtime."""
    found: Counter[str] = Counter()
    for own, _, module in _LINE.findall(text):
        package = module.partition(".")[0]
        known = package if package not in sys.stdlib_module_names else "Python's own"
        found[known] += int(own)
    return {package: microseconds / 1e6 for package, microseconds in found.most_common()}


def _stderr(words: Sequence[str]) -> str:
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-X", "importtime", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=variables, check=True).stderr


def _result(name: str, starts: Sequence[Mapping[str, float]]) -> Result:
    """Return the median of the whole, and of each package in words, the slowest first."""
    packages = {package for one in starts for package in one}
    medians = {package: statistics.median(one.get(package, 0.0) for one in starts) for package in packages}
    ranked = sorted(medians.items(), key=lambda item: -item[1])
    shown = [f"{package} {seconds:.2f}" for package, seconds in ranked[:_MOST] if seconds >= 0.005]
    rest = sum(seconds for _, seconds in ranked[len(shown) :])
    note = ", ".join([*shown, *([f"{len(ranked) - len(shown)} others {rest:.2f}"] if len(ranked) > len(shown) else [])])
    return Result(name, "s", sum(medians.values()), None, note=note)


def table(record: Mapping[str, Any]) -> str:
    """Return the table of a record of `python -m bench imports`: a row for each path, seconds by package."""
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    about = f"{record['cores']} cores, load {record['load_average'][0]:.1f}, Python {record['python']}, {versions}."
    lines = ["| start | imports (s) | of these, by package (s) |", "|---|---:|---|"]
    lines += [f"| {row['name']} | {row['ours']:.2f} | {row['note']} |" for row in record["results"]]
    return "\n".join([about, "", *lines, ""])


def write(record: Path = RECORD, page: Path = PAGE) -> None:
    """Put the table of a record between the marks of a page."""
    measured = table(read_json(record, "the record of python -m bench imports", {"results": [dict]}))
    text = page.read_text(encoding="utf-8")
    before, after = text[: text.index(_START)], text[text.index(_END) :]
    with written_aside(page) as aside:
        aside.write_text(f"{before}{_START}{measured}{after}", encoding="utf-8")


if __name__ == "__main__":
    write()
