"""Measure whole jobs, from audio files to scores, against nkululeko's SVM and autrainer's CNN10.

RAVDESS, fold 4, the same clips and split. Every job is run as a user runs it, in processes of its own: wall and
processor seconds, the peak resident memory of all its processes, and the unweighted average recall of the test clips.
"Cold" extracts features into a new folder, "kept" finds them there.

    python -m bench.peer_environments --out ~/peers
    python -m bench peers --peers ~/peers --data-root DIR

A toolkit without its environment is left out, and the note says so.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import inputs, peer_environments, peer_jobs
from bench.process_tree import Cost, measured
from bench.result import Result
from zoo.data.corpora import registry as corpora
from zoo.data.protocols import lookup
from zoo.data.schema import Fold

JOBS = ("egemaps_svm", "compare_svm", "attention_fcn")
FOLD = "4"
EPOCHS = 10
_SETS = {"egemaps_svm": "eGeMAPSv02", "compare_svm": "ComParE_2016"}
_ROOT = Path(__file__).resolve().parents[1]
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "Agg", "PYTHONPATH": ""}


@dataclass(frozen=True)
class Outcome:
    """What one job took and scored.

    Args:
        ua: unweighted average recall of the test clips, 0..1.
        note: what else is to be known of it.
    """

    cost: Cost
    ua: float
    note: str = ""


def measure(
    quick: bool,
    peers: str | None = None,
    data_root: str | None = None,
    epochs: int = EPOCHS,
    jobs: Sequence[str] = JOBS,
) -> list[Result]:
    """Return seconds, processor seconds, memory and recall of each job, ours against the peer's.

    Args:
        peers: folder of the environments (`bench.peer_environments`); without it ours alone are measured.
        data_root: folder of RAVDESS, by default the bench's.
        epochs: of both networks.
        jobs: of JOBS; the first of them alone if `quick`.
    """
    root = Path(data_root).resolve() if data_root else inputs.corpus_root()
    fold = the_fold(root)
    results = []
    for job in jobs[:1] if quick else jobs:
        with tempfile.TemporaryDirectory(prefix="peers-") as temporary:
            results += _compared(job, root, fold, Path(temporary), Path(peers) if peers else None, epochs)
    return results


def the_fold(root: Path) -> Fold:
    """Return RAVDESS's fold 4 as train.py divides it. Raises UserError as the loader and the protocol do."""
    clips = corpora.load(inputs.CORPUS, root).clips
    folds = lookup.division(lookup.get("", inputs.CORPUS), clips, allow_incomplete=True).folds
    return next(fold for fold in folds if fold.name.split("-")[0] == FOLD)


def _compared(job: str, root: Path, fold: Fold, folder: Path, peers: Path | None, epochs: int) -> list[Result]:
    ours = partial(_ours, job, root, folder, epochs)
    name = "nkululeko" if job in _SETS else "autrainer"
    reason = absence(peers, name)
    theirs: Callable[[str], Outcome] | None = None
    if not reason:
        assert peers is not None
        python = peer_environments.python_of(peers / name)
        run = partial(_nkululeko, _SETS[job]) if job in _SETS else partial(_autrainer, epochs)
        (folder / "peer").mkdir()
        theirs = partial(run, python, fold, folder / "peer")
        reason = f"against {peer_environments.described(peers, name)}"
    results = []
    for state in ("cold", "kept") if job in _SETS else ("cold",):
        outcomes = [_told(f"{job} {state}, {who}", run(state)) for who, run in (("ours", ours), (name, theirs)) if run]
        results += rows(f"{job} {state}", outcomes[0], outcomes[1] if theirs else None, reason)
    return results


def _told(what: str, outcome: Outcome) -> Outcome:
    """Say on standard error that one of the jobs is done: all of them take minutes."""
    cost = outcome.cost
    words = f"{cost.seconds:.1f} s, {cost.processor:.1f} s of processor, {cost.mib:.0f} MiB, UA {outcome.ua:.3f}"
    print(f"{what}: {words}", file=sys.stderr, flush=True)
    return outcome


def absence(peers: Path | None, name: str) -> str:
    """Return why a toolkit is left out, "" where its environment is whole."""
    make = "python -m bench.peer_environments --out DIR"
    if peers is None:
        return f"{name} left out: no --peers DIR ({make})"
    if peer_environments.facts_of(peers, name) is None:
        return f"{name} left out: no whole environment of it in --peers ({make})"
    return ""


def rows(name: str, ours: Outcome, theirs: Outcome | None, note: str) -> list[Result]:
    """Return the four rows of a job; a smaller ratio is better but in the last."""
    note = "; ".join(part for part in (note, ours.note, theirs.note if theirs else "") if part)
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    load += f", OMP_NUM_THREADS {os.environ['OMP_NUM_THREADS']}" if "OMP_NUM_THREADS" in os.environ else ""
    values = (
        ("", "s", lambda one: one.cost.seconds, f"wall{load}; {note}"),
        (" processor", "s", lambda one: one.cost.processor, "of all cores"),
        (" memory", "MiB", lambda one: one.cost.mib, "peak resident, all processes"),
        (" UA", "", lambda one: one.ua, "unweighted average recall of the test clips"),
    )
    return [
        Result(name + what, unit, value(ours), value(theirs) if theirs else None, note=words)
        for what, unit, value, words in values
    ]


def ours_command(job: str, root: Path, out: Path, cache: Path, epochs: int) -> list[str]:
    """Return the command that trains and tests one of our networks."""
    flags = ["--model", job, "--corpus", inputs.CORPUS, "--fold", FOLD, "--allow-incomplete"]
    if job not in _SETS:
        flags += ["--epochs", str(epochs), "--batch-size", str(peer_jobs.BATCH), "--patience", str(epochs)]
    places = ["--data-root", str(root), "--out", str(out), "--cache-dir", str(cache)]
    return [sys.executable, str(_ROOT / "scripts" / "train.py"), *flags, *places]


def _ours(job: str, root: Path, folder: Path, epochs: int, state: str) -> Outcome:
    out = folder / f"run-{state}"
    command = ours_command(job, root, out, folder / "cache", epochs)
    cost = measured(command, folder, folder / f"ours-{state}.log", {**_QUIET, "PYTHONPATH": str(_ROOT)})
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    return Outcome(cost, metrics["ua"]["value"], "" if job in _SETS else f"{epochs} epochs each")


def _nkululeko(feature_set: str, python: Path, fold: Fold, folder: Path, state: str) -> Outcome:
    command = [str(python), *peer_jobs.write_nkululeko(fold, folder, feature_set)]
    cost = measured(command, folder, folder / f"{state}.log", _QUIET)
    return Outcome(cost, peer_jobs.nkululeko_ua(cost.output), f"its C {peer_jobs.COMPLEXITY[feature_set]}")


def _autrainer(epochs: int, python: Path, fold: Fold, folder: Path, state: str) -> Outcome:
    steps = peer_jobs.write_autrainer(fold, folder, epochs)
    program = str(python.parent / "autrainer")
    costs = [measured([program, *step], folder, folder / f"{step[0]}.log", _QUIET) for step in steps]
    note = f"its features {costs[0].seconds:.1f} s of them"
    return Outcome(costs[0] + costs[1], peer_jobs.autrainer_ua(folder, fold.test), note)
