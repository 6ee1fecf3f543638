"""Keep the seeds of several runs in one folder, and summarise their figures: mean and standard deviation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from zoo.errors import UserError
from zoo.utils.atomic_files import write_json
from zoo.utils.json_files import read_json

FILE = "seeds.json"


def parse(text: str) -> list[int]:
    """Return the seeds in a text such as 0,1,2. Raises UserError for another text, or a seed twice."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdecimal() for word in words) or len({*map(int, words)}) < len(words):
        raise UserError(f"--seeds is {text!r:.100}, expected different whole numbers, as in 0,1,2")
    return [int(word) for word in words]


def folder(out: Path, seed: int) -> Path:
    """Return the folder of a seed's run."""
    return out / f"seed-{seed}"


def begin(out: Path, seeds: Sequence[int], resume: bool) -> None:
    """Write the seeds into their folder. Raises UserError where it has something else, or others to resume."""
    found = known(out)
    if found and not resume:
        raise UserError(f"{out} exists already: add --resume to go on with its runs, or give another --out")
    if found and found != list(seeds):
        raise UserError(
            f"--seeds {','.join(map(str, seeds))}: {out} has runs of the seeds {','.join(map(str, found))}. Give "
            "these, or another --out"
        )
    if (out / "config.json").exists():
        raise UserError(f"{out} holds a single run, expected a folder for several seeds; give another --out")
    if not found:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / FILE, {"seeds": list(seeds)})


def known(out: Path) -> list[int]:
    """Return the seeds of the runs in a folder, none where it is not one of several seeds."""
    path = out / FILE
    return read_json(path, "seeds of several runs", {"seeds": [int]})["seeds"] if path.is_file() else []


def summarise(out: Path, records: Mapping[int, Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """Write each seed's figures `names`, their mean and standard deviation; return a line for each to be printed.

    Figures are numbers, or have one as their "value"; the deviation is that of a sample, absent for a single seed.
    """
    summary: dict[str, Any] = {"seeds": list(records)}
    lines = []
    for name in names:
        found = [record.get(name) for record in records.values()]
        values: list[Any] = [value["value"] if isinstance(value, Mapping) else value for value in found]
        if not all(isinstance(value, float) for value in values):
            continue
        deviation = stdev(values) if len(values) > 1 else None
        summary[name] = {"mean": fmean(values), "deviation": deviation, "values": values}
        spread = "" if deviation is None else f", standard deviation {deviation:.3f}"
        each = ", ".join(f"{value:.3f}" for value in values)
        lines.append(f"{name} over {len(values)} seeds: mean {fmean(values):.3f}{spread} ({each})")
    write_json(out / FILE, summary)
    return lines
