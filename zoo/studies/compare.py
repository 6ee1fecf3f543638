"""How finished runs differ on the same test clips, with intervals and tests: systems in, figures and differences out.

Runs that differ in their seed only are one system: its figures are means over its runs.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config import saved
from zoo.errors import UserError
from zoo.metrics import classification, significance
from zoo.runs.folder import corpus_name
from zoo.studies.finished_runs import FinishedRun, read_run

INTERVAL_RESAMPLES = 2_000  # of a system's own figures, as of those in metrics.json
TESTS = {"bootstrap": "bootstrap", "sign_flips": "sign flips", "mcnemar": "McNemar", "z_test": "z-test"}


@dataclass(frozen=True)
class System:
    """Runs of one configuration, in order of their `seeds`."""

    name: str
    runs: tuple[FinishedRun, ...]
    seeds: tuple[int, ...]

    @property
    def parts(self) -> list[Sequence[Any]]:
        return [run.parts for run in self.runs]

    @property
    def right(self) -> np.ndarray:
        return np.stack([run.right for run in self.runs])

    @property
    def marks(self) -> tuple[str, ...]:
        """What every table says of it."""
        records = [run.record for run in self.runs]
        found = {
            "synthetic": any(record["synthetic"] for record in records),
            "leakage": any(map(leakage, records)),
            "incomplete": any(map(absences, records)),
            "warning": any(map(warnings, records)),
        }
        return tuple(mark for mark, holds in found.items() if holds)

    @property
    def warnings(self) -> list[str]:
        """What its runs warn of, each sentence once."""
        return list(dict.fromkeys(line for run in self.runs for line in warnings(run.record)))


@dataclass(frozen=True)
class Score:
    """A system's figure: the mean over its runs, its 95 % interval over speakers and runs, and the runs' standard
    deviation. NaN where there is none."""

    value: float
    low: float
    high: float
    deviation: float


@dataclass(frozen=True)
class Difference:
    """`other` less `reference` in one figure, with its 95 % interval. `p` and, after Holm, `corrected` are by the names
    of `TESTS`; NaN where a test does not apply."""

    figure: str
    reference: str
    other: str
    value: float
    low: float
    high: float
    p: Mapping[str, float]
    corrected: Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """What the tables show. `scores` are by system and figure; `n_tested` counts clips, or recordings with ratings."""

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
    folders: Sequence[Path], all_pairs: bool = False, by_run: bool = False, postprocessed: bool = False
) -> Comparison:
    """Compares every system with the first one, or with `all_pairs` with every other.

    `by_run` takes every run as a system of its own, whatever its seed. `postprocessed` compares ratings after their
    post-processing. Raises UserError for less than two runs or systems, a folder given twice, what `read_run` refuses,
    and runs that were not tested on the same clips.
    """
    _check_folders(folders)
    runs = [read_run(folder, with_settings=not by_run, postprocessed=postprocessed) for folder in folders]
    for run in runs[1:]:
        check_comparable(runs[0], run)
    found = systems(runs, by_run)
    if len(found) < 2:
        raise UserError(
            f"the {len(runs)} runs differ in their seed only and are one system; expected another to compare it with. "
            "Give a run of another configuration, or --by-run to take every run by itself"
        )
    first, pool = runs[0], significance.concordances if runs[0].continuous else significance.accuracies
    names = ("CCC", *(f"CCC {name}" for name in first.outputs)) if first.continuous else ("WA", "UA")
    pairs = list(combinations(found, 2)) if all_pairs else [(found[0], other) for other in found[1:]]
    differences = [item for pair in pairs for item in _differences(*pair, names, pool)]
    return Comparison(
        figures=names,
        corpus=corpus_name(first.record),
        protocol=first.record["protocol"],
        n_tested=len(first.truth),
        n_speakers=len(first.parts),
        systems=tuple(found),
        scores={system.name: dict(zip(names, _scores(system, pool), strict=True)) for system in found},
        differences=tuple(_corrected(differences, names)),
        postprocessed=postprocessed,
    )


def check_comparable(first: FinishedRun, run: FinishedRun) -> None:
    """Raises UserError unless two runs have one task, corpus, protocol, outputs, and test clips with the same truth."""
    where = f"{first.folder} and {run.folder} cannot be compared"
    facts = {
        "task": [("ratings" if item.continuous else "classes") for item in (first, run)],
        "corpus": [corpus_name(item.record) for item in (first, run)],
        "protocol": [item.record["protocol"] for item in (first, run)],
        "dimensions" if first.continuous else "classes": [", ".join(item.outputs) for item in (first, run)],
    }
    for what, (expected, found) in facts.items():
        if expected != found:
            raise UserError(
                f"{where}: {what} of the first: {expected}; of the second: {found}. Give runs of one {what}"
            )
    missing, more = sorted(first.truth.keys() - run.truth.keys()), sorted(run.truth.keys() - first.truth.keys())
    unit = "recordings" if first.continuous else "clips"
    if missing or more:
        raise UserError(
            f"{where}: of their test {unit}, {len(missing)} are in the first only and {len(more)} in the second only, "
            f"first of all {' '.join(min(missing + more))}. Test both on the same ones (--protocol, --fold, clips left "
            "out)"
        )
    changed = sorted(key for key in first.truth if first.truth[key] != run.truth[key])
    if changed:
        truth = "rated frames" if first.continuous else "class"
        raise UserError(
            f"{where}: {len(changed)} of {len(first.truth)} test {unit} have another speaker or {truth}, first of all "
            f"{' '.join(changed[0])}. Test both on the same release of the corpus"
            f"{' and the same --frame-seconds' if first.continuous else ''}"
        )


def systems(runs: Sequence[FinishedRun], by_run: bool = False) -> list[System]:
    """Returns the systems in the order of their first runs. Raises UserError where a configuration and seed come twice.

    Runs of a configuration that were trained on other data (another release, clips left out) are systems of their own.
    """
    groups: dict[Any, list[FinishedRun]] = {}
    for number, run in enumerate(runs):
        groups.setdefault(number if by_run else _configuration(run), []).append(run)
    names = _names([[run.folder for run in group] for group in groups.values()])
    found = []
    for name, group in zip(names, groups.values(), strict=True):
        by_seed: dict[int, FinishedRun] = {}
        for run in group:
            seed = 0 if run.settings is None else run.settings["seed"]
            if seed in by_seed:
                raise UserError(
                    f"{by_seed[seed].folder} and {run.folder} have one configuration and seed {seed}. Leave one of "
                    "them out, or take every run by itself with --by-run"
                )
            by_seed[seed] = run
        seeds = () if by_run else tuple(sorted(by_seed))
        found.append(System(name, tuple(by_seed[seed] for seed in sorted(by_seed)), seeds))
    return found


def leakage(record: Mapping[str, Any]) -> list[str]:
    """What a record says of speakers or audio on both sides of a split."""
    protocol = [] if record.get("speaker_independent", True) else ["by its protocol"]
    return list(record.get("leakage") or protocol)


def absences(record: Mapping[str, Any]) -> list[str]:
    """What a record says of clips that were absent or left out."""
    bad = record.get("bad_clips") or []
    return [*(record.get("notes") or []), *([f"{len(bad)} clips left out as unusable"] if bad else [])]


def warnings(record: Mapping[str, Any]) -> list[str]:
    """What a record warns of, a sentence each; records of older versions have no such entry."""
    return list(record.get("warnings") or [])


def _check_folders(folders: Sequence[Path]) -> None:
    if len(folders) < 2:
        raise UserError(f"expected two runs or more to compare, found {len(folders)}; give another run's folder")
    seen: dict[Path, Path] = {}
    for folder in folders:
        if folder.resolve() in seen:
            raise UserError(f"{folder} is given twice (as {seen[folder.resolve()]}); give another run's folder")
        seen[folder.resolve()] = folder


def _configuration(run: FinishedRun) -> str:
    assert run.settings is not None  # read with them unless by_run
    kept = {name: value for name, value in run.settings.items() if name not in (*saved.PLACES, "seed")}
    return json.dumps([kept, run.record.get("data_sha256")], sort_keys=True)


def _names(groups: Sequence[Sequence[Path]]) -> list[str]:
    """A system's name is its run's; of several, theirs less the seed's number. Names that would be alike are paths."""

    def name(paths: Sequence[str]) -> str:
        if len(paths) == 1:
            return paths[0]
        shared = {re.sub(r"[-_. ]*(seed)?[-_. ]*\d+$", "", path) for path in paths}
        return shared.pop() if len(shared) == 1 else f"{paths[0]} and {len(paths) - 1} more"

    short = [name([folder.resolve().name for folder in group]) for group in groups]
    whole = [name([str(folder) for folder in group]) for group in groups]
    distinct = short if len(set(short)) == len(short) else whole
    return distinct if len(set(distinct)) == len(distinct) else [str(group[0]) for group in groups]


def _scores(system: System, pool: significance.Pool) -> Iterator[Score]:
    by_run = significance.figures(system.parts, pool)
    low, high = significance.interval(system.parts, pool, INTERVAL_RESAMPLES)
    deviation = np.std(by_run, axis=0, ddof=1) if len(by_run) > 1 else np.full(len(low), np.nan)
    for values in zip(by_run.mean(axis=0), low, high, deviation, strict=True):
        yield Score(*map(float, values))


def _differences(
    reference: System, other: System, names: Sequence[str], pool: significance.Pool
) -> Iterator[Difference]:
    paired = reference.seeds == other.seeds
    both = (reference.parts, other.parts)
    means = [significance.figures(parts, pool).mean(axis=0) for parts in both]
    low, high, p_bootstrap = significance.paired_bootstrap(*both, pool, paired)
    p_flips = significance.sign_flips(*both, pool, paired)
    for index, name in enumerate(names):
        p = {
            **dict.fromkeys(TESTS, math.nan),
            "bootstrap": float(p_bootstrap[index]),
            "sign_flips": float(p_flips[index]),
        }
        if name == "WA":
            n_clips = reference.right.shape[1]
            p["mcnemar"] = significance.mcnemar(reference.right, other.right, paired)
            p["z_test"] = classification.z_test(float(means[0][index]), n_clips, float(means[1][index]), n_clips)[1]
        value = float(means[1][index] - means[0][index])
        yield Difference(name, reference.name, other.name, value, float(low[index]), float(high[index]), p, p)


def _corrected(differences: Sequence[Difference], names: Sequence[str]) -> Iterator[Difference]:
    """Corrects the p of each figure and test for the number of pairs of systems."""
    corrected: dict[int, dict[str, float]] = {index: {} for index in range(len(differences))}
    for name in names:
        family = [index for index, item in enumerate(differences) if item.figure == name]
        for test in TESTS:
            p = significance.holm([differences[index].p[test] for index in family])
            for index, value in zip(family, p, strict=True):
                corrected[index][test] = float(value)
    for index, item in enumerate(differences):
        yield Difference(**{**vars(item), "corrected": corrected[index]})
