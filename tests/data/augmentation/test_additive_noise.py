"""Noise: ratios measured in the sum, P.56 written from the recommendation, and files that stay on their side."""

import numpy as np
import pytest
import soundfile
from scipy.signal import lfilter

from zoo.data.audio.read import read
from zoo.data.augmentation import additive_noise
from zoo.errors import UserError

RATE_HZ = 16_000


def bursts(rng: np.random.Generator, seconds: float = 3.0, level: float = 0.05) -> np.ndarray:
    """Half-second bursts of noise with half-second pauses, over a floor 60 dB below."""
    time = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    envelope = np.where(time % 1 < 0.5, level, level / 1000)
    return (envelope * rng.standard_normal(len(time))).astype(np.float32)


def p56_level_db(waveform: np.ndarray) -> float:
    """The active speech level by ITU-T P.56 (2011), method B: its envelope, hangover and margin."""
    speech = waveform.astype(np.float64)
    g = np.exp(-1 / (RATE_HZ * 0.03))
    envelope = lfilter([1 - g], [1, -g], lfilter([1 - g], [1, -g], np.abs(speech)))
    here = np.arange(len(speech))
    for threshold_db in np.arange(-120, 0, 0.25):
        last_above = np.maximum.accumulate(np.where(envelope >= 10 ** (threshold_db / 20), here, -len(speech)))
        level_db = 10 * np.log10(np.sum(speech**2) / np.sum(here - last_above <= 0.2 * RATE_HZ))
        if level_db - threshold_db <= 15.9:
            return level_db
    raise AssertionError("no level")


def write(path, samples, rate_hz=RATE_HZ):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, subtype="FLOAT" if path.suffix == ".wav" else None)


@pytest.fixture
def folder(tmp_path, rng):
    """Seven recordings, each a level of its own: 0.5 to 1.1 s."""
    for number in range(7):
        write(tmp_path / f"n{number}.wav", 0.01 * (number + 1) * rng.standard_normal(8000 + 1600 * number))
    return tmp_path


def test_active_is_the_burst_and_the_hangover_of_a_fifth_of_a_second(rng):
    marked = additive_noise.active(bursts(rng, 2.0), RATE_HZ)
    np.testing.assert_array_equal(marked, np.arange(2 * RATE_HZ) % RATE_HZ < 0.7 * RATE_HZ)


def test_active_does_not_hang_on_gain_or_pauses(rng):
    speech = bursts(rng)
    marked = additive_noise.active(speech, RATE_HZ)
    padded = additive_noise.active(np.pad(1e-3 * speech, 20 * RATE_HZ), RATE_HZ)
    np.testing.assert_array_equal(padded, np.pad(marked, 20 * RATE_HZ))


def level_db(speech: np.ndarray) -> float:
    return 10 * np.log10(additive_noise.speech_power(speech, RATE_HZ))


def test_active_level_is_that_of_p56(rng):
    speech = bursts(rng)
    assert level_db(speech) == pytest.approx(p56_level_db(speech), abs=0.5)


def test_active_level_of_real_speech_is_that_of_p56(shared_data):
    for path in sorted((shared_data / "ravdess").glob("*/*.flac"))[::150]:
        assert level_db(read(path)) == pytest.approx(p56_level_db(read(path)), abs=1.2)


@pytest.mark.parametrize("n_samples", [1, 319, 321, 5000])
def test_silence_is_not_active_and_a_constant_is(n_samples):
    for level in (0, 1):
        marked = additive_noise.active(np.full(n_samples, level), RATE_HZ)
        assert marked.dtype == bool and marked.tolist() == [bool(level)] * n_samples


def test_powers_by_hand():
    speech = np.concatenate([np.full(3200, 0.5), np.zeros(12_800)])  # 0.2 s, and as much of hangover
    assert additive_noise.speech_power(speech, RATE_HZ) == pytest.approx(0.25 / 2)
    assert additive_noise.speech_power(speech, RATE_HZ, "all") == pytest.approx(0.25 / 5)


@pytest.mark.parametrize("level", additive_noise.SNR_LEVELS)
def test_silent_speech_is_refused(level):
    with pytest.raises(UserError, match="SNR on silent speech"):
        additive_noise.speech_power(np.zeros(100), RATE_HZ, level)


@pytest.mark.parametrize("level", additive_noise.SNR_LEVELS)
@pytest.mark.parametrize("snr_db", [-10, 0, 7.5, 30])
def test_the_sum_has_the_ratio_asked_for(level, snr_db, rng):
    speech, added = bursts(rng, level=0.01), rng.laplace(size=3 * RATE_HZ).astype(np.float32)
    total = additive_noise.add(speech, added, snr_db, RATE_HZ, level)
    rated = speech[additive_noise.active(speech, RATE_HZ)] if level == "active" else speech
    ratio = np.mean(rated.astype(float) ** 2) / np.mean((total - speech).astype(float) ** 2)
    assert 10 * np.log10(ratio) == pytest.approx(snr_db, abs=0.01)
    assert total.dtype == np.float32 and total.shape == speech.shape


def test_add_by_hand():
    speech, added = np.array([0.4, -0.4] * 800), np.array([2.0, 2.0] * 800)
    np.testing.assert_allclose(additive_noise.add(speech, added, 20, RATE_HZ), [0.44, -0.36] * 800, rtol=1e-6)
    np.testing.assert_allclose(additive_noise.add(speech, added, -20, RATE_HZ), [1, 3.6 / 4.4] * 800, rtol=1e-6)


def test_files_are_divided_in_thirds_by_the_seed(folder):
    once, again, other = (additive_noise.open_noises(folder, seed=seed) for seed in (3, 3, 4))
    assert [len(once.names[side]) for side in additive_noise.SIDES] == [3, 2, 2]
    assert sorted(sum(once.names.values(), ())) == [f"n{number}.wav" for number in range(7)]
    assert once.names == again.names != other.names and once.settings == again.settings
    for side in additive_noise.SIDES:
        for name, waveform in zip(once.names[side], once.sides[side], strict=True):
            samples = read(folder / name)
            np.testing.assert_allclose(waveform, samples / np.sqrt(np.mean(samples.astype(float) ** 2)), rtol=1e-5)


def test_files_divided_in_time_give_each_side_its_third(folder):
    noises = additive_noise.open_noises(folder, split="time")
    for number, side in enumerate(additive_noise.SIDES):
        assert noises.names[side] == tuple(f"n{number}.wav" for number in range(7))
        third = np.array_split(read(folder / "n4.wav"), 3)[number]
        np.testing.assert_allclose(noises.sides[side][4], third / np.sqrt(np.mean(third**2)), rtol=1e-4)


def test_files_of_a_kind_are_joined_at_a_peak_of_one_and_cut_in_thirds(folder):
    for number in (0, 1):
        write(folder / "bus" / f"b{number}.wav", (0.2 + 0.3 * number) * np.sin(np.arange(8000 + 1000 * number)))
    noises = additive_noise.open_noises(folder, split="joined")
    assert noises.names["test"] == ("bus", ".")
    parts = [read(path) for path in sorted((folder / "bus").iterdir())]
    joined = np.concatenate([part / np.abs(part).max() for part in parts])
    for number, side in enumerate(additive_noise.SIDES):
        third = np.array_split(joined, 3)[number]
        np.testing.assert_allclose(noises.sides[side][0], third / np.sqrt(np.mean(third**2)), rtol=1e-4, atol=1e-6)


def test_a_copy_is_on_no_other_side(folder):
    write(folder / "sub" / "copy.wav", read(folder / "n3.wav"))
    write(folder / "m.flac", read(folder / "n3.wav"))  # 16 bits: other samples, another recording
    noises = additive_noise.open_noises(folder)
    assert noises.settings["copies"] == {"sub/copy.wav": "n3.wav"}
    assert len(sum(noises.names.values(), ())) == 8


def test_settings_identify_the_noise(folder):
    options = ({}, {"rate_hz": 8000}, {"split": "time"}, {"split": "joined"}, {"seed": 1})
    settings = [repr(additive_noise.open_noises(folder, **option).settings) for option in options]
    assert len(set(settings)) == len(options)
    write(folder / "n3.wav", read(folder / "n3.wav")[:-1])
    assert repr(additive_noise.open_noises(folder).settings) != settings[0]


def test_other_rates_are_resampled_and_hidden_files_left_out(folder):
    write(folder / "high.wav", np.sin(np.arange(44_100)), 44_100)
    (folder / "._high.wav").write_bytes(b"no audio")
    write(folder / ".hidden" / "n.wav", np.ones(8000))
    (folder / "README.txt").write_text("no audio")
    noises = additive_noise.open_noises(folder, split="time")
    assert noises.names["test"] == ("high.wav", *(f"n{number}.wav" for number in range(7)))
    assert sum(len(noises.sides[side][0]) for side in additive_noise.SIDES) == 16_000


def test_bad_folders_are_refused_by_name(tmp_path):
    with pytest.raises(UserError, match="absent: expected a folder"):
        additive_noise.open_noises(tmp_path / "absent")
    with pytest.raises(UserError, match="expected recordings of noise"):
        additive_noise.open_noises(tmp_path)
    for name, level in (("a", 0.1), ("b", 0.2), ("copy", 0.1)):
        write(tmp_path / f"{name}.wav", np.full(8000, level))
    with pytest.raises(UserError, match=r"at least 3 .* found 2.*'time'"):
        additive_noise.open_noises(tmp_path)
    with pytest.raises(UserError, match="Did you mean 'files'"):
        additive_noise.open_noises(tmp_path, split="file")
    assert len(additive_noise.open_noises(tmp_path, split="time").sides["test"]) == 2


@pytest.mark.parametrize(
    ("samples", "split", "message"),
    [
        (np.full(8000, 1e-6), "files", "expected noise, found silence"),
        (np.append(np.ones(8000), np.zeros(4000)), "time", "silence in its third for test"),
        (np.ones(4799), "time", r"at least 0.3 s .* found 0.3 s"),
        (np.zeros(8000), "files", "expected noise, found silence"),
        (np.full(8000, np.nan), "files", "finite"),
    ],
)
def test_a_bad_file_is_named(folder, samples, split, message):
    write(folder / "bad.wav", samples)
    with pytest.raises(UserError, match=rf"bad\.wav.*{message}"):
        additive_noise.open_noises(folder, split=split)


def training_noises(*recordings) -> additive_noise.Noises:
    return additive_noise.Noises({"train": recordings}, {}, {"rate_hz": RATE_HZ})


def test_a_long_recording_gives_any_stretch_of_itself(rng):
    recording = np.arange(1, 1001, dtype=np.float32)
    noises = training_noises(recording)
    stretches = np.stack([noises.sample("train", 900, rng) for _ in range(300)])
    np.testing.assert_array_equal(np.diff(stretches), 1)
    assert min(stretches[:, 0]) < 10 and max(stretches[:, 0]) > 92
    np.testing.assert_array_equal(noises.sample("train", 1000, rng), recording)


@pytest.mark.parametrize("n_samples", [1, 1600, 1601, 20_000])
def test_short_recordings_go_on_with_another(n_samples, rng):
    for _ in range(20):
        recordings = [np.full(size, value, np.float32) for value, size in ((1, 1600), (2, 2400), (3, 3200))]
        sample = training_noises(*recordings).sample("train", n_samples, rng)
        assert sample.shape == (n_samples,) and sample.dtype == np.float32
        steady = sample[np.isin(sample, (1, 2, 3))]
        assert len(steady) >= n_samples - 160 * (n_samples // 1440)
        assert n_samples < 20_000 or set(steady) >= {1, 2}
    sample = training_noises(recordings[0]).sample("train", n_samples, rng)  # one recording is repeated
    assert sample.shape == (n_samples,) and (sample >= 1).all() and (sample < 1.5).all()


def test_joints_keep_the_power(rng):
    joints = []
    for _ in range(200):
        short = rng.standard_normal((2, 8000)).astype(np.float32)
        sample = training_noises(*short).sample("train", 15_000, rng)
        first = next(waveform for waveform in short if waveform[0] == sample[0])
        np.testing.assert_array_equal(sample[:7840], first[:7840])
        joints.append(sample[7840:8000])
    power = np.mean(np.square(joints), axis=0)
    np.testing.assert_allclose(power.reshape(8, 20).mean(1), 1, atol=0.1)


def test_no_stretch_is_silent(rng):
    recording = np.zeros(10 * RATE_HZ, np.float32)
    recording[70_000:70_100] = 1
    noises = training_noises(recording / recording.std())
    assert all(noises.sample("train", 500, rng).any() for _ in range(50))
