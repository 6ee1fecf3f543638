"""Score a finished run again, from its saved models and the audio, and say whether the recorded figures come out.

    python scripts/evaluate.py runs/NAME --data-root DIR

Exit code 1 when a figure differs.
"""

import argparse
from pathlib import Path

from zoo import config
from zoo.cli import run, use_backend


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder that train.py made")
    data = parser.add_argument_group("data")
    data.add_argument("--data-root", default="", help="the corpus's folder (default: as the run was trained)")
    parser.add_argument_group("comparison").add_argument(
        "--against",
        type=Path,
        metavar="RUN",
        help="also test whether the accuracy of this other run is higher (z-test)",
    )
    parser.add_argument_group("running").add_argument("--backend", help="Keras backend (default: the run's)")
    args = parser.parse_args()
    settings = config.load(args.run / "config.json")
    use_backend(args.backend or settings.backend)

    from zoo import report
    from zoo.evaluate import compare, evaluate_run

    summary, changed = evaluate_run(args.run, args.data_root)
    report.print_metrics(summary, f"{args.run}: {settings.model} on {settings.corpus}, {summary['protocol']}")
    print("\n".join(changed) if changed else "the recorded figures come out again")
    if args.against:
        test = compare(args.run, args.against)
        print(f"{args.against} against {args.run}: z = {test['z']:.2f}, p = {test['p']:.4f} (one-tailed)")
    return 1 if changed else 0


if __name__ == "__main__":
    run(main)
