"""Make Figure 6.2 of MixedEmotions D4.2: cells of the network on waveforms that follow measures of the speech."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from zoo.reproduction.job import Asked, Result, Row

_WINDOW_SECONDS = 1.0


def figure_6_2(asked: Asked, folders: Mapping[str, Path]) -> Result:
    """Correlate the cells of each run with measures of the first recording that its first fold tests."""
    from zoo.config import saved
    from zoo.runs.dataset import open_source
    from zoo.studies import cell_activations

    rows, lines, figure = [], [], None
    for seed, folder in zip(asked.seeds, folders.values(), strict=True):
        fold = open_source(saved.load(folder / "config.json")).folds[0]
        recording = sorted(fold.test, key=lambda clip: clip.name)[0]
        found = cell_activations.measure_run(folder, recording.path, None, _WINDOW_SECONDS)
        variant = f"seed {seed}" if len(asked.seeds) > 1 else ""
        for name, words in cell_activations.MEASURES.items():
            best = cell_activations.best(found.rows, name)
            rows.append(Row(words, "correlation", best[0][name] if best else None, variant=variant, run=str(folder)))
        lines.append(
            f"the largest |r| of {len(found.rows):,} activations on one unseen recording, {recording.name}: among so "
            "many, some are large by chance"
        )
        figure = figure or found.figure()
    return Result(rows, lines, figure)
