"""A run and its export predict the same, recordings of any length included."""

import numpy as np
import pytest
import soundfile
import tiny_runs
from networks import once

from zoo.export.export import export
from zoo.inference.long_recordings import WHOLE_SECONDS, WINDOW_SECONDS
from zoo.inference.open_predictor import open_predictor

pytestmark = once


def ratings(rows):
    return np.array([[row["arousal"], row["valence"]] for row in rows])


@pytest.mark.slow
@pytest.mark.parametrize("model", ["conv_lstm", "conv_bigru"])
def test_a_run_and_its_export_agree_on_a_long_recording(tmp_path, model):
    run = tiny_runs.make(tmp_path / "run", model, "recola", label_delay_seconds=0.08)
    seconds = 2 * WHOLE_SECONDS + WINDOW_SECONDS + 0.33
    swelling = np.linspace(0.02, 0.2, round(seconds * 16_000))
    soundfile.write(tmp_path / "long.wav", np.random.default_rng(0).normal(size=len(swelling)) * swelling, 16_000)
    by_run = open_predictor(run, exported=False, postprocessed=True)
    by_export = open_predictor(export(run, tmp_path / "out", with_postprocess=True), exported=True)
    expected, found = (ratings(one.predict([tmp_path / "long.wav"])) for one in (by_run, by_export))
    assert expected.shape == (round(seconds / 0.04), 2) and np.ptp(expected) > 0.01
    np.testing.assert_allclose(found, expected, atol=1.1e-5)  # rows have six decimals
