"""Simulate learning from few labels on a corpus whose labels are known, and compare strategies.

    python scripts/learn.py --model compare_svm --corpus ravdess --data-root DIR --strategy random --out learn/random
    python scripts/learn.py --model compare_svm --corpus ravdess --data-root DIR --strategy cooperative --out learn/coop
    python scripts/learn.py --model residual_bigru --corpus ravdess --data-root DIR --strategy active --out learn/net
    python scripts/learn.py --compare learn/random learn/active learn/semi learn/coop --out learn/all

The training side of each fold is the pool. People label the first clips of each class at random, then a batch at a
time; the strategy says about which clips they are asked, and what the machine labels itself. Results lie in --out:
curve.csv, summary.json, curve.png and .svg, and the labels that were given. Repeat an interrupted command to go on:
finished folds and seeds are kept.
"""

import argparse
from pathlib import Path
from typing import Any

from zoo.config import flags, packages
from zoo.errors import UserError
from zoo.utils.backends import announce_device, use_backend
from zoo.utils.parser import Numbers, Parser
from zoo.utils.text import printable

_PLAN = ("strategy", "query", "budget", "initial", "batch", "second_view")
_SURE = ("confidence", "balance", "rounds")
_OTHERS = ("unguarded", "seeds", "second_recipe", "compare")
# What both views of co-training have in common.
_SHARED = (
    *("corpus", "protocol", "fold", "data_root", "synthetic", "clips", "allow_incomplete", "allow_leakage"),
    *("target", "classes", "column", "label_map", "from_names", "audio_root"),
    *("on_bad_clip", "max_clip_seconds", "cache_dir", "backend"),
)


def main() -> None:
    given = vars(parse().parse_args())
    own = {name: given.pop(name) for name in (*_PLAN, *_SURE, *_OTHERS) if name in given}
    if not given.get("out"):
        raise UserError("learn.py needs --out DIR, the folder of the results")
    out = Path(given.pop("out"))
    if "compare" in own:
        _compare(own.pop("compare"), out, {**own, **given})
    else:
        _simulate(own, given, out)
    print(f"results: {printable(str(out))}")


def _simulate(own: dict[str, Any], given: dict[str, Any], out: Path) -> None:
    if "seed" in given:
        raise UserError("--seed is for train.py; give the seeds of the curves, as in --seeds 0 1 2")
    settings = flags.from_flags({"model": "compare_svm", **given})
    packages.check(settings)
    use_backend(settings.backend)

    from zoo.learning import curves, report, simulation  # after the backend is chosen
    from zoo.learning.plan import Plan
    from zoo.learning.semi_supervised import Sure

    sure = Sure(**{name: own[name] for name in _SURE if name in own}, guarded="unguarded" not in own)
    plan = Plan(**{name: own[name] for name in _PLAN if name in own}, sure=sure)
    seeds = own.get("seeds", [0, 1, 2])
    simulation.check(settings, plan, seeds)
    second = None
    if plan.way.machine == "co-training":
        shared = {name: given[name] for name in _SHARED if name in given}
        recipe = {"recipe": own["second_recipe"]} if "second_recipe" in own else {}
        second = flags.from_flags({**shared, **recipe, "model": plan.second_view})
        simulation.check_model(second, "--second-view")
    elif "second_recipe" in own:
        raise UserError(f"--second-recipe has no effect on --strategy {plan.strategy}; leave it out")
    announce_device()
    simulation.run(settings, plan, seeds, out, second)
    print(report.sentence(report.write(curves.load(out))))


def _compare(folders: list[Path], out: Path, others: dict[str, Any]) -> None:
    if others:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        raise UserError(f"--compare takes folders and --out alone, found {named} too; leave it out")

    from zoo.learning import curves, report

    print(report.markdown(report.compare([curves.load(folder) for folder in folders], out)))


def parse() -> Parser:
    from zoo.learning.plan import QUERY, SECOND_VIEW, STRATEGIES, Plan
    from zoo.learning.semi_supervised import Sure
    from zoo.learning.strategies import STRATEGIES as QUERIES

    parser = Parser(description=__doc__)
    none = argparse.SUPPRESS
    plan = parser.add_argument_group("labelling")
    plan.add_argument("--strategy", default=none, help=f"{' | '.join(STRATEGIES)} (default: {Plan.strategy})")
    queries = f"{' | '.join(QUERIES)}: how active and cooperative choose clips for people (default: {QUERY})"
    plan.add_argument("--query", default=none, help=queries)
    plan.add_argument(
        "--budget", type=int, default=none, metavar="N", help=f"labels by people (default: {Plan.budget})"
    )
    first = f"of these, labels of each class to begin with (default: {Plan.initial})"
    plan.add_argument("--initial", type=int, default=none, metavar="N", help=first)
    plan.add_argument("--batch", type=int, default=none, metavar="N", help=f"labels at a time (default: {Plan.batch})")
    seeds = "of what is drawn, a curve each (default: 0 1 2)"
    plan.add_argument("--seeds", action=Numbers, nargs="+", default=none, metavar="N", help=seeds)
    machine = parser.add_argument_group("labels by the machine")
    least = f"calibrated probability from which it labels a clip (default: {Sure.confidence})"
    machine.add_argument("--confidence", type=float, default=none, metavar="P", help=least)
    most = f"at most so many of a class for every label by people per class (default: {Sure.balance:g})"
    machine.add_argument("--balance", type=float, default=none, metavar="X", help=most)
    rounds = f"of labelling and fitting, in which labels may be taken back (default: {Sure.rounds})"
    machine.add_argument("--rounds", type=int, default=none, metavar="N", help=rounds)
    keep = "keep a round of labels by the machine that lowers the UA of validation clips, and go on"
    machine.add_argument("--unguarded", action="store_true", default=none, help=keep)
    view = f"co-training's second model of the same clips (default: {SECOND_VIEW})"
    machine.add_argument("--second-view", default=none, metavar="MODEL", help=view)
    machine.add_argument("--second-recipe", default=none, metavar="NAME", help="its preset (default: its first)")
    together = "draw several results together and compare them"
    parser.add_argument("--compare", type=Path, nargs="+", default=none, metavar="DIR", help=together)
    flags.add_flags(parser)
    parser.hide(("seed", "initial", "balance", "rounds", "unguarded", "second_view", "second_recipe"))
    return parser
