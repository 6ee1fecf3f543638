"""The part of a command that works shard by shard: its flags, its pool of workers, its progress."""

import argparse
import sys
from typing import Any

from zoo.distributed.drive import drive
from zoo.distributed.pool import Job, Pool
from zoo.distributed.shards import MANIFEST, Shards
from zoo.errors import UserError
from zoo.utils import extras
from zoo.utils.progress import Progress
from zoo.utils.text import printable

MOST_WORKERS = 64  # on this machine
_FLAGS: dict[str, dict[str, Any]] = {
    "ray": {"metavar": "ADDRESS", "help": "shards on a Ray cluster: auto, ray://HOST:10001, or local"},
    "shard-size": {"type": int, "help": "files of a shard"},
    "cpus-per-shard": {"type": float, "help": "cores of a shard on Ray (default: 1)"},
    "gpus-per-shard": {"type": float, "help": "GPUs of a shard on Ray, 0.25 for four on one (default: 0)"},
}


def add_flags(group: Any, size: str) -> None:
    """Add the flags of work by shards to a group of a parser; `size` is the default of --shard-size in words."""
    for name, options in _FLAGS.items():
        words = f" (default: {size})" if name == "shard-size" else ""
        group.add_argument(f"--{name}", **{**options, "help": options["help"] + words})


def check(args: argparse.Namespace) -> None:
    """Raise UserError for flags of workers and shards that are out of range, or have no effect."""
    most = 1_000_000 if args.ray else MOST_WORKERS
    if not 1 <= args.workers <= most:
        where = "" if args.ray else " on this machine; --ray ADDRESS takes more (docs/cluster.md)"
        raise UserError(f"--workers is {args.workers}, expected 1 to {most}{where}")
    if args.shard_size is not None and args.shard_size < 1:
        raise UserError(f"--shard-size is {args.shard_size}, expected at least 1")
    for name, least in (("cpus_per_shard", 0.01), ("gpus_per_shard", 0.0)):
        value, flag = getattr(args, name), f"--{name.replace('_', '-')}"
        if value is not None and not args.ray:
            raise UserError(f"{flag} has an effect with --ray alone; leave it out")
        if value is not None and not value >= least:
            raise UserError(f"{flag} is {value}, expected at least {least:g}")
    if args.ray:
        extras.need("ray", f"--ray {args.ray}")


def work(shards: Shards, job: Job, args: argparse.Namespace) -> int:
    """Make all shards that are not there yet; print what became of them; return the exit code, 1 where files failed.

    Raises UserError as `drive` and the pools do.
    """
    if not shards.is_done():
        with Progress() as progress, progress.task("shards", len(shards)) as advance:

            def say(line: str) -> None:
                if line:
                    progress.line(line)
                advance(shards.done)

            drive(shards, _pool(shards, job, args), say)
    n_failed = shards.collect_failed()
    before = f", {shards.before} of them before" if shards.before else ""
    given_up = f", {shards.lost} given up" if shards.lost else ""
    print(
        f"{shards.n_items} files in {len(shards)} shards{before}{given_up}: {n_failed} failed"
        + (f", named in {printable(str(shards.folder / 'failed.csv'))}" if n_failed else ""),
        file=sys.stderr,
    )
    print(f"results: {printable(str(shards.folder))}", file=sys.stderr)
    return 1 if n_failed else 0


def _pool(shards: Shards, job: Job, args: argparse.Namespace) -> Pool:
    if not args.ray:
        from zoo.distributed.local_workers import LocalWorkers

        return LocalWorkers(min(args.workers, len(shards)), shards.folder, job)
    from zoo.distributed.ray_workers import RayWorkers

    cpus, gpus = args.cpus_per_shard or 1.0, args.gpus_per_shard or 0.0
    return RayWorkers(args.ray, args.workers, shards.folder, job, MANIFEST, cpus=cpus, gpus=gpus)
