"""Cut a long list into shards, as predict.py and extract.py do before the work; record seconds and memory.

python -m bench.bulk_list FOLDER --files 1000000 --out record.json
"""

import json
import resource
import sys
import time
from pathlib import Path

from zoo.distributed import shards
from zoo.inference import places
from zoo.utils.atomic_files import write_json
from zoo.utils.cli import run
from zoo.utils.parser import Parser


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--files", type=int, default=1_000_000, help="number of names")
    parser.add_argument("--out", type=Path, required=True, help="file of the record, JSON")
    args = parser.parse_args()
    args.folder.mkdir(parents=True)
    list_ = args.folder / "list.txt"
    with list_.open("w") as file:
        file.writelines(f"/corpus/speaker-{n % 5000:04}/session-{n % 7}/{n:08}.wav\n" for n in range(args.files))
    before, start = peak_mb(), time.process_time()
    names = places.in_turn((), list_, None, lambda name, message: None)
    with shards.opened(args.folder / "out", {}, names, 1024, ".jsonl", False) as found:
        seconds, n_names = time.process_time() - start, 0
        planned = peak_mb()
        while not isinstance(task := found.next("worker"), str):
            n_names += len(task.content["items"])
            found.finish(task.name, {}, "worker")
    record = {
        "files": args.files,
        "shards": len(found),
        "names_handed_out": n_names,
        "list_mb": round(list_.stat().st_size / 1e6, 1),
        "processor_seconds_to_cut": round(seconds, 1),
        "processor_seconds_to_hand_out": round(time.process_time() - start - seconds, 1),
        "peak_mb_before": before,
        "peak_mb_after_cutting": planned,
        "peak_mb_at_the_end": peak_mb(),
        "command": "python -m bench.bulk_list " + " ".join(sys.argv[1:]),
    }
    write_json(args.out, record)
    print(json.dumps(record, indent=1))


def peak_mb() -> float:
    """Return this process's largest memory so far, in MB (Linux)."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


if __name__ == "__main__":
    run(main)
