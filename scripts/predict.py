"""Predict the emotion of audio files with a trained run: of each clip, or all along each recording.

    python scripts/predict.py runs/NAME clip.wav folder/
    python scripts/predict.py runs/NAME folder/ --json > predictions.jsonl
    python scripts/predict.py runs/NAME recording.wav --csv > ratings.csv

Reads WAV, FLAC, OGG and MP3 at any rate, mono or mixed down. With several folds, their models' probabilities are
averaged; on clips of the run's own corpus, which all but one of them were trained on, that is no test. A network for
continuous ratings gives a row for each frame, with its time in seconds. Files that cannot be used are named on
standard error and left out; the exit code is then 1.
"""

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from zoo import config, registry
from zoo.cli import run, use_backend
from zoo.errors import UserError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder that train.py made")
    parser.add_argument("audio", nargs="+", help="audio files, and folders of them")
    model = parser.add_argument_group("model")
    model.add_argument("--fold", help="number of the one fold whose model predicts (default: all, averaged)")
    model.add_argument(
        "--max-clip-seconds", type=float, help="longer files are refused (default: 60; a day for continuous ratings)"
    )
    model.add_argument(
        "--postprocess", action="store_true", help="continuous ratings: with the post-processing fitted on validation"
    )
    output = parser.add_argument_group("output").add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="one JSON object per line")
    output.add_argument("--csv", action="store_true", help="comma-separated values with a header")
    parser.add_argument_group("running").add_argument("--backend", help="Keras backend (default: the run's)")
    args = parser.parse_args()
    settings = config.load(args.run / "config.json")
    continuous = registry.get(settings.model).task == "continuous"
    if args.postprocess and not continuous:
        raise UserError(
            f"--postprocess is for continuous ratings; {args.run} tells classes of emotion apart. Leave it out"
        )
    use_backend(args.backend or settings.backend)

    bad: list = []
    show = _as_json if args.json else _CsvWriter() if args.csv else _as_ratings if continuous else _as_emotion
    for result in (_ratings if continuous else _emotions)(args, bad):
        show(result)
    for error in bad:
        print(f"error: {error}", file=sys.stderr)
    return 1 if bad else 0


def _emotions(args, bad: list) -> Iterator[dict]:
    from zoo.predict import audio_files, predict_run

    return predict_run(
        args.run,
        audio_files(args.audio),
        args.fold,
        60.0 if args.max_clip_seconds is None else args.max_clip_seconds,
        bad.append,
    )


def _ratings(args, bad: list) -> Iterator[dict]:
    from zoo.predict import audio_files
    from zoo.predict_traces import trace_files

    limit = {} if args.max_clip_seconds is None else {"max_seconds": args.max_clip_seconds}
    return trace_files(args.run, audio_files(args.audio), args.fold, args.postprocess, bad.append, **limit)


def _as_json(result: dict) -> None:
    print(json.dumps(result), flush=True)


def _as_ratings(result: dict) -> None:
    names = [name for name in result if name not in ("file", "time", "trained_on")]
    ratings = "  ".join(f"{name} {result[name]:+.3f}" for name in names)
    print(f"{result['file']}\t{result['time']:.2f} s\t{ratings}{_mark(result)}")


def _as_emotion(result: dict) -> None:
    shares = sorted(result["probabilities"].items(), key=lambda item: -item[1])
    named = "  ".join(f"{name} {share:.3f}" for name, share in shares)
    print(f"{result['file']}\t{result['emotion']}\t{named}{_mark(result)}", flush=True)


def _mark(result: dict) -> str:
    return "\ttrained on synthetic speech" if result["trained_on"].startswith("synthetic") else ""


class _CsvWriter:
    """Prints each result as a row, the first one's keys as the header."""

    def __init__(self) -> None:
        self.writer: csv.DictWriter | None = None

    def __call__(self, result: dict) -> None:
        flat = {key: value for key, value in result.items() if key != "probabilities"}
        flat |= {f"p_{name}": share for name, share in result.get("probabilities", {}).items()}
        if self.writer is None:
            self.writer = csv.DictWriter(sys.stdout, list(flat), lineterminator="\n")
            self.writer.writeheader()
        self.writer.writerow(flat)


if __name__ == "__main__":
    run(main)
