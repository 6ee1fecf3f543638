"""Synthesise nonsense syllables with emotion, by a source-filter voice.

Glottal pulses and breath noise drive a cascade of formant resonators (Klatt 1980, "Software for a cascade/parallel
formant synthesizer"); consonants are gaps and fricative noise. What an emotion does to a voice follows the direction
of the cues in Juslin and Laukka (2003), "Communication of emotions in vocal expression and music performance",
Table 7, and Banse and Scherer (1996); the sizes are ours. `utterance` acts one emotion; `monologue` follows arousal and
valence as they change.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import scipy  # its parts are imported when used: scipy.signal takes seconds
from numpy.random import Generator

FRAMES_PER_SECOND = 50  # pitch, formants and amplitudes are drawn at this rate

# Mean F1, F2 and F3 in Hz of ten American English vowels spoken by men: Peterson and Barney (1952), Table II.
VOWELS_HZ = np.array(
    [
        [270.0, 390, 530, 660, 730, 570, 440, 300, 640, 490],
        [2290, 1990, 1840, 1720, 1090, 840, 1020, 870, 1190, 1350],
        [3010, 2550, 2480, 2410, 2440, 2410, 2240, 2240, 2390, 1690],
    ]
).T
UPPER_FORMANTS_HZ = (3500.0, 4500.0)
Tracks = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # over frames
BANDWIDTHS_HZ = np.array([60.0, 90.0, 130.0, 200.0, 250.0])


@dataclass(frozen=True)
class Speaker:
    """What does not depend on the emotion."""

    f0_hz: float
    formant_scale: float  # 1 for a man's vocal tract; larger for shorter tracts
    brightness: float  # factor on the emotion's brightness_hz
    rate: float  # factor on the emotion's syllables per second
    level_db: float  # distance from the microphone


@dataclass(frozen=True)
class Emotion:
    """Settings of the voice, all relative to the speaker's own where they can be."""

    pitch_semitones: float  # mean F0 against the speaker's
    range_semitones: float  # standard deviation of the syllables' pitch accents
    slope_semitones: float  # pitch at the end minus pitch at the beginning
    loudness_db: float
    brightness_hz: float  # the pulses' spectrum falls by a further 6 dB per octave above this
    syllables_per_second: float
    jitter: float  # standard deviation of a pitch period, relative to its mean
    breath: float  # noise against pulses, amplitude ratio
    smile: float  # factor on the formants: over 1 with spread lips


EMOTIONS = {
    #                     pitch range slope  loud  bright rate jitter breath smile
    "neutral": Emotion(0.0, 1.0, -2.0, 0.0, 1500, 4.4, 0.005, 0.05, 1.00),
    "calm": Emotion(-2.5, 0.4, -1.0, -5.0, 1100, 3.4, 0.003, 0.06, 1.08),
    "happy": Emotion(6.0, 3.8, 2.0, 5.0, 2600, 5.6, 0.005, 0.12, 1.13),
    "excited": Emotion(7.5, 4.4, 2.0, 6.0, 2800, 6.0, 0.006, 0.12, 1.13),
    "sad": Emotion(-1.5, 0.6, -4.0, -9.0, 550, 2.8, 0.016, 0.40, 0.96),
    "angry": Emotion(2.0, 2.4, -4.0, 11.0, 7000, 5.0, 0.045, 0.02, 0.92),
    "frustrated": Emotion(1.0, 1.8, -4.0, 4.0, 4000, 4.0, 0.025, 0.04, 0.95),
    "fearful": Emotion(9.0, 1.0, 2.0, -1.0, 1800, 7.5, 0.060, 0.40, 1.02),
    "disgust": Emotion(-2.0, 2.0, -5.0, 1.0, 3000, 2.6, 0.050, 0.08, 0.86),
    "surprised": Emotion(9.0, 5.0, 12.0, 6.0, 1300, 4.2, 0.005, 0.25, 1.03),
    "bored": Emotion(-3.0, 0.4, -1.0, -3.0, 1100, 2.2, 0.006, 0.03, 0.94),
    "emphatic": Emotion(1.5, 3.0, -2.0, 6.0, 3600, 3.0, 0.006, 0.02, 0.98),
    "positive": Emotion(6.0, 3.4, 3.0, -2.0, 1300, 4.2, 0.005, 0.20, 1.10),
    "other": Emotion(2.0, 2.0, 1.0, -5.0, 900, 6.2, 0.025, 0.35, 1.00),
}

# How utterances vary, as nobody is angry in the same way twice: standard deviations, of a factor where not ADDED.
SPREADS = Emotion(1, 0.3, 1.5, 1, 0.15, 0.1, 0.3, 0.2, 0.01)
ADDED = ("pitch_semitones", "slope_semitones", "loudness_db")

KINDS = {"M": (115.0, 1.0), "F": (205.0, 1.15), "child": (260.0, 1.28)}  # mean F0 in Hz and formant scale


def draw_speaker(kind: str, rng: Generator) -> Speaker:
    """Draw a speaker; `kind` is a key of `KINDS`."""
    f0_hz, formant_scale = KINDS[kind]
    f0_hz, formant_scale = f0_hz * 2 ** (rng.normal(0, 1.5) / 12), formant_scale * _factor(0.02, rng)
    return Speaker(f0_hz, formant_scale, _factor(0.1, rng), _factor(0.07, rng), rng.normal(0, 1))


def utterance(emotion: str, speaker: Speaker, seconds: float, rng: Generator, rate_hz: int = 16000) -> np.ndarray:
    """Return one utterance: float32 (round(seconds * rate_hz),), within -1..1, no two alike.

    `emotion` is a key of `EMOTIONS`, `seconds` at least 0.2, `rate_hz` at least 16000 (the formants reach 6 kHz).
    """
    manner = _vary(EMOTIONS[emotion], rng)
    n_samples = round(seconds * rate_hz)
    pitch, formants_hz, voicing, friction = _score(manner, speaker, seconds, rng)
    in_samples = partial(_in_samples, n_samples=n_samples, rate_hz=rate_hz)
    flow = _glottal_flow(in_samples(speaker.f0_hz * 2 ** (pitch / 12)), manner.jitter, rate_hz, rng)
    pulses = _radiated(flow, manner.brightness_hz * speaker.brightness, rate_hz)
    source = pulses + _breath(flow, manner.breath, rng)
    hiss = in_samples(friction) * _hiss(n_samples, speaker, rate_hz, rng)
    speech = _formants(source * in_samples(voicing), formants_hz, rate_hz)
    return _recorded(speech, hiss, manner.loudness_db + speaker.level_db, rng)


def monologue(
    arousal: np.ndarray, valence: np.ndarray, speaker: Speaker, rng: Generator, rate_hz: int = 16000
) -> np.ndarray:
    """Return speech that follows `arousal` and `valence`, no two alike.

    Both are (n_frames,) in -1..1, FRAMES_PER_SECOND values a second, the last at the end of the speech: it is float32
    ((n_frames - 1) * rate_hz // FRAMES_PER_SECOND,), within -1..1. Arousal raises pitch, its range, loudness, tempo and
    the upper partials; valence spreads the lips, clears the voice of breath and hiss and lifts the ends of phrases.
    """
    n_samples = (len(arousal) - 1) * rate_hz // FRAMES_PER_SECOND
    in_samples = partial(_in_samples, n_samples=n_samples, rate_hz=rate_hz)
    pitch, formants_hz, voicing, friction = _long_score(arousal, valence, speaker, rng)
    flow = _glottal_flow(in_samples(speaker.f0_hz * 2 ** (pitch / 12)), 0.008, rate_hz, rng)
    dark, bright = (_radiated(flow, hz * speaker.brightness, rate_hz) for hz in (600, 5000))
    pulses = dark + (bright - dark) * in_samples(0.5 + 0.4 * arousal)
    source = pulses + _breath(flow, in_samples(0.25 * 5**-valence), rng)
    hiss = in_samples(friction * 3**-valence) * _hiss(n_samples, speaker, rate_hz, rng)
    speech = _formants(source * in_samples(voicing), formants_hz, rate_hz)
    return _recorded(speech, hiss, in_samples(8 * arousal) + speaker.level_db, rng)


def _in_samples(track: np.ndarray, n_samples: int, rate_hz: int) -> np.ndarray:
    return np.interp(np.arange(n_samples), np.arange(len(track)) * (rate_hz / FRAMES_PER_SECOND), track)


def _factor(spread: float, rng: Generator) -> float:
    return float(np.exp(rng.normal(0, spread)))


def _vary(emotion: Emotion, rng: Generator) -> Emotion:
    """Draw an utterance's settings around the emotion's."""
    drawn = []
    for name, spread in vars(SPREADS).items():
        value = getattr(emotion, name)
        drawn.append(value + rng.normal(0, spread) if name in ADDED else value * _factor(spread, rng))
    return Emotion(*drawn)


def _score(manner: Emotion, speaker: Speaker, seconds: float, rng: Generator) -> Tracks:
    """Draw the syllables: tracks over frames of pitch in semitones, formants in Hz (frames, 5), voicing, friction."""
    n_syllables = max(1, round(manner.syllables_per_second * speaker.rate * seconds))
    ends = np.cumsum(rng.lognormal(0, 0.25, n_syllables))
    time = np.linspace(0, 1, int(np.ceil(seconds * FRAMES_PER_SECOND)) + 1)
    voicing, friction, accents, formants_hz = _articulate(time * ends[-1], ends, rng)
    pitch = manner.pitch_semitones + manner.slope_semitones * (time - 0.5)
    pitch += _smooth(manner.range_semitones * accents, 7)
    formants_hz = formants_hz * (speaker.formant_scale * manner.smile)
    edges = np.minimum(1, 20 * np.minimum(time, 1 - time))  # starts and ends in silence
    return pitch, formants_hz, _smooth(voicing, 3) * edges, _smooth(friction, 3) * edges


def _long_score(arousal: np.ndarray, valence: np.ndarray, speaker: Speaker, rng: Generator) -> Tracks:
    """Draw what `_score` does, for a manner that changes from frame to frame and speech with pauses for breath."""
    tempo = 4.4 * speaker.rate * 2 ** (0.5 * arousal)  # syllables per second
    position = np.cumsum(tempo) / FRAMES_PER_SECOND
    ends = np.cumsum(rng.lognormal(0, 0.25, int(1.2 * position[-1]) + 10))
    voicing, friction, accents, formants_hz = _articulate(position, ends, rng)
    phrase = _phrases(len(arousal), rng)
    pitch = 5 * arousal + (4 * valence - 1) * (np.nan_to_num(phrase) - 0.5)
    pitch += _smooth(1.2 * 2**arousal * accents, 7)
    formants_hz = formants_hz * (speaker.formant_scale * (1 + 0.12 * valence[:, None]))
    spoken = _smooth(np.isfinite(phrase).astype(float), 5)
    return pitch, formants_hz, _smooth(voicing, 3) * spoken, _smooth(friction, 3) * spoken


def _phrases(n_frames: int, rng: Generator) -> np.ndarray:
    """Return how far the phrase is, 0 to 1, in each frame; NaN in the pauses between phrases."""
    progress = np.full(n_frames, np.nan)
    start = 0
    while start < n_frames:
        length, pause = (rng.uniform((1.5, 0.2), (3.5, 0.6)) * FRAMES_PER_SECOND).astype(int)
        progress[start : start + length] = np.linspace(0, 1, length)[: n_frames - start]
        start += length + pause
    return progress


def _articulate(position: np.ndarray, ends: np.ndarray, rng: Generator) -> Tracks:
    """Draw syllables that end at `ends`; frames are at `position` on the same scale.

    Return tracks over frames of voicing, friction, pitch accents of unit deviation and formants in Hz (frames, 5).
    """
    n_syllables = len(ends)
    syllable = np.minimum(np.searchsorted(ends, position), n_syllables - 1)
    within = 1 - (ends[syllable] - position) / np.diff(ends, prepend=0)[syllable]  # 0 at its start, 1 at its end
    consonant = rng.uniform(0.1, 0.4, n_syllables)[syllable]
    fricative = rng.random(n_syllables)[syllable] < 0.4
    spoken = rng.random(n_syllables)[syllable] > 0.08  # the rest are pauses
    stress = rng.lognormal(0, 0.2, n_syllables)[syllable]
    voicing = np.where((within > consonant) & spoken, stress, 0)
    friction = np.where((within < consonant) & fricative & spoken, stress, 0)

    accents = rng.standard_normal(n_syllables)[syllable]
    vowels_hz = VOWELS_HZ[rng.permutation(max(n_syllables, len(VOWELS_HZ))) % len(VOWELS_HZ)][syllable]
    upper_hz = np.broadcast_to(UPPER_FORMANTS_HZ, (len(position), 2))
    return voicing, friction, accents, np.hstack([_smooth(vowels_hz, 5), upper_hz])


def _smooth(track: np.ndarray, n_frames: int) -> np.ndarray:
    """Run a Hann window of `n_frames` along the first axis; the ends are repeated."""
    window = np.hanning(n_frames + 2)[1:-1]
    padded = np.pad(track, [(n_frames // 2,) * 2] + [(0, 0)] * (track.ndim - 1), mode="edge")
    window = (window / window.sum()).reshape(-1, *[1] * (track.ndim - 1))
    return scipy.signal.convolve(padded, window, mode="valid", method="direct")


def _glottal_flow(f0_hz: np.ndarray, jitter: float, rate_hz: int, rng: Generator) -> np.ndarray:
    """Return Rosenberg's (1971) glottal pulses, type C, 0 to 1; `jitter` is the relative deviation of the periods."""
    cycle = np.floor(np.cumsum(f0_hz) / rate_hz).astype(int)
    period_factors = 1 + jitter * rng.standard_normal(cycle[-1] + 1)
    phase = np.cumsum(f0_hz * period_factors[cycle]) / rate_hz % 1
    opening, closing = 0.4, 0.16  # shares of the period
    rising = 0.5 * (1 - np.cos(np.pi * phase / opening))
    falling = np.cos(0.5 * np.pi * np.minimum((phase - opening) / closing, 1))
    return np.where(phase < opening, rising, falling)


def _radiated(flow: np.ndarray, brightness_hz: float, rate_hz: int) -> np.ndarray:
    """Differentiate for the radiation at the lips and darken above `brightness_hz`; unit power."""
    pulses = np.diff(flow, prepend=flow[0])
    pole = np.exp(-2 * np.pi * brightness_hz / rate_hz)
    pulses = scipy.signal.lfilter([1 - pole], [1, -pole], pulses)
    return pulses / np.std(pulses)


def _breath(flow: np.ndarray, amount: float | np.ndarray, rng: Generator) -> np.ndarray:
    """Return the noise of air, which rushes while the glottis is open."""
    return amount * (0.3 + flow) * rng.standard_normal(len(flow))


def _formants(source: np.ndarray, formants_hz: np.ndarray, rate_hz: int) -> np.ndarray:
    """Filter by five resonators in cascade (Klatt 1980, eq 2), which move from frame to frame."""
    radius = np.exp(-np.pi * BANDWIDTHS_HZ / rate_hz)
    minus_b = -2 * radius * np.cos(2 * np.pi * formants_hz / rate_hz)  # (frames, 5)
    minus_c = np.broadcast_to(radius**2, minus_b.shape)
    gain = 1 + minus_b + minus_c
    zero, one = np.zeros_like(gain), np.ones_like(gain)
    sections = np.stack([gain, zero, zero, one, minus_b, minus_c], axis=-1)  # (frames, 5, 6)
    filtered = np.empty_like(source)
    state = np.zeros((len(BANDWIDTHS_HZ), 2))
    hop = rate_hz // FRAMES_PER_SECOND
    for frame, start in enumerate(range(0, len(source), hop)):
        block = slice(start, start + hop)
        filtered[block], state = scipy.signal.sosfilt(sections[min(frame, len(sections) - 1)], source[block], zi=state)
    return filtered


def _hiss(n_samples: int, speaker: Speaker, rate_hz: int, rng: Generator) -> np.ndarray:
    """Return fricative noise of unit power around 4 kHz for a man."""
    centre_hz = rng.uniform(3000, 5000) * speaker.formant_scale
    numerator, denominator = scipy.signal.iirpeak(centre_hz, 3, fs=rate_hz)
    noise = scipy.signal.lfilter(numerator, denominator, rng.standard_normal(n_samples))
    return noise / np.std(noise)


def _recorded(speech: np.ndarray, hiss: np.ndarray, loudness_db: float | np.ndarray, rng: Generator) -> np.ndarray:
    """Mix speech and fricatives, at their loudness, over the floor of noise that every recording has."""
    speech = speech / (np.sqrt(np.mean(speech**2)) + 1e-9) + 0.4 * hiss
    level = 10 ** ((-30 + loudness_db) / 20)
    room = 10 ** (rng.uniform(-64, -60) / 20)
    return np.tanh(level * speech + room * rng.standard_normal(len(speech))).astype(np.float32)
