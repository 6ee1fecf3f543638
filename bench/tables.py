"""Measure how long a table of a million rows takes to load, and its memory: segments of few files, and a file a row."""

import tempfile
import time
from functools import partial
from pathlib import Path

from bench.processes import in_own_process, peak_mib
from bench.result import Result
from zoo.data.tables import table

LABELS = ("angry", "happy", "neutral", "sad")


def measure(quick: bool) -> list[Result]:
    n_rows = 1_000 if quick else 1_000_000
    results = []
    for name, write in (("segments", _write_segments), ("files", _write_files)):
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), n_rows)
            seconds, processor, mib = in_own_process(partial(_load, n_rows), Path(folder) / "labels.csv")
        note = f"{n_rows:,} rows, {processor:.1f} s of processor time"
        results.append(Result(f"table of {name}", "s", seconds, 10.0, target=1.0, bound="at most", note=note))
        results.append(Result("  memory", "MiB", mib, 1024.0, target=1.0, bound="at most", note="peak resident"))
    return results


def _load(n_rows: int, path: Path) -> tuple[float, float, float]:
    begin, before = time.perf_counter(), time.process_time()
    assert len(table.load(path).clips) == n_rows
    return time.perf_counter() - begin, time.process_time() - before, peak_mib()


def _write_segments(folder: Path, n_rows: int) -> None:
    for number in range(n_rows // 1000):
        (folder / f"talk{number}.wav").touch()
    with (folder / "labels.csv").open("w") as file:
        file.write("file,start,end,speaker,emotion\n")
        for n in range(n_rows):
            start = 2.5 * (n % 1000)
            file.write(f"talk{n // 1000}.wav,{start},{start + 2},s{n // 1000 % 50},{LABELS[n % 4]}\n")


def _write_files(folder: Path, n_rows: int) -> None:
    with (folder / "labels.csv").open("w") as file:
        file.write("file,speaker,emotion,age\n")
        for n in range(n_rows):
            place = folder / f"{n // 1000:03d}"
            if n % 1000 == 0:
                place.mkdir()
            (place / f"clip{n}.wav").touch()
            file.write(f"{place.name}/clip{n}.wav,s{n // 1000 % 50},{LABELS[n % 4]},{n % 60}\n")
