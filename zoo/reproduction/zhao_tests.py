"""Test differences between rows of Zhao et al. 2019 as the paper does, and over speakers.

The paper's test is one-tailed, on accuracies of independent clips (section IV). A speaker's clips are not independent,
so sign flips of whole speakers stand beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.metrics.classification import z_test
from zoo.metrics.significance import smallest_p
from zoo.reproduction.published import tables
from zoo.studies.compare import compare_runs

FIGURES = ("WA", "UA")
# Test clips of the paper's two corpora, each tested once.
TESTED = {"iemocap": 2_943, "aibo": 8_257}
Figures = Mapping[str, float]  # in 0..1, by a name of `FIGURES`


@dataclass(frozen=True)
class Claim:
    """That the row `better` is above the row `reference`; the paper says with p below `below`, None where it does not.

    Rows are named as lines of tables, with their variants.
    """

    better: str
    reference: str
    below: float | None = None


def printed(table: str, corpus: str) -> dict[str, dict[str, float]]:
    """Return the figures of a published table by row, then by the names of `FIGURES`; `corpus` as its columns have it.

    Figures that the paper's text does not print are left out; {} of a table without published figures.
    """
    known = tables().get(table)
    found: dict[str, dict[str, float]] = {}
    for (row, column), figure in known.figures.items() if known else ():
        place, _, name = column.rpartition(" ")
        if place == corpus and name in FIGURES and figure.value is not None:
            found.setdefault(row, {})[name] = figure.value
    return found


def published(claims: Sequence[Claim], corpus: str, figures: Mapping[str, Figures]) -> list[dict[str, Any]]:
    """Work the paper's z-tests anew from its own figures, by row, where they are printed: a row for each."""
    rows = []
    for claim in claims:
        for name in FIGURES:
            reference, better = (figures.get(row, {}).get(name) for row in (claim.reference, claim.better))
            if corpus in TESTED and reference is not None and better is not None:
                z, p = z_test(reference, TESTED[corpus], better, TESTED[corpus])
                rows.append({**_about(claim, corpus, name, "published"), "z": z, "p_z_test": p})
    return rows


def ours(claims: Sequence[Claim], corpus: str, folders: Mapping[str, Sequence[Path]]) -> list[dict[str, Any]]:
    """Test the differences of finished runs, whose folders (one for each seed) are given by row.

    Claims about a row without a run are left out. `p_z_test` is one-tailed and takes UA, as the paper does, as if it
    were a share of clips; `p_sign_flips` is two-sided over speakers, None with one speaker, and never below
    `least_p_sign_flips`. Raises UserError for runs that were not tested on the same clips.
    """
    rows = []
    for claim in claims:
        if not (folders.get(claim.reference) and folders.get(claim.better)):
            continue
        found = compare_runs([*folders[claim.reference], *folders[claim.better]], names=(claim.reference, claim.better))
        least = smallest_p(found.n_speakers)
        for item in found.differences:
            values = [found.scores[row][item.figure].value for row in (claim.reference, claim.better)]
            z, p = z_test(values[0], found.n_tested, values[1], found.n_tested)
            row = _about(claim, corpus, item.figure, "ours")
            row |= {"difference": item.value, "low": _defined(item.low), "high": _defined(item.high)}
            row |= {"z": z, "p_z_test": p, "least_p_sign_flips": least}
            rows.append(row | {"p_sign_flips": item.p["sign_flips"] if found.n_speakers > 1 else None})
    return rows


def in_words(tests: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each claim, corpus and figure: our test, and the paper's worked anew from its figures."""
    sentences: dict[tuple[str, ...], list[str]] = {}
    for row in tests:
        key = tuple(row[name] for name in ("corpus", "better", "reference", "figure"))
        sentences.setdefault(key, []).append(_ours(row) if row["whose"] == "ours" else _published(row))
    found = [
        f"{corpus}, {figure}: {better} against {reference}: {'; '.join(said)}"
        for (corpus, better, reference, figure), said in sentences.items()
    ]
    how = (
        "z-tests are one-tailed (is the first better?) and take clips as independent, as the paper's do, UA as if it "
        "were a share of clips; sign flips are two-sided, over speakers. tests.csv has all of them"
    )
    return [*found, how] if found else []


def with_all_columns(tests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows for a CSV: all have the same columns, empty where there is no value."""
    columns = dict.fromkeys(name for row in tests for name in row)
    return [{name: "" if row.get(name) is None else row[name] for name in columns} for row in tests]


def _ours(row: Mapping[str, Any]) -> str:
    bounds = "" if row["low"] is None else f" [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]"
    flips = "one speaker, no test over speakers"
    if row["p_sign_flips"] is not None:
        least = f" (never below {row['least_p_sign_flips']:.3f})" if row["least_p_sign_flips"] > 0.05 else ""
        flips = f"sign flips p {_p(row['p_sign_flips'])}{least}"
    return f"ours {100 * row['difference']:+.1f} points{bounds}, z {row['z']:.2f}, p {_p(row['p_z_test'])}, {flips}"


def _published(row: Mapping[str, Any]) -> str:
    stated = f"stated {row['stated']}, " if row["stated"] else ""
    return f"published: {stated}by its own figures z {row['z']:.2f}, p {_p(row['p_z_test'])}"


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def _about(claim: Claim, corpus: str, figure: str, whose: str) -> dict[str, Any]:
    stated = "" if claim.below is None else f"p < {claim.below:g}".replace("0.", ".")
    names = ("corpus", "better", "reference", "figure", "stated", "whose")
    return dict(zip(names, (corpus, claim.better, claim.reference, figure, stated, whose), strict=True))


def _defined(value: float) -> float | None:
    return None if value != value else value
