"""The bench's row on streams is of all the audio, and a stream that answers nothing is no measurement."""

import keras
import numpy as np
import pytest
import tiny_runs

from zoo.inference import stream_run

if keras.backend.backend() != "tensorflow":
    pytest.skip("the bench's streams run on TensorFlow", allow_module_level=True)

streaming = pytest.importorskip("bench.streaming")


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    return stream_run.of_run(tiny_runs.make(tmp_path_factory.mktemp("bench") / "run", "conv_lstm", "recola"))


def test_the_reference_is_the_time_the_audio_lasts(asked):
    waveform = np.random.default_rng(0).normal(0, 0.1, 2 * asked.rate_hz).astype(np.float32)
    result = streaming.real_time_factor("stream", asked, waveform, repeats=1)
    assert (result.name, result.unit, result.reference, result.target) == ("stream", "s", 2.0, 0.1)
    assert result.ours > 0
    assert result.note.startswith("state of conv_lstm, 2 s of speech")


def test_audio_too_short_for_a_rating_is_no_measurement(asked):
    with pytest.raises(AssertionError):
        streaming.real_time_factor("stream", asked, np.ones(100, np.float32), repeats=1)
