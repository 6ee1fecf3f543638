"""Make a table or figure of a paper, published figures and ours side by side.

    python scripts/reproduce.py --list
    python scripts/reproduce.py bakhshi-table-3 --data-root DIR --out runs/bakhshi
    python scripts/reproduce.py khan-table-5 --data-root DIR --seeds 0 1 2 --allow-incomplete
    python scripts/reproduce.py zhao-table-5 --corpus ravdess --data-root DIR   # its form on another corpus
    python scripts/reproduce.py bakhshi-table-3 --synthetic

Trains every network of the table that --out does not have yet, each in a folder of its own, then writes table.md,
table.csv and the figure (PNG and SVG) there. Repeat an interrupted command to go on. What the table varies is set run
by run; all other flags of train.py hold for all its runs, and the rest is each network's own recipe. --data-root is the
corpus's folder, for a table of several corpora the folder around them.
"""

import os
from pathlib import Path

from zoo.config import flags as config_flags
from zoo.config.run_config import RunConfig
from zoo.errors import UserError, unknown
from zoo.utils.backends import use_backend
from zoo.utils.parser import Numbers, Parser


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("name", nargs="?", help="table or figure; --list has them all")
    parser.add_argument("--list", action="store_true", help="list them with the data each needs, and exit")
    parser.add_argument("--seeds", action=Numbers, nargs="+", help="seeds of each network (default: the table's)")
    parser.add_argument(
        "--only", nargs="+", default=(), metavar="RUN", help="runs of the table, by their folders' names; * is anything"
    )
    parser.add_argument("--resume", action="store_true", help="go on in --out, as a repeated command does by itself")
    config_flags.add_flags(parser)
    parser.hide(("model", "recipe", "fold", "seed"))
    given = vars(parser.parse_args())
    name, listed, seeds = given.pop("name"), given.pop("list"), given.pop("seeds")
    resume, only = given.pop("resume"), tuple(given.pop("only"))

    from zoo.reproduction import jobs, run_job
    from zoo.reproduction.job import Asked

    if listed:
        print(jobs.in_plain_text())
        return
    if name is None:
        raise UserError("expected the name of a table or figure, found none; --list has them all")
    if name not in jobs.JOBS:
        raise unknown("table or figure", name, jobs.JOBS)
    if "seed" in given:
        raise UserError(f"--seed {given['seed']}: a table may have several. Give --seeds {given['seed']}")
    job = jobs.JOBS[name]
    out = Path(given.pop("out", f"runs/{job.family}{'-synthetic' if given.get('synthetic') else ''}"))
    if resume and not out.is_dir():
        raise UserError(f"--resume: expected what an earlier start left in {out}, found nothing. Leave --resume out")
    use_backend(given.get("backend") or os.environ.get("KERAS_BACKEND") or RunConfig.backend)
    run_job.run(Asked(job, out, tuple(dict.fromkeys(seeds or job.seeds)), given, only))
