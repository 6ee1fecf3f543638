"""Measure conversions of speech encoders: seconds and peak memory, random weights -> published form -> ours.

    python -m bench.encoder_conversion --out docs/runs/encoders/conversion.json

Each command runs in a process of its own; its seconds are without the start of Python, its peak is of resident memory.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.processes import in_own_process, peak_mib
from zoo import measurements
from zoo.utils.atomic_files import write_json

ENCODERS = ("wav2vec2-base", "wavlm-large")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoders", nargs="*", default=ENCODERS, metavar="FAMILY-SIZE", help="which")
    parser.add_argument("--out", type=Path, required=True, help="file of the record, JSON")
    args = parser.parse_args()
    record = {"encoders": {name: measured(name) for name in args.encoders}}
    write_json(args.out, record)
    print(measurements.conversions(record))


def measured(name: str) -> list[dict[str, Any]]:
    """Convert an encoder there and back; return each command with its figures."""
    with tempfile.TemporaryDirectory() as place:
        ours, theirs, again, half = (str(Path(place) / name) for name in ("ours", "theirs", "again", "half"))
        commands = {
            f"--random {name}": ["--random", name, "--out", ours],
            "--back": [ours, "--back", "--out", theirs],
            "FOLDER": [theirs, "--out", again],
            "FOLDER --dtype float16": [theirs, "--out", half, "--dtype", "float16"],
        }
        rows = [{"command": said, **in_own_process(_converted, words)} for said, words in commands.items()]
        for row, folder in zip(rows, (ours, theirs, again, half), strict=True):
            row["mib"] = max(path.stat().st_size for path in Path(folder).glob("*.safetensors")) / 2**20
        return rows


def _converted(words: list[str]) -> dict[str, float]:
    from zoo.commands import convert_weights

    sys.argv = ["ser convert-weights", *words]
    before, begin = peak_mib(), time.perf_counter()
    convert_weights.main()
    return {"seconds": time.perf_counter() - begin, "peak_mib": peak_mib(), "peak_before_mib": before}


if __name__ == "__main__":
    main()
