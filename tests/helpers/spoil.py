"""Ways to damage an audio file with the message expected for each, and what tests of bad input share."""

import os
from pathlib import Path

import numpy as np
import soundfile

from zoo.data.audio.formats import READABLE

SCRIPTS = Path(__file__).parents[2] / "scripts"
RATE_HZ = 16_000
SMALL = ["--model", "fcn", "--corpus", "emodb", "--fold", "0", "--epochs", "1", "--bands", "8"]


def has(message, *parts):
    """Asserts that a message holds all of these."""
    for part in parts:
        assert str(part) in message
    return True


def tone(seconds, rate_hz=RATE_HZ):
    return (0.1 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


def truncate(path):
    soundfile.write(path, tone(0.4), RATE_HZ)
    path.write_bytes(path.read_bytes()[:5000])


def with_nan(path):
    samples = tone(0.4)
    samples[100:103] = np.nan
    soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")


def cancelling(path):
    soundfile.write(path, np.stack([tone(0.4), -tone(0.4)], axis=1), RATE_HZ)


def unfinished(path):
    """As a recorder that was killed leaves it: no samples are declared, all are there."""
    soundfile.write(path, tone(0.4), RATE_HZ)
    content = path.read_bytes()
    path.write_bytes(content[:40] + bytes(4) + content[44:])


def pipe(path):
    path.unlink()
    os.mkfifo(path)


# what is wrong: (how it comes about, what the message says was expected, found, and is to be done)
KINDS = {
    "absent": (Path.unlink, "a readable file", "No such file", "Check the path"),
    "zero bytes": (lambda path: path.write_bytes(b""), "a recording", "zero bytes", "Copy the file anew"),
    "truncated": (truncate, "the whole recording", "5000 bytes where its header declares 12844", "Copy the file"),
    "header only": (lambda path: soundfile.write(path, tone(0), RATE_HZ), "a recording", "without samples", "Copy"),
    "text": (
        lambda path: path.write_text("not a sound\n"),
        "WAV, FLAC, OGG, MP3, AIFF, AU, CAF, Wave64 or NIST Sphere",
        "b'not a sound\\n'",
        "Convert",
    ),
    "zeros": (
        lambda path: soundfile.write(path, 0 * tone(0.4), RATE_HZ),
        "speech",
        "silence (all samples alike)",
        "Leave the",
    ),
    "faint": (lambda path: soundfile.write(path, 4e-3 * tone(0.4), RATE_HZ), "speech", "nothing above -66 dB", "Leave"),
    "cancelling": (cancelling, "channels that can be mixed", "2 channels that cancel each other", "Take one of its"),
    "unfinished": (
        unfinished,
        "a header that declares all its samples",
        "12800 bytes behind",
        "ffmpeg -ignore_length 1",
    ),
    "phone": (lambda path: path.write_bytes(b"\0\0\0\x18ftypM4A "), READABLE, "MPEG-4", "Convert it to WAV"),
    "pipe": (pipe, "a readable file", "a pipe", "Check the path"),
    "NaN": (with_nan, "finite samples", "3 of 6400 samples that are NaN", "Write the file again"),
    "0.02 s": (lambda path: soundfile.write(path, tone(0.02), RATE_HZ), "a longer clip", "0.02 s (the least", "Leave"),
    "10 minutes": (lambda path: soundfile.write(path, tone(600, 8000), 8000), "one utterance", "600 s (the", "Cut"),
}


def tensors_changed(**tensors):
    """Changes, adds or (None) removes tensors of a folder's model.safetensors; __ in a name is a dot."""

    def spoil(folder):
        from safetensors.numpy import load_file, save_file

        state = load_file(folder / "model.safetensors")
        for name, value in tensors.items():
            name = name.replace("__", ".")
            state = {key: one for key, one in state.items() if key != name} if value is None else {**state, name: value}
        save_file(state, folder / "model.safetensors")

    return spoil
