"""Files, arrays and the signatures `waveform` and `wav_bytes` of an export accept and refuse the same recordings."""

import io
from functools import cache

import numpy as np
import soundfile
import tensorflow as tf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zoo.data.audio.recording import BadClip
from zoo.inference.export_predictor import of_export
from zoo.pretrained import Pretrained
from zoo.serving import saved_model

NOISE = np.random.default_rng(0).normal(0, 0.2, 1_600).clip(-1, 32767 / 32768)
KINDS = ("non-finite", "too-loud", "silent", "cancelling", "too-short", "truncated", "unfinished")

served = cache(lambda folder: Pretrained(saved_model.load(folder)))


def of_rows(predict):
    """The verdict of the predictor: "answered", or the kind of what is wrong."""
    try:
        (row,) = predict()
    except BadClip as error:
        return error.kind
    return (row["reason"] or "answered").partition(":")[0]


def of_graph(predict):
    try:
        (probabilities,) = predict()
    except tf.errors.InvalidArgumentError as error:
        return next((kind for kind in KINDS if f"({kind})" in error.message), error.message)
    assert np.isfinite(probabilities).all()
    return "answered"


def verdicts(folder, samples, tmp_path):
    """Those of float samples (n, channels), for all paths that take them."""
    model, mono = served(folder), samples.mean(axis=1, dtype=np.float32)
    soundfile.write(tmp_path / "x.wav", samples, 16_000, subtype="FLOAT")
    found = {
        "file": of_rows(lambda: of_export(model.exported).predict([tmp_path / "x.wav"])),
        "array": of_rows(lambda: [model.predict(samples, any_sound=True)]),
    }
    if samples.shape[1] == 1:
        found["mono"] = of_rows(lambda: of_export(model.exported).predict([mono]))
        found["waveform"] = of_graph(lambda: model.exported.on_waveforms([mono]))
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scale=st.sampled_from([0.0, 1e-5, 4e-4, 1e-3, 0.9, 40.0, 110.0, 32768.0]),
    weights=st.sampled_from([(1,), (1,), (1, 1), (1, -1), (1, -0.999), (1, 0), (1, 1, -2)]),
    offset=st.sampled_from([0.0, 0.3]),
    spoilt=st.sampled_from([None, None, None, np.nan, np.inf]),
)
def test_any_scale_and_any_mix_of_channels(emotion, tmp_path, scale, weights, offset, spoilt):
    samples = (scale * NOISE[:, None] * np.array(weights) + offset).astype(np.float32)
    if spoilt is not None:
        samples[7] = spoilt
    found = verdicts(emotion[1], samples, tmp_path)
    assert len(set(found.values())) == 1, found
    loudest = np.ptp(scale * NOISE) / 2 * max(np.abs(weights))
    if spoilt is None and loudest >= 5e-4 and np.abs(samples).max() <= 100 and not sum(weights):
        assert found["file"] == "cancelling"
    if scale == 0:
        assert found["file"] == ("silent" if spoilt is None else "non-finite")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    scale=st.sampled_from([0, 3, 20, 3_000, 30_000]),
    weights=st.sampled_from([(1,), (1, 1), (1, -1), (0.5, 0.2, -0.7)]),
    missing=st.sampled_from([0, 0, 0, 1, 400, 3_100]),
)
def test_files_of_16_bits_whole_and_cut(emotion, tmp_path, scale, weights, missing):
    file = io.BytesIO()
    samples = np.rint(scale * NOISE[:, None] * np.array(weights)).astype(np.int16)
    soundfile.write(file, samples, 16_000, format="WAV", subtype="PCM_16")
    content = file.getvalue()[: len(file.getvalue()) - missing]
    (tmp_path / "x.wav").write_bytes(content)
    model = served(emotion[1])
    by_file = of_rows(lambda: of_export(model.exported).predict([tmp_path / "x.wav"]))
    assert by_file == of_graph(lambda: model.exported.on_wav_bytes([content]))
    assert (by_file == "truncated") == bool(missing)
