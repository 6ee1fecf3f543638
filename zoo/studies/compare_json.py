"""Format a comparison as JSON."""

from dataclasses import asdict
from typing import Any

from zoo.studies.compare import Comparison, System
from zoo.studies.compare_table import notes
from zoo.utils.json_files import document


def as_json(comparison: Comparison) -> str:
    """Return a comparison as one JSON document.

    corpus, protocol, clips (or rated recordings), speakers, postprocessed; figures: their names; systems: each with
    name, runs, seeds, marks (such as "synthetic") and scores by figure (value, low, high: 95 % interval, deviation of
    several seeds); differences: figure, reference, other, value, low, high, p and corrected (Holm) by test; notes: the
    sentences on how these are made. Figures are shares of 1. What does not apply is null.
    """
    return document(
        {
            "corpus": comparison.corpus,
            "protocol": comparison.protocol,
            "clips": comparison.n_tested,
            "speakers": comparison.n_speakers,
            "postprocessed": comparison.postprocessed,
            "figures": comparison.figures,
            "systems": [_system(comparison, one) for one in comparison.systems],
            "differences": [asdict(one) for one in comparison.differences],
            "notes": list(notes(comparison)),
        }
    )


def _system(comparison: Comparison, system: System) -> dict[str, Any]:
    scores = {figure: asdict(score) for figure, score in comparison.scores[system.name].items()}
    runs = [str(run.folder) for run in system.runs]
    return {"name": system.name, "runs": runs, "seeds": system.seeds, "marks": system.marks, "scores": scores}
