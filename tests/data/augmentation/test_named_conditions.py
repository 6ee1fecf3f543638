"""Conditions in words, and the responses computed in place of measured ones, against their definitions."""

import doctest

import numpy as np
import pytest
from scipy.signal import freqz

from zoo.data.augmentation import named_conditions
from zoo.data.augmentation.conditions import Condition
from zoo.errors import UserError


@pytest.mark.parametrize(
    ("words", "condition"),
    [
        ("clean", Condition()),
        ("-2.5dB", Condition(-2.5)),
        ("telephone", Condition(None, "telephone")),
        ("telephone+hall", Condition(None, "telephone", "hall")),
        ("telephone + hall + 6dB", Condition(6.0, "telephone", "hall")),
        ("telephone+12dB", Condition(12.0, "telephone")),
    ],
)
def test_words_name_the_chain_in_the_order_of_the_sound(words, condition):
    assert named_conditions.parse(words) == condition


@pytest.mark.parametrize(
    "words", ["", "6", "6dB+hall", "a+b+c", "telephone+", "6dB+9dB", "a+b+c+6dB", "telephone++6dB"]
)
def test_words_that_name_no_condition_are_refused(words):
    if words == "6":  # a name like any other; no response is called so
        with pytest.raises(UserError, match="unknown response in --conditions '6'"):
            named_conditions.responses_of({words: named_conditions.parse(words)}, {}, 16_000)
        return
    with pytest.raises(UserError, match="expected clean, or a microphone, a room and a ratio"):
        named_conditions.parse(words)


def test_ratios_have_a_range():
    with pytest.raises(UserError, match="99dB is a ratio, expected -30 to 60 dB"):
        named_conditions.parse("telephone+99dB")


def test_the_telephone_passes_its_band_alone():
    """3 dB down at 300 and 3,400 Hz, 24 dB per octave beyond, and no later than a millisecond."""
    response = named_conditions.telephone(16_000)
    hz, gain = freqz(response, worN=16_000, fs=16_000)
    level = 20 * np.log10(np.maximum(np.abs(gain), 1e-9))
    level -= level[(hz > 500) & (hz < 2500)].max()
    at = {frequency: level[np.argmin(np.abs(hz - frequency))] for frequency in (75, 300, 1000, 3400, 6000)}
    assert at[300] == pytest.approx(-3, abs=0.2) and at[3400] == pytest.approx(-3, abs=0.2) and abs(at[1000]) < 0.1
    assert at[75] < -40 and at[6000] < -20
    assert np.square(response).sum() == pytest.approx(1, abs=1e-5) and np.abs(response).argmax() < 16
    with pytest.raises(UserError, match="above 6800 Hz, found 6000"):
        named_conditions.telephone(6000)


def test_measured_responses_take_the_place_of_computed_ones():
    named = {"telephone+hall": named_conditions.parse("telephone+hall")}
    mine = np.array([1.0], np.float32)
    found = named_conditions.responses_of(named, {"hall": mine}, 16_000)
    assert list(found) == ["telephone", "hall"] and found["hall"] is mine
    computed = named_conditions.COMPUTED["hall"](16_000)
    np.testing.assert_array_equal(computed, named_conditions.COMPUTED["hall"](16_000))
    assert len(computed) == 1.8 * 16_000
    assert doctest.testmod(named_conditions).attempted == 1 and not doctest.testmod(named_conditions).failed
