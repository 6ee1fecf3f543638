"""Recordings of which a front-end makes features that are not finite, or of which an upstream network does."""

from dataclasses import replace
from importlib.util import find_spec

import keras
import numpy as np
import pytest
import soundfile

from zoo.config.flags import from_flags
from zoo.data.audio.recording import BadClip, check_level
from zoo.data.batches.clips import Example
from zoo.data.batches.feature_store import InMemory, extract
from zoo.data.schema import Clip
from zoo.features import enhancer, extractor
from zoo.frontends import opensmile
from zoo.inference import continuous
from zoo.training import fit_linear

RATE_HZ = 16_000
needs_opensmile = pytest.mark.skipif(
    find_spec("opensmile") is None, reason="opensmile is not installed (pip install -e '.[opensmile]')"
)


def one_sample() -> np.ndarray:
    """Return a tenth of a second that is zero but for one sample, at a multiple of openSMILE's hop of 10 ms.

    Found by search: at 160, 320 ... 960, and values from 34 to below 50 of 16 bits, openSMILE 3's ComParE_2016 has 6 of
    6,373 functionals that are NaN, linear prediction over the change of the spectral slope. It is no silence: its half
    range is above QUIETEST.
    """
    waveform = np.zeros(1600, np.float32)
    waveform[480] = 40 / 32768
    check_level(waveform, "one sample")
    return waveform


@needs_opensmile
def test_the_clip_of_which_opensmile_makes_nan_is_named_and_left_out(tmp_path, rng):
    soundfile.write(tmp_path / "one.wav", one_sample(), RATE_HZ)
    soundfile.write(tmp_path / "noise.wav", 0.1 * rng.normal(size=1600), RATE_HZ)
    clips = [Clip(tmp_path / f"{name}.wav", name, "speaker", "label") for name in ("noise", "one")]
    own = extractor.of_clip_functionals("compare", "opensmile")
    options = {"min_seconds": own.least_seconds, "threads": 2}
    assert np.isnan(own.features(one_sample())).sum() == 6, "the recipe"
    with pytest.raises(BadClip, match=r"one\.wav: expected features.* found 6 of 6373 features that are NaN") as error:
        extract(clips, own.features, own.settings, tmp_path / "cache", **options)
    assert error.value.kind == "undefined"
    found, (bad,) = extract(clips, own.features, own.settings, tmp_path / "cache", on_bad_clip="skip", **options)
    assert list(found) == ["noise"] and (bad["clip"], bad["kind"]) == ("one", "undefined")


@needs_opensmile
def test_opensmiles_windows_pass_nan_on_to_who_knows_the_clip(monkeypatch):
    monkeypatch.setattr(opensmile, "_elsewhere", lambda *_: (np.full((1, 88), np.nan, np.float32), []))
    assert np.isnan(opensmile.functionals(np.ones(1600, np.float32), RATE_HZ, "egemaps", 3.0, 0.1)).all()


@needs_opensmile
def test_the_shortest_clip_of_windows_has_functionals(rng):
    own = extractor.of_functionals("egemaps", 3.0, 0.04)
    waveform = 0.1 * rng.normal(size=round(own.least_seconds * RATE_HZ)).astype(np.float32)
    assert own.least_seconds == 0.09 and own.features(waveform).shape == (2, 88)


def logarithms(features):
    """Return a network from {"features": (batch, frames, 4), "n_frames": (batch,)} to logarithms: NaN below 0."""
    inputs = {"features": features, "n_frames": keras.Input((), dtype="int32", name="n_frames")}
    return keras.Model(inputs, keras.ops.log(keras.ops.mean(features, axis=1)), name="upstream")


def levels(*values):
    """Return an example per value, of 5 frames of it."""
    clips = [InMemory(np.full((5, 4), value, np.float32)) for value in values]
    return [Example(clip, 0, name=f"clip-{number}") for number, clip in enumerate(clips)]


def test_a_clip_of_which_an_upstream_network_makes_nan_is_named():
    """Before a linear model is fitted on it, which ended in scikit-learn's traceback."""
    body = logarithms(keras.Input((None, 4), name="features"))
    with pytest.raises(BadClip, match=r"clip-2: expected features.* found 4 of 4 features by upstream that") as error:
        fit_linear._through(body, levels(1, 2, -1, 3))
    assert error.value.kind == "undefined"
    assert len(fit_linear._through(body, levels(1, 2))) == 2


def test_a_clip_or_copy_of_which_an_enhancer_makes_nan_is_named(monkeypatch):
    image = logarithms(keras.Input((None, 4), name="features"))
    both = keras.Model(image.input, [image.output, keras.ops.cast(image.input["n_frames"], "int32")])
    monkeypatch.setattr(enhancer, "_statistics", lambda config, fold: both)
    first, second, bad = levels(1, 2, -1)
    assert len(enhancer.behind([first, second], None, "0")) == 2
    for examples in ([first, bad], [first, replace(second, versions=(first.features, bad.features), name="clip-2")]):
        with pytest.raises(BadClip, match=r"clip-2: expected features.* found 4 of 4 statistics of enhanced features"):
            enhancer.behind(examples, None, "0")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_recording_is_not_rated_by_features_that_are_not_finite(monkeypatch, tmp_path, bad):
    """Some networks would rate it all the same, as one that looks at the larger of 0 and a feature."""
    config = from_flags({"model": "conv_lstm", "corpus": "recola", "label_delay_seconds": 0.08})
    for name, value in {
        "load_model": lambda *_: None,
        "network_of": lambda model: model,
        "looks_at_whole_segments": lambda network: False,
        "tracer_of": lambda network, config: lambda features: np.nan_to_num(features[:, :2], posinf=0),
    }.items():
        monkeypatch.setattr(continuous, name, value)
    monkeypatch.setattr(continuous.postprocess, "load", lambda path, dimensions: None)
    monkeypatch.setattr(continuous.postprocess, "apply", lambda chain, ratings: 2 * ratings)
    rate = continuous.load_rater(tmp_path, config).rate
    features = np.ones((7, 4), np.float32)
    np.testing.assert_array_equal(rate(features)[3], [[1, 1], [2, 2]])
    features[5, 3] = bad
    assert rate(features).shape == (7, 2, 2) and np.isnan(rate(features)).all()
