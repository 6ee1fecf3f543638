"""Mel bands against librosa's."""

import librosa
import numpy as np
import pytest

from zoo.frontends.mel_filterbank import MEL_SCALES, mel_filters, mel_frequencies

SIZES = [(16_000, 3200, 100), (22_050, 2048, 128), (8_000, 200, 30), (1_800, 512, 12), (44_100, 1103, 1)]


@pytest.mark.parametrize("scale", MEL_SCALES)
@pytest.mark.parametrize(("rate_hz", "n_fft", "bands"), SIZES)
def test_filters_are_librosas(rate_hz, n_fft, bands, scale):
    """At half of 1,800 Hz Slaney's scale is linear throughout."""
    for norm in (None, "slaney"):
        expected = librosa.filters.mel(sr=rate_hz, n_fft=n_fft, n_mels=bands, htk=scale == "htk", norm=norm)
        found = mel_filters(rate_hz, n_fft, bands, scale, equal_area=norm == "slaney")
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


def test_unknown_scales_are_refused():
    with pytest.raises(ValueError, match="'bark', expected one of htk, slaney"):
        mel_frequencies(10, 8000.0, "bark")
