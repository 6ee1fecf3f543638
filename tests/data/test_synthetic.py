"""The synthetic voice against librosa and filter theory; the twins against the corpora's own loaders."""

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from scipy import signal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zoo.data import corpora, cremad, synthetic, voice
from zoo.errors import UserError

RATE_HZ = 16000
LEAST_CLIPS = {"iemocap": 50, "aibo": 40, "ravdess": 192, "emodb": 70, "cremad": 96}
SHORT = (0.2, 0.25)  # seconds


def speak(emotion: str, kind: str = "F", seconds: float = 1.5, n_clips: int = 6) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    speaker = voice.draw_speaker(kind, rng)
    return [voice.utterance(emotion, speaker, seconds, rng) for _ in range(n_clips)]


def plain_emotion(**changes: float) -> voice.Emotion:
    return replace(voice.EMOTIONS["neutral"], **changes)


@pytest.mark.parametrize("emotion", voice.EMOTIONS)
@pytest.mark.parametrize("kind", voice.KINDS)
def test_every_emotion_in_every_kind_of_voice(emotion: str, kind: str) -> None:
    (clip,) = speak(emotion, kind, seconds=0.5, n_clips=1)
    assert clip.shape == (8000,)
    assert clip.dtype == np.float32
    assert 0.01 < np.abs(clip).max() <= 1


@pytest.mark.parametrize(("seconds", "rate_hz"), [(0.2, 16000), (0.70001, 44100), (1.2345, 48000)])
def test_length_at_any_rate(seconds: float, rate_hz: int) -> None:
    rng = np.random.default_rng(0)
    clip = voice.utterance("sad", voice.draw_speaker("M", rng), seconds, rng, rate_hz)
    assert clip.shape == (round(seconds * rate_hz),)
    assert np.isfinite(clip).all()


def test_same_seed_same_clip_and_never_twice_the_same() -> None:
    first, second = speak("happy"), speak("happy")
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[0], first[1])


def test_refuses_what_it_cannot_speak() -> None:
    rng = np.random.default_rng(0)
    speaker = voice.draw_speaker("M", rng)
    with pytest.raises(UserError, match=r"'angri'.*'angry'"):
        voice.utterance("angri", speaker, 1, rng)
    with pytest.raises(UserError, match="kind of speaker 'X'"):
        voice.draw_speaker("X", rng)
    with pytest.raises(ValueError, match=r"at least 0\.2 s"):
        voice.utterance("angry", speaker, 0.1, rng)
    with pytest.raises(ValueError, match="16000 Hz"):
        voice.utterance("angry", speaker, 1, rng, rate_hz=8000)


def test_pitch_as_librosa_hears_it() -> None:
    """A speaker of 150 Hz in a monotone 12 semitones up is heard at 300 Hz."""
    rng = np.random.default_rng(0)
    manner = plain_emotion(pitch_semitones=12, range_semitones=0, slope_semitones=0, jitter=0)
    speaker = voice.Speaker(f0_hz=150, formant_scale=1, brightness=1, rate=1, level_db=0)
    pitch, *_ = voice._score(manner, speaker, 1.0, rng)
    np.testing.assert_allclose(pitch, 12)
    pulses = voice._pulses(np.full(RATE_HZ, 300.0), manner, 1500, RATE_HZ, rng)
    heard = librosa.yin(pulses, fmin=80, fmax=800, sr=RATE_HZ)
    assert np.median(heard) == pytest.approx(300, rel=0.01)


def test_formants_are_klatts_resonators() -> None:
    """A steady vowel's response is the product of Klatt's resonators, each of gain 1 at 0 Hz."""
    centres_hz = np.array([730.0, 1090.0, 2440.0, 3500.0, 4500.0])
    impulse = np.zeros(RATE_HZ)
    impulse[0] = 1
    spectrum = np.fft.rfft(voice._formants(impulse, np.tile(centres_hz, (51, 1)), RATE_HZ))  # 1 Hz per bin
    z = np.exp(2j * np.pi * np.arange(len(spectrum)) / RATE_HZ)
    expected = np.ones_like(z)
    for centre_hz, width_hz in zip(centres_hz, (60, 90, 130, 200, 250), strict=True):
        c = -np.exp(-2 * np.pi * width_hz / RATE_HZ)
        b = 2 * np.exp(-np.pi * width_hz / RATE_HZ) * np.cos(2 * np.pi * centre_hz / RATE_HZ)
        expected *= (1 - b - c) / (1 - b / z - c / z**2)
    np.testing.assert_allclose(spectrum, expected, atol=1e-6 * np.abs(expected).max())
    assert abs(spectrum[0]) == pytest.approx(1)
    peaks, _ = signal.find_peaks(np.abs(spectrum))
    np.testing.assert_allclose(peaks[:3], centres_hz[:3], atol=40)


def test_emotions_move_the_voice_as_the_literature_says() -> None:
    """Juslin and Laukka (2003), Table 7: anger loud and bright, sadness soft and dull and low, happiness high."""

    def measure(emotion: str) -> tuple[float, float, float]:
        clips = speak(emotion)
        level_db = np.mean([20 * np.log10(np.std(clip)) for clip in clips])
        frequency_hz, power = signal.welch(np.concatenate(clips), RATE_HZ, nperseg=512)
        low, high = (
            power[(frequency_hz > least) & (frequency_hz < most)].sum() for least, most in [(50, 1e3), (1e3, 3e3)]
        )
        pitch_hz = np.median([librosa.yin(clip, fmin=80, fmax=800, sr=RATE_HZ) for clip in clips])
        return float(level_db), 10 * np.log10(high / low), float(pitch_hz)

    angry, happy, neutral, sad = (measure(emotion) for emotion in ("angry", "happy", "neutral", "sad"))
    assert angry[0] > happy[0] > neutral[0] > sad[0] + 3
    assert angry[1] > neutral[1] > sad[1]
    assert happy[2] > neutral[2] > sad[2]


def test_emotion_can_be_learnt_from_other_speakers() -> None:
    """Clip-level MFCC statistics and a linear classifier: well above chance (0.25), yet not without errors."""
    rng = np.random.default_rng(0)
    emotions = ("neutral", "happy", "sad", "angry")
    speakers = [voice.draw_speaker("FM"[index % 2], rng) for index in range(10)]
    labels = np.array([index // 10 % 4 for index in range(200)])
    clips = [voice.utterance(emotions[label], speakers[i % 10], 1.2, rng) for i, label in enumerate(labels)]
    mfcc = [librosa.feature.mfcc(y=clip, sr=RATE_HZ, n_fft=512, hop_length=320, n_mels=40) for clip in clips]
    features = np.array([np.concatenate([coefficients.mean(1), coefficients.std(1)]) for coefficients in mfcc])
    unseen = np.arange(200) % 10 >= 6
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    predicted = classifier.fit(features[~unseen], labels[~unseen]).predict(features[unseen])
    assert 0.75 < recall_score(labels[unseen], predicted, average="macro") < 1


@pytest.fixture
def coded_voice(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replaces the voice by one whose samples say which emotion (the list's) and which speaker they are of."""
    emotions = list(voice.EMOTIONS)
    drawn: list[str] = []

    def draw_speaker(kind: str, rng: np.random.Generator) -> int:
        drawn.append(kind)
        return len(drawn)

    def utterance(emotion: str, speaker: int, seconds: float, rng: np.random.Generator, rate_hz: int) -> np.ndarray:
        samples = np.zeros(round(seconds * rate_hz))
        samples[:2] = emotions.index(emotion) / 100, speaker / 100
        return samples

    monkeypatch.setattr(voice, "draw_speaker", draw_speaker)
    monkeypatch.setattr(voice, "utterance", utterance)
    return emotions


# The loader's label -> the row of voice.EMOTIONS that must have spoken it.
SPOKEN = {
    "iemocap": {
        "neu": "neutral",
        "hap": "happy",
        "exc": "excited",
        "sad": "sad",
        "ang": "angry",
        "fru": "frustrated",
        "xxx": "other",
    },
    "aibo": {"A": "angry", "E": "emphatic", "N": "neutral", "P": "positive", "R": "other"},
    "ravdess": {
        "neutral": "neutral",
        "calm": "calm",
        "happy": "happy",
        "sad": "sad",
        "angry": "angry",
        "fearful": "fearful",
        "disgust": "disgust",
        "surprised": "surprised",
    },
    "emodb": {
        "anger": "angry",
        "boredom": "bored",
        "disgust": "disgust",
        "fear": "fearful",
        "happiness": "happy",
        "neutral": "neutral",
        "sadness": "sad",
    },
    "cremad": {
        "anger": "angry",
        "disgust": "disgust",
        "fear": "fearful",
        "happy": "happy",
        "neutral": "neutral",
        "sad": "sad",
    },
}
SPEAKERS = {
    "iemocap": {f"Ses0{session}{gender}" for session in range(1, 6) for gender in "FM"},
    "aibo": {f"{school}_0{child}" for school in ("Ohm", "Mont") for child in range(1, 5)},
    "ravdess": {f"Actor_{actor:02d}" for actor in range(1, 25)},
    "emodb": {"03", "08", "09", "10", "11", "12", "13", "14", "15", "16"},
    "cremad": {str(actor) for actor in range(1001, 1017)},
}


@pytest.mark.parametrize("corpus", synthetic.TWINS)
@pytest.mark.parametrize("extra", [0, 107])
def test_loader_reads_what_was_written(corpus: str, extra: int, tmp_path: Path, coded_voice: list[str]) -> None:
    n_clips = LEAST_CLIPS[corpus] + extra
    root = synthetic.synthesize(corpus, tmp_path / "twin", n_clips, seconds=SHORT)
    assert corpora.resolve_root(corpus, root) == root
    loaded = corpora.load(corpus, root)
    assert (len(loaded.clips), loaded.ignored, loaded.missing, loaded.duplicates) == (n_clips, {}, [], [])
    numbers = {}
    for clip in loaded.clips:
        samples, rate_hz = soundfile.read(clip.path, always_2d=True)
        assert rate_hz == corpora.CORPORA[corpus].rate_hz
        emotion, number = np.round(samples[:2, 0] * 100).astype(int)
        assert coded_voice[emotion] == SPOKEN[corpus][clip.label]
        assert numbers.setdefault(clip.speaker, number) == number
    assert set(numbers) == SPEAKERS[corpus]
    assert len(set(numbers.values())) == len(numbers)


@pytest.mark.parametrize("corpus", ["aibo", "ravdess", "emodb", "cremad"])
def test_classes_are_balanced_over_speakers(corpus: str, tmp_path: Path, coded_voice: list[str]) -> None:
    root = synthetic.synthesize(corpus, tmp_path / "twin", LEAST_CLIPS[corpus] + 13, seconds=SHORT)
    clips = corpora.load(corpus, root).clips
    cells = Counter((clip.speaker, clip.label) for clip in clips)
    assert len(cells) == len(SPEAKERS[corpus]) * len(SPOKEN[corpus])
    assert set(cells.values()) == {1, 2}
    labels = Counter(clip.label for clip in clips)
    assert max(labels.values()) - min(labels.values()) <= 2


@pytest.mark.parametrize("n_clips", [50, 200])
def test_iemocap_speakers_have_the_four_classes(n_clips: int, tmp_path: Path, coded_voice: list[str]) -> None:
    clips = corpora.load("iemocap", synthetic.synthesize("iemocap", tmp_path / "twin", n_clips, seconds=SHORT)).clips
    merged = {"exc": "hap"}
    improvised = {(c.speaker, merged.get(c.label, c.label)) for c in clips if c.tags["kind"] == "impro"}
    assert {(speaker, code) for speaker in SPEAKERS["iemocap"] for code in ("neu", "hap", "sad", "ang")} <= improvised
    if n_clips == 200:
        assert {clip.label for clip in clips} == set(SPOKEN["iemocap"])
        share_improvised = np.mean([clip.tags["kind"] == "impro" for clip in clips])
        assert 0.8 <= share_improvised < 1
        assert sum(clip.label in ("fru", "xxx") for clip in clips) < 30
        # The marker's letter and the speaker's differ in places, which careless loaders get wrong.
        assert {clip.name[5] + clip.speaker[5] for clip in clips} == {"FF", "FM", "MF", "MM"}


def test_iemocap_label_file(tmp_path: Path, coded_voice: list[str]) -> None:
    root = synthetic.synthesize("iemocap", tmp_path / "twin", 50, seconds=SHORT)
    text = (root / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt").read_text()
    head, *blocks = text.split("\n\n")
    assert head == "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"
    assert len(blocks) == 8  # four turns of each speaker
    assert re.fullmatch(
        r"\[\d\.\d{4} - \d\.\d{4}\]\tSes01F_impro01_F000\tneu\t\[3\.5000, 2\.5000, 2\.5000\]\n"
        r"(C-E[234]:\tNeutral state;\t\(\)\n){3}"
        r"A-E3:\tval 3; act 2; dom  2;\t\(\)\nA-E4:\tval 4; act 3; dom  3;\t\(\)",
        blocks[0],
    )
    times = [float(time) for times in re.findall(r"\[(\S+) - (\S+)\]\t", text) for time in times]
    assert times == sorted(times)


def test_aibo_two_and_five_classes_agree(tmp_path: Path, coded_voice: list[str]) -> None:
    clips = corpora.load("aibo", synthetic.synthesize("aibo", tmp_path / "twin", 40, seconds=SHORT)).clips
    assert {(clip.label, clip.tags["label_2cl"]) for clip in clips} == {
        *(("A", "NEG"), ("E", "NEG")),
        *(("N", "IDL"), ("P", "IDL"), ("R", "IDL")),
    }


def test_cremad_votes(tmp_path: Path, coded_voice: list[str]) -> None:
    root = synthetic.synthesize("cremad", tmp_path / "twin", 100, seconds=SHORT)
    voted = cremad.load(root, "voice")
    intended = {clip.name: clip.label for clip in cremad.load(root).clips}
    assert len(voted.clips) == 95
    assert all(intended[clip.name] == clip.label for clip in voted.clips)


def test_ravdess_intensities_rate_and_stereo_clip(tmp_path: Path, coded_voice: list[str]) -> None:
    clips = corpora.load("ravdess", synthetic.synthesize("ravdess", tmp_path / "twin", 384, seconds=SHORT)).clips
    assert Counter((clip.label == "neutral", clip.tags["intensity"]) for clip in clips) == {
        (True, "normal"): 48,
        (False, "normal"): 168,
        (False, "strong"): 168,
    }
    infos = [soundfile.info(clip.path) for clip in clips]
    assert Counter(info.channels for info in infos) == {1: 383, 2: 1}
    assert {(info.samplerate, info.format, info.subtype) for info in infos} == {(48000, "WAV", "PCM_16")}


def test_largest_twins_have_no_name_twice(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for twin in synthetic.TWINS.values():
        n_clips = twin.turns[1] * len(twin.speakers)
        assert len({utterance.path for utterance in synthetic._plan(twin, n_clips, SHORT, rng)}) == n_clips


def contents(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    first, again, other = (
        contents(synthetic.synthesize("aibo", tmp_path / name, 40, seed, SHORT))
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert first == again
    clips = [name for name in first if name.endswith(".wav")]
    assert len(clips) == 40
    assert all(first[name] != other[name] for name in clips)


def test_marker(tmp_path: Path, coded_voice: list[str]) -> None:
    assert not synthetic.is_synthetic(tmp_path)
    root = synthetic.synthesize("emodb", tmp_path / "new" / "twin", 70, 5, SHORT)
    assert synthetic.is_synthetic(root)
    assert json.loads((root / "SYNTHETIC.json").read_text()) == {
        "synthetic": True,
        "corpus": "emodb",
        "seed": 5,
        "clips": 70,
        "seconds": [0.2, 0.25],
        "generator_version": synthetic.GENERATOR_VERSION,
    }


def test_cached_is_made_once(tmp_path: Path, coded_voice: list[str]) -> None:
    root = synthetic.cached("emodb", tmp_path, 70, seed=2)
    assert root == tmp_path / "synthetic" / f"emodb-70-2-v{synthetic.GENERATOR_VERSION}"
    made_ns = (root / "SYNTHETIC.json").stat().st_mtime_ns
    assert synthetic.cached("emodb", tmp_path, 70, seed=2) == root
    assert (root / "SYNTHETIC.json").stat().st_mtime_ns == made_ns


def test_cached_while_another_process_is_faster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def overtaken(corpus: str, root: Path, n_clips: int, seed: int) -> Path:
        root.mkdir(parents=True)
        (root / "SYNTHETIC.json").write_text("{}")
        raise UserError("exists")

    monkeypatch.setattr(synthetic, "synthesize", overtaken)
    assert synthetic.is_synthetic(synthetic.cached("emodb", tmp_path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"corpus": "emodbb"}, r"unknown corpus 'emodbb'.*'emodb'"),
        ({"n_clips": 69}, "70 to 4200 clips.*69"),
        ({"n_clips": 4201}, "70 to 4200 clips.*4201"),
        ({"seconds": (0.1, 1.0)}, r"0\.2 to 60.*\(0\.1, 1\.0\)"),
        ({"seconds": (2.0, 1.0)}, "shortest, longest"),
        ({"seed": -1}, "seed of 0 or more.*-1"),
    ],
)
def test_refuses_impossible_twins(arguments: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        synthetic.synthesize(**{"corpus": "emodb", "out": tmp_path / "twin", "n_clips": 70, **arguments})
    assert not list(tmp_path.iterdir())


def test_least_clips_are_those_of_the_error(tmp_path: Path) -> None:
    for corpus, least in LEAST_CLIPS.items():
        with pytest.raises(UserError, match=f"synthetic {corpus} takes {least} to "):
            synthetic.synthesize(corpus, tmp_path / "twin", least - 1)


def test_never_writes_over_anything(tmp_path: Path, coded_voice: list[str]) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for out in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(UserError, match="not an empty folder"):
            synthetic.synthesize("emodb", out, 70)
    assert contents(tmp_path) == {"mine.txt": b"mine"}
    (tmp_path / "empty").mkdir()
    assert synthetic.is_synthetic(synthetic.synthesize("emodb", tmp_path / "empty", 70, seconds=SHORT))


def test_unwritable_place(tmp_path: Path, coded_voice: list[str]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file/twin"):
        synthetic.synthesize("emodb", tmp_path / "file" / "twin", 70, seconds=SHORT)


def test_full_disk_leaves_nothing(tmp_path: Path, coded_voice: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    write, written = soundfile.write, []

    def full_after_ten(path: Path, *arguments: object, **options: object) -> None:
        written.append(path)
        if len(written) > 10:
            raise OSError(28, "No space left on device")
        write(path, *arguments, **options)

    monkeypatch.setattr(soundfile, "write", full_after_ten)
    with pytest.raises(UserError, match="No space left on device"):
        synthetic.synthesize("emodb", tmp_path / "twin", 70, seconds=SHORT)
    assert not list(tmp_path.iterdir())


def run_script(*arguments: str) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).parents[2] / "scripts" / "synthesize.py"
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True)


def test_script_writes_and_says_that_it_is_synthetic(tmp_path: Path) -> None:
    out = tmp_path / "twin"
    done = run_script("--corpus", "emodb", "--out", str(out), "--clips", "70", "--seed", "1")
    assert done.returncode == 0
    assert all("synthetic" in line for line in done.stdout.splitlines() if not line.startswith("  "))
    assert f"train.py --model attention_blstm_fcn --corpus emodb --data-root {out}" in done.stdout
    assert len(corpora.load("emodb", out).clips) == 70


def test_script_refuses_in_one_message(tmp_path: Path) -> None:
    done = run_script("--corpus", "emodb", "--out", str(tmp_path / "twin"), "--clips", "7")
    assert done.returncode == 2
    assert "70 to 4200 clips" in done.stderr
    assert "Traceback" not in done.stderr
