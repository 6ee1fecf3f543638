"""The synthetic voice compared with librosa, filter theory and the literature."""

from dataclasses import replace

import librosa
import numpy as np
import pytest
from scipy import signal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zoo.data.synthetic import voice

RATE_HZ = 16000


def speak(emotion, kind="F", seconds=1.5, n_clips=6, rate_hz=RATE_HZ):
    rng = np.random.default_rng(0)
    speaker = voice.draw_speaker(kind, rng)
    return [voice.utterance(emotion, speaker, seconds, rng, rate_hz) for _ in range(n_clips)]


@pytest.mark.parametrize("emotion", voice.EMOTIONS)
@pytest.mark.parametrize(
    ("kind", "seconds", "rate_hz"), [("M", 0.2, 16000), ("F", 0.70001, 44100), ("child", 0.3, 48000)]
)
def test_every_emotion_in_every_kind_of_voice_at_any_length_and_rate(emotion, kind, seconds, rate_hz):
    (clip,) = speak(emotion, kind, seconds, 1, rate_hz)
    assert clip.shape == (round(seconds * rate_hz),) and clip.dtype == np.float32
    assert 0.01 < np.abs(clip).max() <= 1


def test_same_seed_same_clip_and_never_twice_the_same():
    first, second = speak("happy"), speak("happy")
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[0], first[1])


def test_pitch_agrees_with_librosa():
    """A speaker of 150 Hz in a monotone 12 semitones up has a pitch of 300 Hz."""
    rng = np.random.default_rng(0)
    manner = replace(voice.EMOTIONS["neutral"], pitch_semitones=12, range_semitones=0, slope_semitones=0, jitter=0)
    speaker = voice.Speaker(f0_hz=150, formant_scale=1, brightness=1, rate=1, level_db=0)
    pitch, *_ = voice._score(manner, speaker, 1.0, rng)
    np.testing.assert_allclose(pitch, 12)
    flow = voice._glottal_flow(np.full(RATE_HZ, 300.0), manner.jitter, RATE_HZ, rng)
    pulses = voice._radiated(flow, 1500, RATE_HZ) + voice._breath(flow, manner.breath, rng)
    found_hz = librosa.yin(pulses, fmin=80, fmax=800, sr=RATE_HZ)
    assert np.median(found_hz) == pytest.approx(300, rel=0.01)


def test_formants_are_klatts_resonators():
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


def test_emotions_move_the_voice_as_the_literature_says():
    """Juslin and Laukka (2003), Table 7: anger loud and bright, sadness soft and dull and low, happiness high."""

    def measure(emotion):
        clips = speak(emotion)
        level_db = np.mean([20 * np.log10(np.std(clip)) for clip in clips])
        hz, power = signal.welch(np.concatenate(clips), RATE_HZ, nperseg=512)
        low, high = (power[(hz > least) & (hz < most)].sum() for least, most in [(50, 1e3), (1e3, 3e3)])
        pitch_hz = np.median([librosa.yin(clip, fmin=80, fmax=800, sr=RATE_HZ) for clip in clips])
        return float(level_db), 10 * np.log10(high / low), float(pitch_hz)

    angry, happy, neutral, sad = (measure(emotion) for emotion in ("angry", "happy", "neutral", "sad"))
    assert angry[0] > happy[0] > neutral[0] > sad[0] + 3
    assert angry[1] > neutral[1] > sad[1]
    assert happy[2] > neutral[2] > sad[2]


def test_emotion_can_be_learnt_from_other_speakers():
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
