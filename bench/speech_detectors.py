"""Compare speech detectors: on assembled recordings, on noise alone, and on single clips of speech.

    python -m bench.speech_detectors DATA --detectors silero energy --out docs/runs/speech-detectors.json

DATA is the folder of development data: ravdess/, emodb_2s/, corpora/, noise/, noise_esc10/ and rooms_surrey/.
Recordings of 60 s hold clips of RAVDESS, EmoDB and nEMO at levels up to 20 dB apart, with pauses of 0.3 to 4 s, dry and
through measured rooms, and noises at several SNRs. A frame of 32 ms is speech where the dry clip is within 35 dB of its
loudest frame, gaps up to 0.2 s closed. Thresholds are chosen on one half (of recordings, noises and speakers), figures
are those of the other. Detectors that are no dependency need their package: webrtcvad-wheels, pymicro-vad, earshot.
"""

import argparse
import importlib
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

from zoo.data.audio.read import read
from zoo.data.augmentation.additive_noise import add
from zoo.data.augmentation.impulse_responses import convolve
from zoo.utils.atomic_files import write_json

RATE_HZ, FRAME = 16_000, 512
SNRS_DB = (None, 20, 10, 0)
CLEAN = ("ravdess", "emodb_2s", "corpora/nemo")
SPEECH = (*CLEAN, "corpora/ased", "corpora/urdu")
NOISES = ("noise", "noise_esc10")

Scores = Callable[[np.ndarray], np.ndarray]  # samples (n,) -> scores (frames,) of 32 ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of the development data")
    parser.add_argument("--detectors", nargs="+", default=["silero", "energy"], choices=DETECTORS, help="which")
    parser.add_argument("--recordings", type=int, default=12, help="assembled recordings of 60 s per SNR")
    parser.add_argument("--clips", type=int, default=200, help="clips of speech per corpus")
    parser.add_argument("--out", type=Path, required=True, help="file of the record, JSON")
    args = parser.parse_args()
    recordings = [assembled(args.data, number, snr) for snr in SNRS_DB for number in range(args.recordings)]
    noises = [read(path, RATE_HZ, of_speech=False) for name in NOISES for path in files(args.data / name)]
    speech = {name: some(args.data / name, args.clips) for name in SPEECH}
    record = {}
    for name in args.detectors:
        record[name] = measured(name, recordings, noises, speech)
        write_json(args.out, record)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.flac"))


def some(folder: Path, number: int) -> list[np.ndarray]:
    found = sorted(files(folder), key=lambda path: (speaker_of(path), path))
    return [read(found[i], RATE_HZ) for i in np.unique(np.linspace(0, len(found) - 1, number).astype(int))]


def speaker_of(path: Path) -> str:
    if path.stem.startswith("03-01"):  # RAVDESS
        return path.parent.name
    if "ased" in path.parts:
        return path.stem.split("-")[-1]
    return path.stem[:2] if "emodb_2s" in path.parts else path.stem.split("_")[0]


def truth_of(clip: np.ndarray) -> np.ndarray:
    """Return which frames of a dry clip are speech, by its level."""
    frames = clip[: len(clip) // FRAME * FRAME].reshape(-1, FRAME)
    level = 10 * np.log10(np.square(frames, dtype=float).mean(axis=1) + 1e-12)
    is_speech = level > level.max(initial=-120) - 35
    places = np.flatnonzero(is_speech)
    for before, after in pairwise(places):
        if after - before <= 6:
            is_speech[before:after] = True
    return is_speech


def assembled(data: Path, number: int, snr_db: float | None) -> tuple[np.ndarray, np.ndarray, float | None]:
    """Return samples of a recording, which of its frames are speech, and its SNR."""
    rng = np.random.default_rng((number, 7))
    clips = [path for name in CLEAN for path in rng.choice(files(data / name), 12)]
    rooms, sounds = files(data / "rooms_surrey"), [path for name in NOISES for path in files(data / name)]
    room = read(rooms[rng.integers(len(rooms))], RATE_HZ, 0.0, of_speech=False) if number // 2 % 2 else None
    parts, truth = [], []
    for index in rng.permutation(len(clips)):
        pause = int(rng.uniform(0.3, 4.0) * RATE_HZ / FRAME)
        clip = read(clips[index], RATE_HZ)
        clip = clip[: len(clip) // FRAME * FRAME]
        clip = clip / np.abs(clip).max() * 10 ** (rng.uniform(-26, -6) / 20)
        parts += [np.zeros(pause * FRAME), clip]
        truth += [np.zeros(pause, bool), truth_of(clip)]
    length = 60 * RATE_HZ // FRAME * FRAME
    speech, is_speech = np.concatenate(parts)[:length].astype(np.float32), np.concatenate(truth)[: length // FRAME]
    if room is not None:
        speech = convolve(speech, room)[: len(speech)]
    if snr_db is None:
        return speech, is_speech, snr_db
    noise = np.concatenate([read(sounds[i], RATE_HZ, of_speech=False) for i in rng.permutation(len(sounds))[:40]])
    return add(speech, np.resize(noise, len(speech)), snr_db, RATE_HZ), is_speech, snr_db


def measured(name: str, recordings: list, noises: list[np.ndarray], speech: dict[str, list[np.ndarray]]) -> dict:
    """Return the figures of a detector."""
    start = time.perf_counter()
    scores = DETECTORS[name]()
    begin = time.perf_counter() - start
    start = time.process_time()
    found = [(scores(samples), truth, snr) for samples, truth, snr in recordings]
    seconds = time.process_time() - start
    hours = sum(len(samples) for samples, _, _ in recordings) / RATE_HZ / 3600
    of_noise, of_speech = [scores(n) for n in noises], {key: [scores(s) for s in own] for key, own in speech.items()}
    first, second = halves(found)
    threshold = max(candidates(first), key=lambda t: f1([pair[:2] for pair in first], t))
    per_snr = {str(snr): f1([(s, t) for s, t, of in second if of == snr], threshold) for snr in SNRS_DB}
    alarms = np.concatenate([values >= threshold for values in halves(of_noise)[1]])
    clips = clip_decision(of_noise, of_speech)
    return {
        "threshold": round(float(threshold), 4),
        "f1": round(f1([pair[:2] for pair in second], threshold), 4),
        "f1_by_snr_db": {key: round(value, 4) for key, value in per_snr.items()},
        "false_alarms_on_noise": round(float(alarms.mean()), 4),
        "clips": clips,
        "cpu_seconds_per_hour": round(seconds / hours, 1),
        "seconds_to_load": round(begin, 3),
    }


def halves(items: list) -> tuple[list, list]:
    return items[::2], items[1::2]


def speakers(items: list) -> tuple[list, list]:
    """Halve clips that are sorted by speaker."""
    return items[: len(items) // 2], items[len(items) // 2 :]


def candidates(pairs: list) -> np.ndarray:
    values = np.concatenate([scores for scores, *_ in pairs])
    return np.unique(np.quantile(values, np.linspace(0.02, 0.98, 97)))


def f1(pairs: list, threshold: float) -> float:
    """Compute the F1 of speech frames over all pairs of scores and truth."""
    scores = np.concatenate([values[: len(truth)] for values, truth in pairs]) >= threshold
    truth = np.concatenate([truth[: len(values)] for values, truth in pairs])
    both = np.count_nonzero(scores & truth)
    return 2 * both / max(1, scores.sum() + truth.sum())


def loudest_run(scores: np.ndarray, frames: int) -> float:
    """Return the highest score that `frames` frames of a clip reach, or a quarter of its frames."""
    return float(np.sort(scores)[-min(frames, -(-len(scores) // 4))]) if len(scores) else 0.0


def clip_decision(of_noise: list[np.ndarray], of_speech: dict[str, list[np.ndarray]]) -> dict:
    """Choose when a clip has no speech on first halves; return what that does to second ones.

    A clip has speech where `frames` frames reach a threshold: the highest that refuses at most 0.2 % of speech.
    """
    best: tuple = (2.0,)
    for frames in (1, 3, 6, 10, 15, 20):
        own = np.sort([loudest_run(s, frames) for values in of_speech.values() for s in speakers(values)[0]])
        threshold = own[int(0.002 * len(own))]
        share = np.mean([loudest_run(s, frames) >= threshold for s in halves(of_noise)[0]])
        best = min(best, (float(share), frames, float(threshold)))
    _, frames, threshold = best
    noise = [loudest_run(s, frames) >= threshold for s in halves(of_noise)[1]]
    refused = {
        name: [loudest_run(s, frames) < threshold for s in speakers(values)[1]] for name, values in of_speech.items()
    }
    return {
        "frames": frames,
        "threshold": round(threshold, 4),
        "noises_with_speech": f"{sum(noise)} of {len(noise)}",
        "speech_refused": {name: f"{sum(values)} of {len(values)}" for name, values in refused.items()},
    }


def in_frames(values: np.ndarray, per_frame: float) -> np.ndarray:
    """Return the mean of scores in each frame of 32 ms, of which there are `per_frame`."""
    edges = np.round(np.arange(0, len(values) + 1e-9, per_frame)).astype(int)
    return np.array([values[a:b].mean() for a, b in pairwise(edges) if b > a])


def steps(samples: np.ndarray, size: int) -> np.ndarray:
    return samples[: len(samples) // size * size].reshape(-1, size)


def pcm(samples: np.ndarray) -> np.ndarray:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2")


def webrtc() -> Scores:
    webrtcvad = importlib.import_module("webrtcvad")

    def scores(samples: np.ndarray) -> np.ndarray:
        modes = [webrtcvad.Vad(mode) for mode in range(4)]  # each stricter than the one before
        votes = [[vad.is_speech(s.tobytes(), RATE_HZ) for s in steps(pcm(samples), 160)] for vad in modes]
        return in_frames(np.mean(votes, axis=0), 3.2)

    return scores


def micro() -> Scores:
    module = importlib.import_module("pymicro_vad")

    def scores(samples: np.ndarray) -> np.ndarray:
        vad = module.MicroVad()
        return in_frames(np.array([max(0.0, vad.process_10ms(s.tobytes())) for s in steps(pcm(samples), 160)]), 3.2)

    return scores


def earshot() -> Scores:
    module = importlib.import_module("earshot")

    def scores(samples: np.ndarray) -> np.ndarray:
        vad = module.Detector()
        clipped = np.clip(samples, -1, 1).astype(np.float32)
        return in_frames(np.array([vad.predict_f32(s) for s in steps(clipped, 256)]), 2)

    return scores


def silero() -> Scores:
    """Return what zoo.inference.speech scores clips by."""
    from zoo.data.audio.speech.silero import session
    from zoo.inference.speech import scores_of

    session()
    return lambda samples: scores_of(samples, RATE_HZ)


def energy() -> Scores:
    """Return the level of frames above the background of the recording, its tenth percentile."""

    def scores(samples: np.ndarray) -> np.ndarray:
        level = 10 * np.log10(np.square(steps(samples, FRAME), dtype=float).mean(axis=1) + 1e-12)
        return level - max(-75.0, np.percentile(level, 10)) if len(level) else level

    return scores


DETECTORS = {f.__name__: f for f in (silero, energy, webrtc, micro, earshot)}

if __name__ == "__main__":
    main()
