"""Compare finished runs on the same test utterances: figures and differences, with intervals and tests.

Runs that differ in their seed only are one system: its figures are means over its runs.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config import saved
from zoo.errors import UserError
from zoo.metrics import classification, regression, significance
from zoo.metrics.bootstrap import Parts, Pool, bootstrap_interval, figures
from zoo.runs.folder import corpus_name
from zoo.studies.finished_runs import FinishedRun, read_run

TESTS = {"bootstrap": "bootstrap", "sign_flips": "sign flips", "mcnemar": "McNemar", "z_test": "z-test"}


@dataclass(frozen=True)
class System:
    """Runs of one configuration, in order of their `seeds`."""

    name: str
    runs: tuple[FinishedRun, ...]
    seeds: tuple[int, ...]

    @property
    def parts(self) -> list[Parts]:
        return [run.parts for run in self.runs]

    @property
    def marks(self) -> list[str]:
        """Remarks that every table has of it."""
        found = {"leakage": leakage, "incomplete": absences, "warning": warnings}
        marks = ["synthetic"] if any(run.record["synthetic"] for run in self.runs) else []
        return marks + [mark for mark, lines_of in found.items() if any(lines_of(run.record) for run in self.runs)]


@dataclass(frozen=True)
class Score:
    """A figure's mean over runs, its 95 % interval over speakers and runs, and the runs' standard deviation, or NaN."""

    value: float
    low: float
    high: float
    deviation: float


@dataclass(frozen=True)
class Difference:
    """`other` less `reference` in one figure, with its 95 % interval."""

    figure: str
    reference: str
    other: str
    value: float
    low: float
    high: float
    p: Mapping[str, float]  # by the names of `TESTS`, NaN where one does not apply
    corrected: Mapping[str, float]  # after Holm


@dataclass(frozen=True)
class Comparison:
    """The tables' content. `scores` are by system and figure; `n_tested` counts utterances, or rated recordings."""

    figures: tuple[str, ...]
    corpus: str
    protocol: str
    n_tested: int
    n_speakers: int
    systems: tuple[System, ...]
    scores: Mapping[str, Mapping[str, Score]]
    differences: tuple[Difference, ...]
    postprocessed: bool = False

    @property
    def continuous(self) -> bool:
        return self.systems[0].runs[0].continuous

    @property
    def n_pairs(self) -> int:
        return len(self.differences) // len(self.figures)


def compare_runs(
    folders: Sequence[Path],
    all_pairs: bool = False,
    by_run: bool = False,
    postprocessed: bool = False,
    names: Sequence[str] = (),
) -> Comparison:
    """Compare every system with the first one, or with `all_pairs` with every other.

    `by_run` takes every run as a system of its own. `postprocessed` compares ratings after their post-processing.
    `names` are what the systems are called, in the order of their first runs; without them as their runs were by
    --name, or else as their folders.

    Raises UserError for less than two runs or systems, a folder given twice, other names than systems, runs that
    `read_run` refuses or that were not tested on the same utterances.
    """
    if len(folders) < 2:
        raise UserError(f"expected two runs or more to compare, found {len(folders)}; give another run's folder")
    for folder, count in Counter(folder.resolve() for folder in folders).items():
        if count > 1:
            raise UserError(f"{folder} is given twice; give another run's folder")
    runs = [read_run(folder, with_settings=not by_run, postprocessed=postprocessed) for folder in folders]
    for run in runs[1:]:
        check_comparable(runs[0], run)
    systems = _systems(runs, by_run, names)
    if len(systems) < 2:
        found = f"the {len(runs)} runs differ in their seed only and are one system; expected two"
        raise UserError(f"{found}. Give one of another configuration, or --by-run to take every run by itself")
    first, pool = runs[0], regression.concordances if runs[0].continuous else classification.accuracies
    scored = ("CCC", *(f"CCC {name}" for name in first.outputs)) if first.continuous else ("WA", "UA")
    pairs = list(combinations(systems, 2)) if all_pairs else [(systems[0], other) for other in systems[1:]]
    return Comparison(
        figures=scored,
        corpus=corpus_name(first.record),
        protocol=first.record["protocol"],
        n_tested=len(first.truth),
        n_speakers=len(first.parts),
        systems=tuple(systems),
        scores={system.name: dict(zip(scored, _scores(system, pool), strict=True)) for system in systems},
        differences=tuple(_differences(pairs, scored, pool)),
        postprocessed=postprocessed,
    )


def leakage(record: Mapping[str, Any]) -> list[str]:
    """Return what a record states of speakers or audio on both sides of a split."""
    protocol = [] if record.get("speaker_independent", True) else ["by its protocol"]
    return list(record.get("leakage") or protocol)


def absences(record: Mapping[str, Any]) -> list[str]:
    """Return what a record states of utterances that were absent or left out."""
    bad = record.get("bad_clips") or []
    return [*(record.get("notes") or []), *([f"{len(bad)} clips left out as unusable"] if bad else [])]


def warnings(record: Mapping[str, Any]) -> list[str]:
    """Return a record's warnings, a sentence each; records of older versions have no such entry."""
    return list(record.get("warnings") or [])


def check_comparable(first: FinishedRun, run: FinishedRun) -> None:
    """Raise UserError unless two runs have one task, corpus, protocol, outputs, and test clips with the same truth."""
    where = f"{first.folder} and {run.folder} cannot be compared"
    facts = {
        "task": ["ratings" if item.continuous else "classes" for item in (first, run)],
        "corpus": [corpus_name(item.record) for item in (first, run)],
        "protocol": [item.record["protocol"] for item in (first, run)],
        "dimensions" if first.continuous else "classes": [", ".join(item.outputs) for item in (first, run)],
    }
    for what, (expected, found) in facts.items():
        if expected != found:
            found = f"{what} of the first: {expected}; of the second: {found}"
            raise UserError(f"{where}: {found}. Give runs of one {what}")
    missing, more = first.truth.keys() - run.truth.keys(), run.truth.keys() - first.truth.keys()
    unit, truth = ("recordings", "rated frames") if first.continuous else ("clips", "class")
    if missing or more:
        raise UserError(
            f"{where}: of their test {unit}, {len(missing)} are in the first only and {len(more)} in the second only, "
            f"first of all {' '.join(min(missing or more))}. Test both on the same (--protocol, --fold, clips left out)"
        )
    if changed := sorted(key for key in first.truth if first.truth[key] != run.truth[key]):
        both = "release of the corpus and --frame-seconds" if first.continuous else "release of the corpus"
        raise UserError(
            f"{where}: {len(changed)} of {len(first.truth)} test {unit} have another speaker or {truth}, first of all "
            f"{' '.join(changed[0])}. Test both on the same {both}"
        )


def _systems(runs: Sequence[FinishedRun], by_run: bool, names: Sequence[str]) -> list[System]:
    """Group runs by configuration and data, in the order of their first runs.

    Raises UserError where a configuration and seed come twice, or `names` are not one for each.
    """
    groups: dict[Any, list[FinishedRun]] = {}
    for number, run in enumerate(runs):
        kept = {name: value for name, value in run.settings.items() if name not in (*saved.PLACES, "seed")}
        kept |= {name: bool(run.settings.get(name)) for name in ("teacher", "init_from")}
        configuration = json.dumps([kept, run.record.get("data_sha256")], sort_keys=True)
        groups.setdefault(number if by_run else configuration, []).append(run)
    found = []
    for name, group in zip(_checked(names, len(groups)) or _names(list(groups.values())), groups.values(), strict=True):
        group.sort(key=lambda run: run.seed)
        for one, other in pairwise(group):
            if one.seed == other.seed:
                both = f"{one.folder} and {other.folder} have one configuration and seed {one.seed}"
                raise UserError(f"{both}. Leave one of them out, or take every run by itself with --by-run")
        found.append(System(name, tuple(group), () if by_run else tuple(run.seed for run in group)))
    return found


def _checked(names: Sequence[str], wanted: int) -> list[str]:
    """Return names of systems. Raises UserError unless there are none, or `wanted` that differ and are not empty."""
    if names and (len(names) != wanted or len(set(names)) < wanted or not all(name.strip() for name in names)):
        found = ", ".join(map(repr, names))
        raise UserError(
            f"--name: expected a name for each of the {wanted} systems, no two alike, found {found}. Give --name "
            "once for each, in the order of their first runs"
        )
    return list(names)


def _names(groups: Sequence[Sequence[FinishedRun]]) -> list[str]:
    """Name a system as its runs by --name, or else as its run's folder; of several, as they are less the seed's number.

    Names that would be alike are paths.
    """

    def name(paths: Sequence[str]) -> str:
        shared = {re.sub(r"[-_. ]*(seed)?[-_. ]*\d+$", "", path) for path in paths}
        several = shared.pop() if len(shared) == 1 else f"{paths[0]} and {len(paths) - 1} more"
        return several if len(paths) > 1 else paths[0]

    def given(group: Sequence[FinishedRun]) -> str:
        names = {str(run.record.get("name") or "") for run in group}
        return names.pop() if len(names) == 1 else ""

    short = [given(group) or name([run.folder.resolve().name for run in group]) for group in groups]
    whole = [name([str(run.folder) for run in group]) for group in groups]
    distinct = short if len(set(short)) == len(short) else whole
    return distinct if len(set(distinct)) == len(distinct) else [str(group[0].folder) for group in groups]


def _scores(system: System, pool: Pool) -> list[Score]:
    by_run = figures(system.parts, pool)
    low, high = bootstrap_interval(system.parts, pool)
    deviation = np.std(by_run, axis=0, ddof=1) if len(by_run) > 1 else np.full(len(low), np.nan)
    return [Score(*values) for values in np.stack([by_run.mean(axis=0), low, high, deviation], axis=1).tolist()]


def _differences(pairs: Sequence[tuple[System, System]], names: Sequence[str], pool: Pool) -> list[Difference]:
    """Test each pair; p are corrected for the number of pairs, each figure and test by itself."""
    bounds = np.zeros((len(pairs), len(names), 3))  # value, low, high
    p = np.full((len(pairs), len(names), len(TESTS)), np.nan)  # in the order of TESTS
    for number, (reference, other) in enumerate(pairs):
        paired, one, two = reference.seeds == other.seeds, reference.parts, other.parts
        mean_one, mean_two = (figures(parts, pool).mean(axis=0) for parts in (one, two))
        low, high, p[number, :, 0] = significance.paired_bootstrap(one, two, pool, paired)
        bounds[number] = np.stack([mean_two - mean_one, low, high], axis=1)
        p[number, :, 1] = significance.sign_flips(one, two, pool, paired)
        if names[0] == "WA":
            right, right_of_other = ([run.right for run in system.runs] for system in (reference, other))
            p[number, 0, 2] = significance.mcnemar(right, right_of_other, paired)
            n_clips = len(right[0])
            p[number, 0, 3] = classification.z_test(mean_one[0], n_clips, mean_two[0], n_clips)[1]
    corrected = np.apply_along_axis(significance.holm, 0, p)
    found = []
    for number, (reference, other) in enumerate(pairs):
        for k, name in enumerate(names):
            by_test = (dict(zip(TESTS, values[number, k].tolist(), strict=True)) for values in (p, corrected))
            found.append(Difference(name, reference.name, other.name, *bounds[number, k].tolist(), *by_test))
    return found
