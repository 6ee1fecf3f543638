"""Throw mutated audio files at an exported model: each must get an answer or a named error.

    python scripts/fuzz_audio.py saved_models/NAME --count 10000

Files are cut, have bits flipped, headers overwritten, sizes made absurd, or are random bytes; each goes through
prediction from files and through the signature wav_bytes. Prints what came of them, and the growth of memory.
Exit code 1 when anything else than an answer or a named error came out.
"""

import argparse
import io
import resource
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

from zoo.utils.cli import run
from zoo.utils.progress import Progress

SECONDS, CHUNK = 0.3, 50
FORMATS = (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAVEX", "PCM_24"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder that export.py made")
    parser.add_argument("--count", type=int, default=10_000, help="files (default: 10000)")
    parser.add_argument("--seed", type=int, default=0, help="of the mutations (default: 0)")
    given = parser.parse_args()

    from zoo.serving import saved_model

    exported = saved_model.load(given.model)
    rng, found, slowest = np.random.default_rng(given.seed), Counter(), 0.0
    memory = 0
    with tempfile.TemporaryDirectory() as folder, Progress() as progress, progress.task("files", given.count) as done:
        for start in range(0, given.count, CHUNK):
            contents = [mutated(rng) for _ in range(min(CHUNK, given.count - start))]
            begin = time.perf_counter()
            found.update(from_files(exported, contents, Path(folder)))
            found.update(from_bytes(exported, contents))
            slowest = max(slowest, (time.perf_counter() - begin) / len(contents))
            memory = memory or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            done(start + len(contents))
    for outcome, count in sorted(found.items(), key=lambda item: -item[1]):
        print(f"{count:7d}  {outcome}")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    print(
        f"memory grew by {grown:.0f} MiB after the first {CHUNK}; slowest {CHUNK} took {1000 * slowest:.0f} ms a file"
    )
    return 1 if any(outcome.startswith("UNEXPECTED") for outcome in found) else 0


def mutated(rng: np.random.Generator) -> bytes:
    """Returns the contents of one recording of noise, spoilt in one way."""
    kind, subtype = FORMATS[rng.integers(len(FORMATS))]
    into = io.BytesIO()
    rate_hz = int(rng.choice([16_000, 16_000, 8_000, 44_100, 384_000]))
    samples = 0.1 * rng.standard_normal((int(SECONDS * rate_hz), int(rng.choice([1, 1, 2, 8]))))
    if kind == "OGG":
        rate_hz, samples = 16_000, samples[: int(SECONDS * 16_000), :1]
    soundfile.write(into, samples, 96_000 if kind == "FLAC" and rate_hz > 96_000 else rate_hz, subtype, format=kind)
    ways: tuple[Callable[[bytearray, np.random.Generator], bytes], ...] = (
        whole,
        cut,
        flipped,
        wrong_head,
        absurd_sizes,
        random_bytes,
    )
    return ways[rng.integers(len(ways))](bytearray(into.getvalue()), rng)


def whole(content: bytearray, rng: np.random.Generator) -> bytes:
    return bytes(content)


def cut(content: bytearray, rng: np.random.Generator) -> bytes:
    return bytes(content[: rng.integers(len(content))])


def flipped(content: bytearray, rng: np.random.Generator) -> bytes:
    for place in rng.integers(len(content), size=rng.integers(1, 50)):
        content[place] ^= 1 << rng.integers(8)
    return bytes(content)


def wrong_head(content: bytearray, rng: np.random.Generator) -> bytes:
    size = int(rng.integers(1, 64))
    content[:size] = rng.bytes(size)
    return bytes(content)


def absurd_sizes(content: bytearray, rng: np.random.Generator) -> bytes:
    """Overwrites 2 or 4 bytes of the head, where sizes, rates and numbers of channels are."""
    place, number = int(rng.integers(4, 60)), int(rng.choice([0, 1, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]))
    packed = struct.pack("<I", number)[: int(rng.choice([2, 4]))]
    content[place : place + len(packed)] = packed
    return bytes(content)


def random_bytes(content: bytearray, rng: np.random.Generator) -> bytes:
    return rng.bytes(int(rng.integers(0, 5_000)))


def from_files(exported, contents: list[bytes], folder: Path) -> list[str]:
    """What comes of the contents as files: "file: answered" or "file: " and the kind of error."""
    from zoo.data.audio.read import BadClip

    paths = [folder / f"{number}.wav" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    bad: list[BadClip] = []
    try:
        answered = {row["file"] for row in exported.predict(paths, on_bad=bad.append)}
    except Exception as error:
        return [f"UNEXPECTED from files: {type(error).__name__}: {str(error)[:200]}"]
    lost = len(contents) - len(answered) - len(bad)
    outcomes = ["file: answered"] * len(answered) + [f"file: {error.kind}" for error in bad]
    return outcomes + ["UNEXPECTED from files: neither answered nor refused"] * lost


def from_bytes(exported, contents: list[bytes]) -> list[str]:
    """What comes of the contents as requests to wav_bytes, one by one."""
    import tensorflow as tf

    outcomes = []
    for content in contents:
        try:
            (answer,) = exported.on_wav_bytes([content])
            fine = np.isfinite(answer).all()
            outcomes.append("wav_bytes: answered" if fine else "UNEXPECTED wav_bytes: an answer that is not finite")
        except tf.errors.InvalidArgumentError:
            outcomes.append("wav_bytes: refused as an invalid argument")
        except Exception as error:
            outcomes.append(f"UNEXPECTED wav_bytes: {type(error).__name__}: {str(error)[:200]}")
    return outcomes


if __name__ == "__main__":
    run(main)
