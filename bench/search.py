"""Measure a search by two workers of one core each against one worker of one core."""

import os
import tempfile
import time
from pathlib import Path

from bench.result import Result
from tuning.distributed.drive import drive, on_this_machine
from tuning.search import Search
from zoo.data.synthetic.corpora import synthesize

TARGET = 0.6


def measure(quick: bool) -> list[Result]:
    trials, epochs, clips = (2, 1, 100) if quick else (16, 40, 300)
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder) / "emodb", Path(folder) / "cache"
        synthesize("emodb", root, clips, seed=0)
        base = {
            "corpus": "emodb",
            "data_root": str(root),
            "cache_dir": str(cache),
            "allow_incomplete": True,
            "fold": "0",
            "epochs": epochs,
            "backend": "tensorflow",
        }
        seconds = {}
        # The first, untimed, leaves the features in the cache, so that both find them there.
        for workers, name in ((1, "features"), (2, "two"), (1, "one")):
            description = {
                "model": "cnn1d_mfcc",
                "base": base,
                "space": {"learning_rate": {"low": 1e-4, "high": 1e-2, "sampling": "log"}, "batch_size": [16, 32]},
                "tuner": "random",
                "trials": 1 if name == "features" else trials,
                "inner_folds": 2,
            }
            search = Search.create(Path(folder) / name, description)
            start = time.perf_counter()
            try:
                drive(search, on_this_machine(workers, Path(folder) / name, threads=1), lambda line: None)
            finally:
                search.close()
            seconds[name] = time.perf_counter() - start
    note = f"{trials} trials of cnn1d_mfcc, {epochs} epochs, 2 inner folds; start of the workers counted"
    note += f"; {os.cpu_count()} cores"
    return [Result("search", "s", seconds["two"], seconds["one"], TARGET, "at most", note)]
