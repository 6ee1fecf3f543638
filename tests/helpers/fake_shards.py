"""Stand-in for what is made of shards, in tests of their driver (as a program: fake_shards.py FOLDER ITEMS WORKERS).

An item "die-N" ends its worker N times; "bad" fails; "bug" and "full" raise; any other becomes a line of the result.
"""

import errno
import os
import signal
import sys
import time
from pathlib import Path

from zoo.distributed import shard
from zoo.distributed.pool import Ended, Job
from zoo.errors import UserError

SUFFIX = ".txt"


def job(seconds=0.0):
    return Job("fake_shards:opened", {"seconds": seconds}, "shard")


def opened(seconds):
    def make(folder, content):
        with shard.result(folder, content["shard"], SUFFIX) as (aside, failed), aside.open("w") as file:
            time.sleep(seconds)
            for item in content["items"]:
                file.writelines(_lines(folder, item, failed))
                file.flush()

    return shard.guarded(make)


def _lines(folder, item, failed):
    kind, _, number = item.partition("-")
    if kind == "die":
        with (folder / f"{item}.starts").open("a+") as file:
            file.write("x")
            file.seek(0)
            if len(file.read()) <= int(number):
                os.kill(os.getpid(), signal.SIGKILL)
    if item == "bad":
        failed.append((item, "silent", "bad: expected speech"))
        return
    if item == "bug":
        raise ValueError("a bug\nof two lines")
    if item == "full":
        raise OSError(errno.ENOSPC, "No space left on device")
    yield f"{item}\n"


def lines(folder):
    """Return the lines of all results, in the shards' order."""
    return [
        line for path in sorted((folder / "shards").glob(f"[0-9]*{SUFFIX}")) for line in path.read_text().splitlines()
    ]


class InProcess:
    """A pool of one worker, this process."""

    def __init__(self, folder, job):
        self.folder, self.job, self.runner, self.ended = folder, job, None, []

    def free(self):
        return [] if self.ended else ["here"]

    def start(self, worker, task):
        self.runner = self.runner or self.job.open()
        self.ended.append(Ended(task.name, self.runner(self.folder, task.content)))

    def wait(self, seconds):
        ended, self.ended = self.ended, []
        return ended

    def close(self):
        pass


if __name__ == "__main__":
    from zoo.distributed import shards
    from zoo.distributed.drive import drive
    from zoo.distributed.local_workers import LocalWorkers
    from zoo.utils.cli import run

    def main(folder, n_items, n_workers):
        items = (f"item {number}" for number in range(n_items))
        with shards.opened(folder, {}, items, 10, SUFFIX, resume=True) as found:
            drive(found, LocalWorkers(n_workers, folder, job(0.05)), lambda line: None)
        if found.lost:
            raise UserError("shards were lost")

    run(lambda: main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
