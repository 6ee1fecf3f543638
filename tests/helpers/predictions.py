"""Predictions of runs and of saved models, as tests compare them."""

import numpy as np

from zoo.data.batches.by_length import in_batches
from zoo.inference.run_predictor import of_run


def predict_run(run, paths, fold=None, **options):
    """Rows of a run for files. `options` are those of of_run."""
    return of_run(run, fold, **options).predict(paths)


def predict(model, waveforms):
    """Outputs of a saved model that takes waveforms (samples,)."""

    def outputs(rows, lengths):
        return np.asarray(model.predict_on_batch({"waveform": rows, "n_samples": lengths}))

    return in_batches(outputs, waveforms, multiple=16_000)
