"""Chains of microphone, room and noise: against each step alone, in any order, and what is refused."""

import numpy as np
import pytest

from zoo.data.augmentation import conditions, impulse_responses
from zoo.data.augmentation.additive_noise import SIDES, Noises, active
from zoo.data.augmentation.conditions import Condition
from zoo.errors import UserError

RATE_HZ = 16_000
MICROPHONE = np.array([1, -0.6, 0.2], np.float32)
RESPONSES = {"phone": MICROPHONE, "large": impulse_responses.exponential(np.random.default_rng(9), RATE_HZ)}


def speech(seconds: float = 1.0, level: float = 0.02) -> np.ndarray:
    rng = np.random.default_rng(4)
    waveform = level * rng.standard_normal(round(seconds * RATE_HZ))
    waveform[: len(waveform) // 3] *= 1e-4
    return waveform.astype(np.float32)


def noise_of(seed: int, n_recordings: int = 3) -> Noises:
    rng = np.random.default_rng(seed)
    sides = {side: tuple(rng.standard_normal((n_recordings, 5000)).astype(np.float32)) for side in SIDES}
    return Noises(sides, {}, {"rate_hz": RATE_HZ})


NOISES = noise_of(0)


def make(condition: Condition, *, noises=NOISES, responses=RESPONSES, side="test", seed=0):
    return conditions.degrader(condition, noises, responses, side, seed, RATE_HZ)


def augment(*kinds: str, noises=NOISES, responses=RESPONSES, seed=0, **options):
    return conditions.augmenter(kinds, noises, responses, seed=seed, rate_hz=RATE_HZ, **options)


def power(waveform: np.ndarray) -> float:
    return float(np.mean(np.square(waveform, dtype=float)))


@pytest.mark.parametrize(
    ("condition", "name"),
    [
        (Condition(), "clean"),
        (Condition(5), "5 dB"),
        (Condition(-2.5), "-2.5 dB"),
        (Condition(5.0, room="large"), "room large + 5 dB"),
        (Condition(0, "phone", "large", "all"), "microphone phone + room large + 0 dB (all samples)"),
        (Condition(None, "phone", None, "all"), "microphone phone"),
    ],
)
def test_conditions_have_names(condition, name):
    assert condition.name == name


def test_clean_is_the_waveform_as_it_is():
    loud = 3 * speech()
    np.testing.assert_array_equal(make(Condition(), noises=None, responses={})(loud, "a"), loud)


def test_microphone_then_room_then_noise_at_a_ratio_to_speech_in_the_room():
    dry = speech()
    through = np.convolve(dry.astype(float), MICROPHONE)[: len(dry)]
    through = np.convolve(through, RESPONSES["large"])[: len(dry)]
    through *= np.sqrt(power(dry) / power(through))
    np.testing.assert_allclose(make(Condition(None, "phone", "large"))(dry, "a"), through, atol=1e-6)

    total = make(Condition(5, "phone", "large"))(dry, "a")
    assert total.shape == dry.shape and total.dtype == np.float32
    speaking = through[active(through, RATE_HZ)]
    assert 10 * np.log10(power(speaking) / power(total - through)) == pytest.approx(5, abs=0.05)
    assert 10 * np.log10(power(speaking) / power(dry)) > 0.5  # over all samples it would be another ratio

    total = make(Condition(5, "phone", "large", "all"))(dry, "a")
    assert 10 * np.log10(power(through) / power(total - through)) == pytest.approx(5, abs=0.05)


def test_microphones_may_have_responses_of_their_own():
    """A name may then be that of a microphone and of a room."""
    dry, rooms_only = speech(), {"large": RESPONSES["large"]}
    chain = conditions.degrader(
        Condition(None, "large", "large"), None, rooms_only, "test", 0, RATE_HZ, microphones={"large": MICROPHONE}
    )
    np.testing.assert_array_equal(chain(dry, "a"), make(Condition(None, "phone", "large"))(dry, "a"))
    with pytest.raises(UserError, match="unknown impulse response 'large'"):
        conditions.degrader(Condition(None, "large"), None, rooms_only, "test", 0, RATE_HZ, microphones={})


def test_the_result_is_in_time_with_the_input():
    click = np.zeros(RATE_HZ, np.float32)
    click[8000] = 0.5
    for condition in (Condition(40), Condition(None, "phone"), Condition(40, "phone", "large")):
        assert np.argmax(np.abs(make(condition)(click, "a"))) == 8000


def test_loud_results_are_turned_down_as_a_whole():
    loud = np.sign(speech())
    for condition in (Condition(0), Condition(None, room="large")):
        assert np.abs(make(condition)(loud, "a")).max() == 1


def test_a_clip_has_the_same_noise_whatever_comes_before_it():
    chain, waveform = make(Condition(5, room="large")), speech()
    first = {name: chain(waveform, name) for name in "abc"}
    again = make(Condition(5, room="large"))
    for name in "cab":
        np.testing.assert_array_equal(again(waveform, name), first[name])
    assert not np.array_equal(first["a"], first["b"])
    for other in (make(Condition(5, room="large"), seed=1), make(Condition(5, room="large"), side="train")):
        assert not np.array_equal(other(waveform, "a"), first["a"])


def test_conditions_draw_their_own_noise():
    waveform = speech()
    added = [make(Condition(ratio_db))(waveform, "a") - waveform for ratio_db in (5, 10)]
    assert abs(np.corrcoef(added)[0, 1]) < 0.1


def test_draws_do_not_depend_on_the_process():
    """The number was drawn in another process."""
    assert conditions._random(0, "ä", "5 dB").integers(1_000_000) == 653_090


@pytest.mark.parametrize(
    ("condition", "settings", "message"),
    [
        (Condition(5), {"noises": None}, "the condition '5 dB' needs recordings of noise"),
        (Condition(5), {"side": "tests"}, "Did you mean 'test'"),
        (Condition(float("nan")), {}, "snr_db is nan"),
        (Condition(None, "fone"), {}, "Did you mean 'phone'"),
        (Condition(None, room="small"), {"responses": {}}, "unknown impulse response 'small'"),
        (Condition(5, level="speech"), {}, "unknown speech level 'speech'"),
    ],
)
def test_conditions_without_what_they_need_are_refused(condition, settings, message):
    with pytest.raises(UserError, match=message):
        make(condition, **settings)


def test_silent_speech_is_refused_by_name_where_it_needs_a_ratio():
    silence = np.zeros(RATE_HZ, np.float32)
    for function in (make(Condition(5, room="large")), lambda w, name: augment("room", "noise")(w, name, 0)):
        with pytest.raises(UserError, match="clip 03-01: SNR on silent speech"):
            function(silence, "03-01")
    assert not make(Condition(None, "phone", "large"))(silence, "a").any()


def test_noise_at_another_rate_is_refused():
    with pytest.raises(ValueError, match="8000"):
        conditions.degrader(Condition(5), NOISES, {}, "test", 0, 8000)


def test_variants_are_of_seed_clip_and_number():
    waveform, variant = speech(), augment("speed", "room", "noise")
    first = {(name, number): variant(waveform, name, number) for name in "ab" for number in range(4)}
    again = augment("noise", "speed", "room")
    for name, number in reversed(first):
        np.testing.assert_array_equal(again(waveform, name, number), first[name, number])
    assert len({samples.tobytes() for samples in first.values()}) == 8
    assert not np.array_equal(augment("noise", seed=1)(waveform, "a", 0), augment("noise")(waveform, "a", 0))


def test_ratios_are_uniform_in_their_range():
    waveform = speech()
    marked, noisy = active(waveform, RATE_HZ), augment("noise", snr_db=(3, 6))
    found_db = [10 * np.log10(power(waveform[marked]) / power(noisy(waveform, "a", i) - waveform)) for i in range(200)]
    assert 2.99 < min(found_db) < 3.1 and 5.9 < max(found_db) < 6.01
    assert np.mean(found_db) == pytest.approx(4.5, abs=0.2)


def test_only_noise_for_training_is_drawn():
    sides = {"train": (np.ones(9000, np.float32),), "validation": (), "test": ()}
    noisy = augment("noise", noises=Noises(sides, {}, {"rate_hz": RATE_HZ}))
    added = noisy(speech(), "a", 0) - speech()
    assert added.std() < 0.05 * added.mean()


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
    assert len(augment("speed", speed=(2.0, 2.0))(tone, "a", 0)) == 8000
    np.testing.assert_array_equal(augment("speed", speed=(1.0, 1.0))(tone, "a", 0), tone)


def test_rooms_are_drawn_from_all():
    waveform = speech()
    expected = {impulse_responses.convolve(waveform, response).tobytes() for response in RESPONSES.values()}
    assert {augment("room")(waveform, "a", number).tobytes() for number in range(20)} == expected


def test_kinds_draw_apart_from_each_other():
    factors = np.array([RATE_HZ / len(augment("speed")(speech()[:RATE_HZ], "a", number)) for number in range(40)])
    first = impulse_responses.convolve(speech(), RESPONSES[sorted(RESPONSES)[0]]).tobytes()
    in_first = np.array([augment("room")(speech(), "a", number).tobytes() == first for number in range(40)])
    for fast in (factors > 1, factors < 1):
        assert 0 < in_first[fast].sum() < fast.sum()


def test_a_kind_draws_the_same_beside_others():
    waveform, number = speech(), 3
    in_room = augment("room")(waveform, "a", number)
    added = [augment(*kinds)(waveform, "a", number) for kinds in (["noise"], ["room", "noise"])]
    alone, beside = added[0] - waveform, added[1] - in_room
    assert np.corrcoef(alone, beside)[0, 1] > 0.999


@pytest.mark.parametrize(
    ("kinds", "settings", "message"),
    [
        (["nois"], {}, "Did you mean 'noise'"),
        ([], {}, "no augmentation is named, expected some of speed, room, noise"),
        (["noise"], {"noises": None}, "augmentation by noise needs recordings"),
        (["room"], {"responses": {}}, "needs impulse responses"),
        (["room"], {"responses": None}, "needs impulse responses"),
        (["noise"], {"snr_db": (15, 0)}, r"snr_db is \(15, 0\)"),
        (["noise"], {"snr_db": (0, float("inf"))}, "snr_db is"),
        (["noise"], {"level": "loud"}, "unknown speech level"),
        (["speed"], {"speed": (1.1, 0.9)}, r"speed is \(1.1, 0.9\)"),
        (["speed"], {"speed": (0.0, 1.0)}, "factor, from 0.5 to 2"),
    ],
)
def test_augmentation_without_what_it_needs_is_refused(kinds, settings, message):
    with pytest.raises(UserError, match=message):
        augment(*kinds, **settings)
