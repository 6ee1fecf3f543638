"""Predict many short files by shards with workers killed on the way, and count each file's rows.

    python -m bench.bulk RUN FOLDER --files 100000 --workers 2 --kills 2 --out record.json

Makes FOLDER/wavs, the files: links to 50 recordings of 0.3 s. The record has seconds from the start of the command to
its end, and the driver's largest memory.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import soundfile

from zoo.utils.atomic_files import write_json
from zoo.utils.cli import run
from zoo.utils.parser import Parser

_DISTINCT = 50
_PER_FOLDER = 1000
ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("run", type=Path, help="model that predicts")
    parser.add_argument("folder", type=Path, help="a new folder for the files and the answers")
    parser.add_argument("--files", type=int, default=100_000, help="number of files")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--kills", type=int, default=2, help="how often a worker is killed")
    parser.add_argument("--out", type=Path, required=True, help="file of the record, JSON")
    args = parser.parse_args()
    names = make(args.folder, args.files)
    answers = args.folder / "answers"
    command = [sys.executable, "scripts/predict.py", str(args.run), "--list", str(args.folder / "files.txt")]
    command += ["--out", f"{answers}/", "--workers", str(args.workers)]
    start = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT) as driver:
        peak, killed = watch(driver, answers, args.files, args.kills)
    seconds = time.perf_counter() - start
    rows = Counter(row["file"] for row in answered(answers))
    record = {
        "files": args.files,
        "exit_code": driver.returncode,
        "files_with_one_row": sum(rows[name] == 1 for name in names),
        "rows": sum(rows.values()),
        "rows_in_order": [row["file"] for row in answered(answers)] == names,
        "workers_killed": killed,
        "workers": args.workers,
        "seconds": round(seconds, 1),
        "files_per_second": round(args.files / seconds, 1),
        "driver_peak_mb": peak,
        "shards": len(list((answers / "shards").glob("[0-9]*.jsonl"))),
        "mb_written": round(sum(path.stat().st_size for path in (answers / "shards").iterdir()) / 1e6, 1),
        "load_average": [round(value, 1) for value in os.getloadavg()],
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "command": "python -m bench.bulk " + " ".join(sys.argv[1:]),
    }
    write_json(args.out, record)
    print(json.dumps(record, indent=1))


def make(folder: Path, n_files: int) -> list[str]:
    """Make the files and their list; return their names."""
    (folder / "recordings").mkdir(parents=True)
    rng, time_ = np.random.default_rng(0), np.arange(4800) / 16_000
    for number in range(_DISTINCT):
        wave = 0.2 * np.sin(2 * np.pi * (100 + 20 * number) * time_) + 0.02 * rng.normal(size=len(time_))
        soundfile.write(folder / "recordings" / f"{number:02}.wav", wave, 16_000)
    names = []
    for number in range(n_files):
        place = folder / "wavs" / f"{number // _PER_FOLDER:03}" / f"{number:06}.wav"
        if number % _PER_FOLDER == 0:
            place.parent.mkdir(parents=True)
        os.link(folder / "recordings" / f"{number % _DISTINCT:02}.wav", place)
        names.append(str(place))
    (folder / "files.txt").write_text("\n".join(names) + "\n")
    return names


def watch(driver: subprocess.Popen, answers: Path, n_files: int, n_kills: int) -> tuple[float, int]:
    """Kill workers at even steps of the work; return the driver's largest memory in MB and the number killed."""
    peak, killed, n_shards = 0.0, 0, max(1, n_files // 1024)
    while driver.poll() is None:
        status = Path(f"/proc/{driver.pid}/status").read_text()
        peak = max([peak, *(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))])
        done = len(list((answers / "shards").glob("[0-9]*.jsonl")))
        children = Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split()
        if killed < n_kills and children and done >= (killed + 1) * n_shards / (n_kills + 1):
            os.kill(int(children[killed % len(children)]), signal.SIGKILL)
            killed += 1
        time.sleep(0.5)
    return round(peak, 1), killed


def answered(answers: Path):
    """Yield the rows of all shards, in order."""
    for path in sorted((answers / "shards").glob("[0-9]*.jsonl")):
        with path.open() as file:
            yield from map(json.loads, file)


if __name__ == "__main__":
    run(main)
