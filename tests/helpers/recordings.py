"""Recordings and lying headers, for tests that ask every way into the zoo for its verdict.

`recordings` draws samples by Hypothesis and `expected` says by NumPy what the rules make of them; `encoded` writes
every container that is read, and `damaged` changes a content in the ways that recorders, networks and disks do.
"""

import io
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import soundfile
from hypothesis import strategies as st

from zoo.data.audio.read import open_audio
from zoo.data.audio.recording import BadClip

RATE_HZ = 16_000
CONTAINERS = ("WAV", "WAVEX", "RF64", "RIFX", "AIFF", "AIFC", "AU", "CAF", "W64", "NIST")
COMPRESSED = ("FLAC", "OGG", "MP3", "WAV of MP3")
WIDTHS = {
    "PCM_S8": 1,
    "PCM_U8": 1,
    "PCM_16": 2,
    "PCM_24": 3,
    "PCM_32": 4,
    "FLOAT": 4,
    "DOUBLE": 8,
    "ULAW": 1,
    "ALAW": 1,
}


@dataclass(frozen=True)
class Recording:
    """Samples (n, channels), float32, at a rate in Hz; `drawn` are the words of which they were made."""

    samples: np.ndarray
    rate_hz: int
    drawn: str = ""

    def __repr__(self) -> str:
        return self.drawn


def encoded(container: str, samples: np.ndarray, rate_hz: int = RATE_HZ, subtype: str | None = "PCM_16") -> bytes:
    """Write samples (n,) or (n, channels) to a file's bytes; `subtype` is of the containers without compression."""
    if container == "WAV of MP3":
        return mp3_in_wav(encoded("MP3", samples, rate_hz), rate_hz)
    endian = {"RIFX": ("WAV", "BIG"), "AIFC": ("AIFF", "LITTLE")}.get(container, (container, "FILE"))
    if container in COMPRESSED:
        subtype = {"MP3": None, "FLAC": "PCM_16"}.get(container, "OPUS" if subtype == "OPUS" else "VORBIS")
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate_hz, subtype, endian[1], endian[0])
    return stream.getvalue()


def mp3_in_wav(content: bytes, rate_hz: int = RATE_HZ, declared: int | None = None) -> bytes:
    """Put an MP3 into WAV: format tag 0x55 with MPEGLAYER3WAVEFORMAT (mmreg.h)."""
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, rate_hz, 8_000, 1, 0, 12, 1, 2, 576, 1, 1_393)
    data = struct.pack("<I", len(content) if declared is None else declared) + content
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"fact" + struct.pack("<II", 4, 1_000) + b"data" + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def without_mp3_header(content: bytes) -> bytes:
    """Remove an MP3's first frame, which states the number of frames; encoders that write to a pipe have none."""
    return content[content.index(content[:2], 4) :]


def declaring(container: str, content: bytes, n_bytes: int) -> bytes:
    """Return a file of samples without compression that declares another number of their bytes."""
    if container == "NIST":
        fields = dict(re.findall(rb"(\w+) -i (\d+)", content[:1024]))
        frame = int(fields[b"sample_n_bytes"]) * int(fields[b"channel_count"])
        old = fields[b"sample_count"]
        return content.replace(b"sample_count -i " + old, b"sample_count -i %0*d" % (len(old), n_bytes // frame), 1)
    if container == "RF64":
        at, form, more = content.index(b"ds64") + 16, "<Q", 0
    else:
        chunk = {"AIFF": b"SSND", "AIFC": b"SSND", "W64": b"data\xf3\xac", "AU": b".snd"}.get(container, b"data")
        form = {"AIFF": ">I", "AIFC": ">I", "AU": ">I", "RIFX": ">I", "CAF": ">q", "W64": "<q"}.get(container, "<I")
        more = {"AIFF": 8, "AIFC": 8, "CAF": 4, "W64": 24}.get(container, 0)
        at = content.index(chunk) + {"AU": 8, "CAF": 4, "W64": 16}.get(container, 4)
    return content[:at] + struct.pack(form, n_bytes + more) + content[at + struct.calcsize(form) :]


def held(content: bytes) -> int:
    """Return how much of a content libsndfile's reader takes in, as the zoo opens it: bytes of samples, or samples."""
    with open_audio(io.BytesIO(content), "content") as audio:
        return audio.frames * audio.channels * WIDTHS.get(audio.subtype, 1)


def damaged(container: str, content: bytes, rng: np.random.Generator) -> tuple[bytes, bool]:
    """Change a recording in one of the ways that happen; return it, and whether any answer must take in all samples."""
    ways = ("whole", "cut", "flipped", "other head", "absurd size", "joined", "samples behind", "tags behind", "length")
    way = ways[rng.integers(len(ways))]
    place = int(rng.integers(len(content)))
    if way == "cut":
        return content[:place], True
    if way == "flipped":
        changed = bytearray(content)
        for at in rng.integers(len(content), size=rng.integers(1, 50)):
            changed[at] ^= 1 << rng.integers(8)
        return bytes(changed), False
    if way == "other head":
        head = rng.bytes(int(rng.integers(1, 64)))
        return head + content[len(head) :], False
    if way == "absurd size":  # 2 or 4 bytes of the head, where sizes, rates and numbers of channels are
        number = int(rng.choice([0, 1, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]))
        packed, at = struct.pack("<I", number)[: int(rng.choice([2, 4]))], int(rng.integers(4, 60))
        return content[:at] + packed + content[at + len(packed) :], False
    if way == "joined":
        return content + bytes(int(rng.choice([0, 0, 1, 8]))) + content, False
    if way == "samples behind":
        return content + rng.bytes(int(rng.integers(20, 5_000))), True
    if way == "tags behind":
        tags = (b"TAG" + bytes(125), b"LIST" + struct.pack("<I", 4) + b"INFO", bytes(100), b"ID3\3\0\0\0\0\0\4abcd")
        return content + tags[rng.integers(len(tags))], True
    if way == "length" and container in CONTAINERS:
        lengths = (0, 1, 100, len(content) // 2, len(content) - 60, len(content) + 1_000, 10 * len(content))
        return declaring(container, content, int(rng.choice(lengths))), True
    return content, True


@st.composite
def recordings(draw: Callable) -> Recording:
    """Draw a recording: a sound of some scale and offset, in channels of some gains, some of them opposite."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rate_hz = draw(st.sampled_from([8_000, 16_000, 16_000, 44_100]))
    n_samples = draw(st.sampled_from([0, 30, rate_hz // 10, rate_hz // 2, 2 * rate_hz]))
    time = np.arange(n_samples) / rate_hz
    sounds = {
        "tone": lambda: np.sin(2 * np.pi * 300 * time),
        "noise": lambda: rng.uniform(-1, 1, n_samples),
        "zeros": lambda: np.zeros(n_samples),
        "whistle": lambda: np.sin(2 * np.pi * 0.49 * rate_hz * time),  # of which a lower rate keeps nothing
    }
    name = draw(st.sampled_from(sorted(sounds)))
    sound = sounds[name]()
    scale = 10.0 ** draw(st.sampled_from([-9, -5, -3, -2, -1, 0, 1, 3, 30, 300]))
    gains = draw(st.lists(st.sampled_from([1.0, -1.0, 0.5, -0.99, 0.0]), min_size=1, max_size=4))
    offset = draw(st.sampled_from([0.0, 0.0, 0.3, -2.0]))
    spoilt = draw(st.sampled_from([None, None, None, np.nan, np.inf]))
    samples = scale * sound[:, None] * np.array(gains) + offset
    if spoilt is not None and n_samples:
        samples[rng.integers(n_samples), rng.integers(len(gains))] = spoilt
    with np.errstate(over="ignore"):
        return Recording(
            samples.astype(np.float32),
            rate_hz,
            f"{name} * {scale} * {gains} + {offset}, {n_samples} at {rate_hz}, {spoilt}",
        )


def verdict(ask: Callable[[], object]) -> str:
    """Return the kind by which a recording is refused, "" where it is not."""
    try:
        ask()
    except BadClip as error:
        return error.kind
    return ""


def expected(recording: Recording, max_seconds: float = 1.0) -> set[str]:
    """Return the verdicts that the rules of zoo.data.audio.recording allow; two of them near a limit."""
    samples, seconds = recording.samples.astype(np.float64), len(recording.samples) / recording.rate_hz
    if not len(samples):
        return {"empty"}
    if seconds > max_seconds:
        return {"too-long"}
    if seconds < 0.025:
        return {"too-short"}
    if not np.isfinite(samples).all():
        return {"non-finite"}
    if np.abs(samples).max() > 100:
        return {"too-loud"}
    mixture = samples.mean(axis=1)
    loudest, level = np.ptp(samples, axis=0).max() / 2, np.ptp(mixture) / 2
    if loudest >= 5e-4 and level < 0.99 * 0.01 * loudest:
        return {"cancelling"}
    spectrum = np.abs(np.fft.rfft(mixture - mixture.mean()))
    kept = spectrum[: max(1, int(0.95 * len(spectrum) * min(1.0, RATE_HZ / recording.rate_hz)))]
    if level < 4e-4 or (spectrum.sum() > 0 and np.square(kept).sum() < 1e-9 * np.square(spectrum).sum()):
        return {"silent"} if level < 4e-4 else {"silent", ""}
    return {""} if level > 2e-3 and recording.rate_hz <= RATE_HZ else {"silent", "", "cancelling"}
