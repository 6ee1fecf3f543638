"""Score a finished run on its test clips in noise, in rooms and through other microphones: table, figure and CSV.

    python scripts/robustness.py runs/NAME --noise DIR --data-root DIR
    python scripts/robustness.py runs/NAME --noise DIR --rooms simulated
    python scripts/robustness.py runs/NAME --noise DIR --rooms simulated --microphones DIR --chain
    python scripts/robustness.py runs/NAME --noise DIR --snr 10 --by-noise

Repeat an interrupted command to go on: finished conditions are kept. Exit code 1 when the clean figures are not those
that the run recorded.
"""

import argparse
from dataclasses import fields
from pathlib import Path

from zoo.config import saved
from zoo.data.augmentation.additive_noise import SNR_LEVELS, SPLITS
from zoo.studies.robustness_conditions import SNR_DB, Asked
from zoo.utils.backends import use_backend
from zoo.utils.parser import Parser


def main() -> int:
    args = parse()
    settings = saved.load(args.run / "config.json")
    use_backend(args.backend or settings.backend)

    from zoo.studies.robustness import measure
    from zoo.studies.robustness_report import print_table

    asked = Asked(**{field.name: getattr(args, field.name) for field in fields(Asked)})
    record = measure(args.run, asked, args.out, args.data_root)
    print_table(record)
    return 1 if record["differs"] else 0


def parse() -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder that train.py made")
    data = parser.add_argument_group("data")
    data.add_argument("--data-root", default="", help="the corpus's folder (default: as the run was trained)")
    data.add_argument("--fold", help="number of the one fold to score (default: all of the run)")
    part = "score N test clips, of all speakers alike"
    data.add_argument("--clips", dest="n_clips", type=int, default=0, metavar="N", help=part)
    noise = parser.add_argument_group("noise")
    noise.add_argument("--noise", default="", metavar="DIR", help="folder of noise; the third kept for testing is used")
    ratios = f"in dB (default: {' '.join(f'{snr_db:g}' for snr_db in SNR_DB)})"
    noise.add_argument("--snr", dest="snr_db", type=float, nargs="+", default=(), metavar="DB", help=ratios)
    levels = f"{' | '.join(SNR_LEVELS)}: level of speech over its active frames, or over all (default: {Asked.level})"
    noise.add_argument("--snr-level", dest="level", default=Asked.level, help=levels)
    thirds = f"{' | '.join(SPLITS)}: thirds of the files, or of the time of each (default: the run's)"
    noise.add_argument("--noise-split", dest="split", help=thirds)
    alone = "also each recording of noise by itself, at the one --snr"
    noise.add_argument("--by-noise", action="store_true", help=alone)
    rooms = parser.add_argument_group("rooms and microphones, each without noise and at each ratio")
    drawn = "simulated: small, medium and large, drawn and computed ([rooms] extra); exponential: as decaying noise"
    rooms.add_argument("--rooms", default="", metavar="DIR", help=f"folder of impulse responses; {drawn}")
    rooms.add_argument("--microphones", default="", metavar="DIR", help="folder of impulse responses")
    rooms.add_argument("--chain", action="store_true", help="also every microphone in every room")
    running = parser.add_argument_group("running")
    drawn = "of stretches of noise, rooms and --clips (default: 0)"
    running.add_argument("--seed", type=int, default=Asked.seed, help=drawn)
    running.add_argument("--out", type=Path, metavar="DIR", help="folder of the results (default: robustness in RUN)")
    running.add_argument("--backend", help="Keras backend (default: the run's)")
    parser.hide(("level", "split", "by_noise", "chain", "microphones", "seed", "backend"))
    return parser.parse_args()
