"""Long recordings and streams by a network on a speech encoder: windows, bounded batches, look-back."""

import numpy as np
import pytest
import soundfile
import tiny_runs
from networks import once
from streams import pushed, speech

from zoo.inference import categorical, stream_run
from zoo.inference.predictor import ENCODER_BATCH_SECONDS
from zoo.inference.reading import Reading
from zoo.inference.recordings import rows
from zoo.inference.run_predictor import of_run
from zoo.inference.stream import Stream
from zoo.models.weights import encoder_folder

RATE_HZ = 16_000
pytestmark = once


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder-streams")
    encoder_folder.make_random("hubert", "tiny", folder / "hubert-tiny")
    tiny_runs.SMALL["hubert"] = {"weights": str(folder / "hubert-tiny"), "option": ["hidden_units=8"]}
    return tiny_runs.make(folder / "run", "hubert", "iemocap")


@pytest.fixture(scope="module")
def predictor(run):
    return of_run(run)


def test_batches_of_long_recordings_are_bounded(run, tmp_path, monkeypatch):
    """A base encoder's first layer takes 6.5 MB a second: what is computed together does not grow with the file."""
    sizes, in_batches = [], categorical.in_batches

    def watched(call, waveforms, most_steps, **options):
        def watching(batch, lengths):
            sizes.append(batch.size)
            return call(batch, lengths)

        return in_batches(watching, waveforms, most_steps, **options)

    monkeypatch.setattr(categorical, "in_batches", watched)
    soundfile.write(tmp_path / "long.wav", speech(70), RATE_HZ)
    found = list(rows(of_run(run), [tmp_path / "long.wav"], Reading(any_sound=True)))
    assert len(found) >= 14 and all(row["end"] - row["start"] <= 5.0 for row in found)
    assert found[-1]["end"] == 70.0 and all(row["emotion"] for row in found)
    assert len(sizes) >= 3 and max(sizes) <= ENCODER_BATCH_SECONDS * RATE_HZ


def test_a_stream_answers_as_its_windows_do_and_looks_no_further_back(run, predictor):
    live, samples = stream_run.of_run(run), speech(6.5)
    stream = Stream(live, window_seconds=2.0)
    assert (stream.latency_seconds, stream.look_back_seconds) == (1.0, 2.0)
    assert Stream(live).look_back_seconds == 4.0
    found = pushed(live, samples, (9_999, 3, 50_000), window_seconds=2.0)
    assert [(row["start"], row["end"]) for row in found] == [(n, n + 2.0) for n in range(5)] + [(4.5, 6.5)]
    cut = [samples[round(RATE_HZ * row["start"]) : round(RATE_HZ * row["end"])] for row in found]
    for row, expected in zip(found, predictor.predict_waveforms(cut), strict=True):
        np.testing.assert_allclose(list(row["probabilities"].values()), expected, atol=2e-6)
    other = samples.copy()
    other[: 4 * RATE_HZ] *= 0.1
    assert pushed(live, other, window_seconds=2.0)[4:] == found[4:]
