"""Chains of microphone, room and noise: against each step alone, and in any order."""

from functools import partial

import numpy as np
import pytest
import soxr

from zoo.data.augmentation import conditions, impulse_responses
from zoo.data.augmentation.additive_noise import SIDES, Noises, active
from zoo.data.augmentation.conditions import Condition
from zoo.data.augmentation.pitch_and_formants import change_voice
from zoo.errors import UserError

RATE_HZ = 16_000
MICROPHONE = np.array([1, -0.6, 0.2], np.float32)
ROOM = impulse_responses.exponential(np.random.default_rng(9), RATE_HZ)
RESPONSES = {"phone": MICROPHONE, "large": ROOM}


RECORDINGS = tuple(np.random.default_rng(0).standard_normal((3, 5000)).astype(np.float32))
NOISES = Noises(dict.fromkeys(SIDES, RECORDINGS), {}, {"rate_hz": RATE_HZ})


@pytest.fixture
def speech() -> np.ndarray:
    waveform = 0.02 * np.random.default_rng(4).standard_normal(RATE_HZ)
    waveform[: len(waveform) // 3] *= 1e-4
    return waveform.astype(np.float32)


def make(condition: Condition, noises=NOISES, side="test"):
    return conditions.degrader(condition, noises, {"large": ROOM}, side, 0, RATE_HZ, {"phone": MICROPHONE})


def augment(*kinds: str, noises=NOISES, seed=0, **options):
    return conditions.augmenter(kinds, noises, RESPONSES, seed=seed, rate_hz=RATE_HZ, **options)


def power(waveform: np.ndarray) -> float:
    return float(np.mean(np.square(waveform, dtype=float)))


@pytest.mark.parametrize(
    ("condition", "name"),
    [
        (Condition(), "clean"),
        (Condition(-2.5), "-2.5 dB"),
        (Condition(5.0, room="large"), "room large + 5 dB"),
        (Condition(0, "phone", "large", "all"), "microphone phone + room large + 0 dB (all samples)"),
        (Condition(None, "phone", None, "all"), "microphone phone"),
    ],
)
def test_conditions_have_names(condition, name):
    assert condition.name == name


def test_clean_is_the_waveform_as_it_is(speech):
    np.testing.assert_array_equal(make(Condition(), None)(3 * speech, "a"), 3 * speech)


def test_microphone_then_room_then_noise_at_a_ratio_to_speech_in_the_room(speech):
    through = np.convolve(speech.astype(float), MICROPHONE)[: len(speech)]
    through = np.convolve(through, ROOM)[: len(speech)]
    through *= np.sqrt(power(speech) / power(through))
    np.testing.assert_allclose(make(Condition(None, "phone", "large"))(speech, "a"), through, atol=1e-6)

    speaking = through[active(through, RATE_HZ)]
    assert 10 * np.log10(power(speaking) / power(speech)) > 0.5  # over all samples it would be another ratio
    for level, rated in (("active", speaking), ("all", through)):
        total = make(Condition(5, "phone", "large", level))(speech, "a")
        assert total.shape == speech.shape and total.dtype == np.float32
        assert 10 * np.log10(power(rated) / power(total - through)) == pytest.approx(5, abs=0.05)


def test_loud_results_are_turned_down_as_a_whole(speech):
    for condition in (Condition(0), Condition(None, room="large")):
        assert np.abs(make(condition)(np.sign(speech), "a")).max() == 1


def test_a_clip_has_the_same_noise_whatever_comes_before_it(speech):
    first = {name: make(Condition(5, room="large"))(speech, name) for name in "abc"}
    again = make(Condition(5, room="large"))
    for name in "cab":
        np.testing.assert_array_equal(again(speech, name), first[name])
    assert not np.array_equal(first["a"], first["b"])
    added = [make(Condition(ratio_db))(speech, "a") - speech for ratio_db in (5, 10)]
    assert abs(np.corrcoef(added)[0, 1]) < 0.1, "each condition draws its own noise"


def test_draws_do_not_depend_on_the_process():
    """The number was drawn in another process."""
    assert conditions._random(0, "ä", "5 dB").integers(1_000_000) == 653_090


def test_silent_speech_is_refused_by_name_where_it_needs_a_ratio():
    silence = np.zeros(RATE_HZ, np.float32)
    for function in (make(Condition(5, room="large")), partial(augment("room", "noise"), number=0)):
        with pytest.raises(UserError, match="clip 03-01: SNR on silent speech"):
            function(silence, "03-01")
    assert not make(Condition(None, "phone", "large"))(silence, "a").any()


def test_variants_are_of_seed_clip_and_number(speech):
    variant = augment("speed", "room", "noise")
    first = {(name, number): variant(speech, name, number) for name in "ab" for number in range(4)}
    again = augment("noise", "speed", "room")
    for name, number in reversed(first):
        np.testing.assert_array_equal(again(speech, name, number), first[name, number])
    assert len({samples.tobytes() for samples in first.values()}) == 8
    assert not np.array_equal(augment("noise", seed=1)(speech, "a", 0), augment("noise")(speech, "a", 0))


def test_ratios_are_uniform_in_their_range(speech):
    marked, noisy = active(speech, RATE_HZ), augment("noise", snr_db=(3, 6))
    found_db = [10 * np.log10(power(speech[marked]) / power(noisy(speech, "a", i) - speech)) for i in range(200)]
    assert 2.99 < min(found_db) < 3.1 and 5.9 < max(found_db) < 6.01
    assert np.mean(found_db) == pytest.approx(4.5, abs=0.2)


def test_only_noise_of_its_side_is_drawn(speech):
    sides = {"train": (np.ones(9000, np.float32),), "validation": (), "test": ()}
    noises = Noises(sides, {}, {"rate_hz": RATE_HZ})
    for total in (make(Condition(5), noises, "train")(speech, "a"), augment("noise", noises=noises)(speech, "a", 0)):
        assert (total - speech).std() < 0.05 * (total - speech).mean()


def test_speed_changes_length_and_pitch_alike():
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    factors = []
    for number in range(30):
        variant = augment("speed")(tone, "a", number)
        spectrum = np.abs(np.fft.rfft(variant * np.hanning(len(variant)), 16 * RATE_HZ))
        factors.append(RATE_HZ / len(variant))
        np.testing.assert_allclose(np.argmax(spectrum) / 16, 1000 * factors[-1], atol=1)
        assert variant.dtype == np.float32
    assert 0.9 <= min(factors) < 0.93 and 1.07 < max(factors) <= 1.1 + 1e-3 and len(set(factors)) == 30


def test_other_voices_have_factors_of_their_ranges(monkeypatch, speech):
    asked = []
    monkeypatch.setattr(
        conditions, "change_voice", lambda waveform, rate_hz, *factors: asked.append(factors) or waveform
    )
    ranges = {"pitch": (0.5, 2.0), "vocal_tract": (0.8, 1.1)}
    for kinds in (("pitch",), ("vocal_tract",), ("vocal_tract", "pitch")):
        for number in range(400):
            augment(*kinds, ranges=ranges)(speech, "a", number)
    (pitches, same), (kept, tracts) = np.transpose(asked[:400]), np.transpose(asked[400:800])
    np.testing.assert_array_equal(asked[800:], np.transpose([pitches, tracts]))  # each draws the same beside the other
    assert (same == 1).all() and (kept == 1).all()
    assert 0.5 <= min(pitches) < 0.51 and 1.95 < max(pitches) <= 2 and np.median(pitches) == pytest.approx(1, abs=0.1)
    assert (
        0.8 <= min(tracts) < 0.81 and 1.09 < max(tracts) <= 1.1 and np.median(tracts) == pytest.approx(0.95, abs=0.03)
    )


def test_another_voice_comes_behind_speed_and_before_the_room(speech):
    ranges = {"speed": (1.25, 1.25), "pitch": (1.1, 1.1), "vocal_tract": (0.9, 0.9)}
    found = augment("room", "pitch", "speed", "vocal_tract", ranges=ranges)(speech, "a", 0)
    fast = soxr.resample(speech, 20_000, RATE_HZ, quality="HQ")
    expected = change_voice(fast, RATE_HZ, 1.1, 0.9)
    rooms = [impulse_responses.convolve(expected, response) for response in RESPONSES.values()]
    assert len(found) == round(0.8 * RATE_HZ) and any(np.array_equal(found, room) for room in rooms)


def test_rooms_are_drawn_from_all_and_apart_from_speed(speech):
    phone, large = (impulse_responses.convolve(speech, response).tobytes() for response in (MICROPHONE, ROOM))
    rooms = [augment("room")(speech, "a", number).tobytes() for number in range(40)]
    assert set(rooms) == {phone, large}
    in_large = np.array([room == large for room in rooms])
    factors = np.array([RATE_HZ / len(augment("speed")(speech, "a", number)) for number in range(40)])
    for fast in (factors > 1, factors < 1):
        assert 0 < in_large[fast].sum() < fast.sum()


def test_a_kind_draws_the_same_beside_others(speech):
    alone = augment("noise")(speech, "a", 3) - speech
    beside = augment("room", "noise")(speech, "a", 3) - augment("room")(speech, "a", 3)
    assert np.corrcoef(alone, beside)[0, 1] > 0.999
