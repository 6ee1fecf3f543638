"""Predict the emotion of audio files with a trained run.

    python scripts/predict.py runs/NAME clip.wav folder/
    python scripts/predict.py runs/NAME folder/ --json > predictions.jsonl

Reads WAV, FLAC, OGG and MP3 at any rate, mono or mixed down. With several folds, their models' probabilities are
averaged; on clips of the run's own corpus, which all but one of them were trained on, that is no test. Files that
cannot be used are named on standard error and left out; the exit code is then 1.
"""

import argparse
import json
import sys
from pathlib import Path

from zoo import config
from zoo.cli import run, use_backend


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder that train.py made")
    parser.add_argument("audio", nargs="+", help="audio files, and folders of them")
    model = parser.add_argument_group("model")
    model.add_argument("--fold", help="number of the one fold whose model predicts (default: all, averaged)")
    model.add_argument("--max-clip-seconds", type=float, default=60.0, help="longer clips are refused (default: 60)")
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument_group("running").add_argument("--backend", help="Keras backend (default: the run's)")
    args = parser.parse_args()
    use_backend(args.backend or config.load(args.run / "config.json").backend)

    from zoo.predict import audio_files, predict_run

    bad = []
    for result in predict_run(args.run, audio_files(args.audio), args.fold, args.max_clip_seconds, bad.append):
        print(json.dumps(result) if args.json else _line(result), flush=True)
    for error in bad:
        print(f"error: {error}", file=sys.stderr)
    return 1 if bad else 0


def _line(result: dict) -> str:
    shares = sorted(result["probabilities"].items(), key=lambda item: -item[1])
    synthetic = "\ttrained on synthetic speech" if result["trained_on"].startswith("synthetic") else ""
    return (
        f"{result['file']}\t{result['emotion']}\t"
        + "  ".join(f"{name} {share:.3f}" for name, share in shares)
        + synthetic
    )


if __name__ == "__main__":
    run(main)
