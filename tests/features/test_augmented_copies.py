"""Altered copies of training clips, and noise in segments: their content, their use, what is refused."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import soundfile

from zoo.config.augmentation_fields import AUGMENTATIONS
from zoo.config.flags import from_flags
from zoo.data.audio.read import read
from zoo.data.audio.recording import BadClip
from zoo.data.augmentation import pitch_and_formants
from zoo.data.augmentation.additive_noise import active, open_noises
from zoo.data.augmentation.conditions import augmenter
from zoo.data.schema import Clip
from zoo.data.synthetic.corpora import synthesize
from zoo.errors import UserError
from zoo.features import augmented_copies, noisy_copies
from zoo.features.extractor import Extractor
from zoo.runs.dataset import open_source, resolve
from zoo.training.tasks import base as tasks
from zoo.training.train import fold_data, prepare
from zoo.utils.progress import Progress

RATE_HZ = 16_000
TONES_HZ = (500, 1500, 3500)  # one for each side of a fold


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """A folder of three tones, of which each side of a fold gets one."""
    folder = tmp_path_factory.mktemp("noise")
    for number, tone_hz in enumerate(TONES_HZ):
        tone = 0.1 * np.sin(2 * np.pi * tone_hz * np.arange(2 * RATE_HZ) / RATE_HZ)
        soundfile.write(folder / f"{number}.wav", tone, RATE_HZ)
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder, rng, made = tmp_path_factory.mktemp("clips"), np.random.default_rng(2), []
    for number in range(6):
        soundfile.write(folder / f"{number}.wav", 0.05 * rng.standard_normal(4000 + 160 * number), RATE_HZ)
        made.append(Clip(folder / f"{number}.wav", f"clip-{number}", "speaker", "label"))
    return made


@pytest.fixture(scope="module")
def emodb(tmp_path_factory):
    return synthesize("emodb", tmp_path_factory.mktemp("twin") / "emodb", 70, seconds=(0.3, 0.4))


def settings(cache, words="noise", **flags):
    given = {"model": "fcn", "corpus": "emodb", "augment_waveforms": words, "copies": 2, "cache_dir": str(cache)}
    given |= {"max_clip_seconds": 9.0}
    return from_flags({**given, **flags})


def waveforms():
    """An extractor whose features are the samples, and how often it was called."""
    calls = []

    def features(waveform):
        if len(waveform) != RATE_HZ:  # the signal that the cache's key is made of
            calls.append(len(waveform))
        return waveform[:, None]

    return Extractor(features, {"front-end": "none"}, RATE_HZ), calls


def copied(config, clips, extractor=None):
    sounds = augmented_copies.open_sounds(config, RATE_HZ)
    found, bad = augmented_copies.extract_copies(config, extractor or waveforms()[0], sounds, clips)
    assert not bad
    return found


def loudest_hz(waveform):
    return np.abs(np.fft.rfft(waveform)).argmax() * RATE_HZ / len(waveform)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            {"augment_waveforms": "nois"},
            "unknown --augment-waveforms 'nois'. Did you mean 'noise'? Known: noise, none,",
        ),
        ({"augment_waveforms": "none,room"}, "unknown --augment-waveforms 'none'"),
        ({"augment_waveforms": ""}, "unknown --augment-waveforms ''"),
        ({"augment_waveforms": "room,room"}, "--augment-waveforms room,room names room twice"),
        ({"augment_waveforms": "noise,speed"}, "--augment-waveforms noise needs --noise DIR"),
        ({"augment_waveforms": "speed", "noise": "DIR"}, "--noise has no effect without --augment-waveforms noise"),
        ({"augment_waveforms": "speed", "responses": "DIR"}, "--responses has no effect without --augment-waveforms r"),
        ({"augment_waveforms": "pitch", "speed_range": (0.8, 1.2)}, "--speed-range has no effect without --augment-w"),
        ({"augment_waveforms": "speed", "pitch_range": (0.8, 1.2)}, "--pitch-range has no effect without --augment-w"),
        (
            {"vocal_tract_range": (0.8, 1.2)},
            "--vocal-tract-range has no effect without --augment-waveforms vocal_tract",
        ),
        ({"augment_waveforms": "pitch", "pitch_range": (1.2, 0.8)}, "--pitch-range is 1.2 0.8, expected two numbers"),
        ({"augment_waveforms": "pitch", "pitch_range": (0.1, 0.8)}, "--pitch-range is 0.1, expected 0.5 to 2"),
        ({"copies": 2}, "--copies has no effect without --augment-waveforms;"),
        ({"augment_snr": (0.0, 9.0)}, "--augment-snr has no effect without --augment-waveforms noise"),
        ({"augment_snr": (9.0, 0.0)}, "--augment-snr is 9 0, expected two numbers, the lower one first"),
        ({"augment_waveforms": "speed", "copies": 0}, "--copies is 0, expected a finite number, at least 1"),
        ({"model": "conv_lstm", "perturb": "noise"}, "--perturb noise needs --noise DIR"),
        ({"model": "conv_lstm", "perturb": "voice", "noise": "DIR"}, "--noise has no effect without --perturb noise"),
        ({"model": "conv_lstm", "augment_waveforms": "speed"}, "--augment-waveforms has no effect on conv_lstm"),
        ({"model": "mfcc_svr", "augment_snr": (0.0, 9.0)}, "--augment-snr has no effect on mfcc_svr"),
    ],
)
def test_what_cannot_work_or_has_no_effect_is_refused(flags, message):
    with pytest.raises(UserError) as error:
        from_flags({"model": "fcn", **flags})
    assert str(error.value).startswith(message)


def test_copies_are_the_numbered_variants_of_the_augmenter(noise, clips, tmp_path):
    config = settings(tmp_path, "speed, noise", noise=str(noise), augment_snr=(3.0, 6.0))
    found = copied(config, clips)
    noises = open_noises(noise, RATE_HZ, "files", augmented_copies.SEED)
    expected = augmenter(("speed", "noise"), noises, snr_db=(3.0, 6.0), seed=augmented_copies.SEED, rate_hz=RATE_HZ)
    lengths = set()
    for clip in clips:
        assert len(found[clip.name]) == 2
        for number, copy in enumerate(found[clip.name], start=1):
            waveform = read(clip.path, RATE_HZ)
            np.testing.assert_array_equal(copy.read()[:, 0], expected(waveform, clip.name, number))
            lengths.add(round(len(waveform) / copy.n_frames, 1))
    assert lengths == {0.9, 1.0, 1.1}


@pytest.mark.parametrize("kind", AUGMENTATIONS)
def test_every_kind_that_a_configuration_may_name_alters_speech(noise, clips, tmp_path, kind):
    options = {"noise": str(noise)} if kind == "noise" else {}
    for clip in clips:
        copy, _ = copied(settings(tmp_path, kind, **options), clips)[clip.name]
        assert not np.array_equal(copy.read()[:, 0], read(clip.path, RATE_HZ))


def test_noise_is_that_of_training(noise, clips, tmp_path):
    (name,) = open_noises(noise, RATE_HZ, "files", augmented_copies.SEED).names["train"]
    tone_hz = TONES_HZ[int(name.removesuffix(".wav"))]
    for copy, _ in copied(settings(tmp_path, noise=str(noise), augment_snr=(-20.0, -20.0)), clips).values():
        assert loudest_hz(copy.read()[:, 0]) == pytest.approx(tone_hz, abs=10)
    segment = perturbation(noise, -20.0, -20.0)(spoken(), np.random.default_rng(0))
    assert loudest_hz(segment[:, 0]) == pytest.approx(tone_hz, abs=10)


def test_copies_are_made_once_for_what_they_are_made_of(noise, clips, tmp_path):
    extractor, calls = waveforms()
    config = settings(tmp_path / "cache", noise=str(noise))
    first = copied(config, clips, extractor)
    assert len(calls) == 2 * len(clips)
    assert copied(replace(config, seed=5, epochs=3), clips, extractor) == first and len(calls) == 12
    copied(replace(config, copies=3), clips, extractor)
    assert len(calls) == 18  # the third ones only
    copied(replace(config, augment_snr=(0.0, 10.0)), clips, extractor)
    assert len(calls) == 30
    louder = tmp_path / "noise"
    louder.mkdir()
    for path in noise.iterdir():
        soundfile.write(louder / path.name, np.flip(read(path, RATE_HZ)[:30_000]), RATE_HZ)
    copied(replace(config, noise=str(louder)), clips, extractor)
    assert len(calls) == 42


def test_rooms_are_drawn_or_read(clips, tmp_path):
    extractor, calls = waveforms()
    drawn = copied(settings(tmp_path / "cache", "room"), clips, extractor)
    for clip in clips:
        dry, (one, other) = read(clip.path, RATE_HZ), drawn[clip.name]
        assert np.square(one.read()).sum() == pytest.approx(np.square(dry).sum(), rel=1e-4)
        assert not np.array_equal(one.read(), other.read()) and not np.array_equal(one.read()[:, 0], dry)
    (tmp_path / "rooms").mkdir()
    soundfile.write(tmp_path / "rooms" / "echo.wav", np.eye(1, 800)[0], RATE_HZ)  # no room at all
    config = settings(tmp_path / "cache", "room", responses=str(tmp_path / "rooms"))
    found = copied(config, clips, extractor)
    for clip in clips:
        np.testing.assert_allclose(found[clip.name][0].read()[:, 0], read(clip.path, RATE_HZ), atol=1e-3)
    assert len(calls) == 4 * len(clips)
    assert set(augmented_copies.open_sounds(config, RATE_HZ).sha256) == {"responses_sha256", "copies_sha256"}
    with pytest.raises(UserError, match=r"--responses .*absent: .*absent: expected a folder of impulse responses"):
        augmented_copies.open_sounds(replace(config, responses=str(tmp_path / "absent")), RATE_HZ)


def test_other_ways_of_altering_are_other_data(tmp_path, monkeypatch):
    ranges = [{}, {"speed_range": (0.8, 1.2)}, {"pitch_range": (0.8, 1.2)}, {"vocal_tract_range": (0.8, 1.2)}]
    found = [settings(tmp_path, "speed,pitch,vocal_tract", **one) for one in ranges]
    found += [settings(tmp_path, "speed"), settings(tmp_path, "pitch"), settings(tmp_path, "vocal_tract")]
    hashes = [augmented_copies.open_sounds(one, RATE_HZ).sha256["copies_sha256"] for one in found]
    monkeypatch.setattr(pitch_and_formants, "METHOD", "another")
    hashes += [augmented_copies.open_sounds(one, RATE_HZ).sha256["copies_sha256"] for one in (found[0], found[5])]
    assert len(set(hashes)) == 9
    # Of speed alone the hash is that of runs before there were other voices, which go on with their copies.
    assert hashes[4] == "8f17abfb6ef44ead348e4393a394449f539a03be426fc39d9311f768bdced333"


def test_a_silent_clip_cannot_be_in_noise(noise, clips, tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(4000), RATE_HZ)
    config = settings(tmp_path, noise=str(noise))
    with pytest.raises(UserError, match=r"silen"):
        copied(config, [*clips, Clip(tmp_path / "silent.wav", "mute", "speaker", "label")])


def test_clips_shorter_than_the_extractor_takes_are_refused_by_name_before_it_gets_them(noise, clips, tmp_path):
    """openSMILE takes 0.06 s, other front-ends 0.025 s: copies went by the latter, to an error without a name."""
    extractor, calls = waveforms()
    extractor = replace(extractor, least_seconds=0.28)  # between the lengths of the clips, 0.25 to 0.3 s
    config = settings(tmp_path, noise=str(noise))
    sounds = augmented_copies.open_sounds(config, RATE_HZ)
    with pytest.raises(BadClip, match=rf"{clips[0].path}: expected a longer clip"):
        augmented_copies.extract_copies(config, extractor, sounds, clips)
    with pytest.raises(BadClip, match=rf"{clips[0].path}: expected a longer clip"):
        noisy_copies.extract_noisy(config, extractor, clips, "train")
    assert not calls
    skipping = replace(config, on_bad_clip="skip")
    found, bad = augmented_copies.extract_copies(skipping, extractor, sounds, clips)
    assert [item["clip"] for item in bad] == ["clip-0", "clip-1", "clip-2"] and len(found) == 3
    assert min(calls) >= 0.28 * RATE_HZ


def test_a_clip_of_which_a_copy_is_too_short_is_left_out(clips, tmp_path):
    """Speech that is sped up is shorter: an error without a name, from openSMILE."""
    extractor = replace(waveforms()[0], least_seconds=0.25)
    config = settings(tmp_path, "speed", copies=4, on_bad_clip="skip")
    sped_up = augmenter(("speed",), seed=augmented_copies.SEED, rate_hz=RATE_HZ)
    lengths = {clip.name: [len(sped_up(read(clip.path), clip.name, n)) for n in (1, 2, 3, 4)] for clip in clips}
    short = {name for name, found in lengths.items() if min(found) < 0.25 * RATE_HZ}
    found, bad = augmented_copies.extract_copies(
        config, extractor, augmented_copies.open_sounds(config, RATE_HZ), clips
    )
    assert 0 < len(short) < 6 and {item["clip"] for item in bad} == short == lengths.keys() - found.keys()
    assert all(item["kind"] == "too-short" and "an altered copy of" in item["reason"] for item in bad)


def test_without_augmentation_nothing_is_made(clips, tmp_path):
    config = from_flags({"model": "fcn", "cache_dir": str(tmp_path)})
    assert copied(config, clips) == {}
    assert augmented_copies.open_sounds(config, RATE_HZ) == augmented_copies.Sounds(None, None, {})


def perturbation(noise, low, high, **flags):
    given = {"model": "conv_lstm", "corpus": "recola", "perturb": "noise", "noise": str(noise)}
    return augmented_copies.noise_perturbation(from_flags({**given, "augment_snr": (low, high), **flags}), RATE_HZ)


def spoken(seconds=2.0):
    """Speech for half of the time, at the level of a standardised recording."""
    segment = np.random.default_rng(3).standard_normal(round(seconds * RATE_HZ)).astype(np.float32)
    segment[len(segment) // 2 :] *= 1e-3
    return segment[:, None]


def test_segments_are_in_noise_at_the_ratio_of_the_configuration(noise):
    segment = spoken()
    noisy = perturbation(noise, 7.0, 7.0)(segment, np.random.default_rng(0))
    assert noisy.shape == segment.shape and noisy.dtype == np.float32
    # A tone and white noise hardly correlate: the segment's share of the sum shows by what it was divided.
    speech = segment[:, 0].astype(float)
    scale = noisy[:, 0] @ speech / (speech @ speech)
    added = noisy[:, 0] / scale - speech
    found_db = 10 * np.log10(np.mean(speech[active(speech, RATE_HZ)] ** 2) / np.mean(added**2))
    assert found_db == pytest.approx(7, abs=0.1)
    assert scale == pytest.approx(1 / np.sqrt(1 + np.mean(added**2)), rel=0.02)


def test_ratios_fill_their_range_and_depend_on_the_generator(noise):
    perturb, segment = perturbation(noise, 0.0, 20.0), spoken(0.5)
    rngs = [np.random.default_rng(number) for number in range(40)]
    noisy = [perturb(segment, rng) for rng in rngs]
    np.testing.assert_array_equal(noisy[7], perturb(segment, np.random.default_rng(7)))
    tails_db = [10 * np.log10(np.mean(one[len(one) * 3 // 4 :] ** 2)) for one in noisy]
    assert max(tails_db) - min(tails_db) > 10


@pytest.mark.parametrize("level", [0.0, -0.013])
def test_silent_segments_stay_silent(noise, level):
    silent = np.full((8000, 1), level, np.float32)  # standardised, a digital silence is not 0
    np.testing.assert_array_equal(perturbation(noise, 0.0, 5.0)(silent, np.random.default_rng(0)), silent)


def run_of(folder, emodb, noise=None, **flags):
    noisy = {"augment_waveforms": "noise,speed", "noise": str(noise), "copies": 2} if noise else {}
    given = {"model": "fcn", "corpus": "emodb", "fold": "0", "bands": 8, "data_root": str(emodb), "out": str(folder)}
    given |= {"cache_dir": f"{folder.parent}/cache", "backend": keras.backend.backend()}
    config = resolve(from_flags({**given, **noisy, **flags}))
    folder.mkdir(exist_ok=True)
    with Progress() as progress:
        return prepare(folder, config, open_source(config), progress)


def test_only_training_clips_have_copies_and_normalisation_is_by_them_too(emodb, noise, tmp_path):
    run = run_of(tmp_path / "run", emodb, noise)
    task = fold_data(run, run.source.folds[0])
    assert all(len(example.versions) == 2 for example in task.train)
    assert not any(example.versions for example in task.validation)
    used = [features for example in task.train for features in (example.features, *example.versions)]
    paths = {features.path for features in used}
    assert len(paths) == 3 * len(task.train) and not paths & {example.features.path for example in task.validation}
    fitting = tasks.of("fcn").fitting(task, run.config)
    assert sum(len(inputs["n_frames"]) for inputs, _, _ in fitting.batches(1)) == len(task.train)
    frames = [features.read() for features in used]
    layers = fitting.network._flatten_layers()
    layer = next(layer for layer in layers if isinstance(layer, keras.layers.Normalization))
    np.testing.assert_allclose(np.ravel(layer.mean), np.concatenate(frames).mean(axis=0), rtol=1e-4)


def test_records_say_which_noise_and_no_other_is_gone_on_with(emodb, noise, tmp_path):
    plain = run_of(tmp_path / "plain", emodb)
    assert json.loads((tmp_path / "plain" / "data.json").read_text()) == {"data_sha256": plain.facts["data_sha256"]}
    assert "noise_sha256" not in plain.facts and plain.versions == {}

    own = shutil.copytree(noise, tmp_path / "noise")
    run = run_of(tmp_path / "noisy", emodb, own)
    assert run.facts["noise_sha256"] == open_noises(own, RATE_HZ).settings["sha256"]
    assert run.facts["data_sha256"] == plain.facts["data_sha256"]
    assert run_of(tmp_path / "noisy", emodb, own).versions == run.versions
    soundfile.write(own / "1.wav", np.random.default_rng(0).uniform(-0.1, 0.1, 9000), RATE_HZ)
    with pytest.raises(UserError, match=r"the recordings of noise are not those this run was started on \(data.json\)"):
        run_of(tmp_path / "noisy", emodb, own)


def test_noise_that_cannot_be_used_is_refused_before_any_clip_is_read(tmp_path):
    protocol = SimpleNamespace(classes=("a", "b"), targets=("arousal", "valence"), name="any")
    rated = {"model": "conv_lstm", "corpus": "recola", "perturb": "noise", "noise": str(tmp_path / "absent")}
    for config in (settings(tmp_path, noise=str(tmp_path / "absent")), from_flags(rated)):
        with pytest.raises(UserError, match=r"--noise .*absent: .*: expected a folder of"):
            tasks.of(config.model).check(config, protocol)
