"""Train a network by gradient on parts of a pool: each fit is a training of `zoo.training.fit`."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from zoo.data.batches.clips import Example, whole_batches
from zoo.data.schema import Clip, Fold
from zoo.learning.learner import Predictions, calibrated, check_classes
from zoo.runs.model_file import load_model, network_of
from zoo.training.fit import fit
from zoo.training.run import Run
from zoo.training.train import fold_data
from zoo.utils.progress import Progress


class NetworkLearner:
    """A `zoo.learning.learner.Learner` of a run's network, from new weights at each fit.

    `vectors` are the mean and deviation over time of each feature, standardised by the pool. Epochs, the epoch kept and
    all else are the run's. Nothing of a fit stays on disk.
    """

    def __init__(self, run: Run, fold: Fold, progress: Progress):
        self._run, self._fold, self._progress = run, fold, progress
        values = [run.features[clip.name].read() for clip in fold.train]
        moments = np.stack([np.concatenate([one.mean(axis=0), one.std(axis=0)]) for one in values]).astype(np.float64)
        deviation = moments.std(axis=0)
        self.vectors = (moments - moments.mean(axis=0)) / np.where(deviation < 1e-7, 1.0, deviation)
        index = run.source.protocol.classes.index
        self._truth = np.array([index(clip.label) for clip in fold.validation])

    def fit(self, clips: np.ndarray, labels: np.ndarray, seed: int) -> Predictions:
        """Train a network on the clips, validate it as any training does, and predict every clip of the fold."""
        check_classes(labels)
        classes, pool = self._run.source.protocol.classes, self._fold.train
        seen = [replace(pool[clip], label=classes[label]) for clip, label in zip(clips, labels, strict=True)]
        run = replace(self._run, config=replace(self._run.config, seed=seed))
        with tempfile.TemporaryDirectory() as folder:
            data = replace(fold_data(run, replace(self._fold, train=tuple(seen))), folder=Path(folder))
            history = fit(data, run.config, self._progress)
            model = network_of(load_model(Path(folder) / "model.keras", outputs=classes))
        shares = {
            "pool": self._predict(model, pool),
            "validation": self._predict(model, self._fold.validation),
            "test": self._predict(model, self._fold.test),
        }
        score = max(row["validation_ua"] for row in history)
        return calibrated(shares, self._truth, {"validation_ua": score})

    def _predict(self, model, clips: Sequence[Clip]) -> np.ndarray:
        """Return probabilities (clips, classes); clips of like length are predicted together, which pads least."""
        examples = [Example(self._run.features[clip.name], 0, name=clip.name) for clip in clips]
        order = sorted(range(len(clips)), key=lambda index: examples[index].features.n_frames)
        found = np.asarray(model.predict(whole_batches([examples[index] for index in order]), verbose=0), np.float64)
        shares = np.empty_like(found)
        shares[order] = found
        return shares
