"""Show which recurrent cells of a run for continuous ratings follow energy, loudness or pitch (D4.2, section 5.4).

    python scripts/inspect_cells.py runs/NAME recording.wav
    python scripts/inspect_cells.py runs/NAME recording.wav --fold 0 --window-seconds 2 --out cells/

Correlates every activation of every LSTM or GRU unit, gates and states, with the range of RMS energy, the loudness and
the mean F0 around each frame. Prints the best, and writes cells.csv (all correlations) and cells.png (the best traces).
The recording lasts at most ten minutes. Needs the opensmile package.
"""

from pathlib import Path

from zoo import registry
from zoo.config import saved
from zoo.errors import UserError
from zoo.frontends import opensmile
from zoo.utils.backends import use_backend
from zoo.utils.parser import Parser

SHOWN = 5


def main() -> None:
    parser = Parser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder that train.py made")
    parser.add_argument("recording", type=Path, help="audio file")
    parser.add_argument_group("model").add_argument("--fold", help="number of the fold (default: the run's first)")
    parser.add_argument_group("measures").add_argument(
        "--window-seconds", type=float, default=1.0, help="length of their window around each frame (default: 1)"
    )
    parser.add_argument_group("output").add_argument("--out", type=Path, help="folder to write to (default: RUN/cells)")
    parser.add_argument_group("running").add_argument("--backend", help="Keras backend (default: the run's)")
    args = parser.parse_args()
    settings = saved.load(args.run / "config.json")
    if registry.get(settings.model).task != "continuous":
        raise UserError(
            f"{args.run} classifies emotions, expected a run for continuous ratings, such as of --model conv_blstm"
        )
    use_backend(args.backend or settings.backend)
    opensmile.settings("egemaps", args.window_seconds, args.window_seconds)  # raises where the package is absent

    from zoo.studies.cell_activations import inspect_run
    from zoo.utils.text import printable

    folder = args.out or args.run / "cells"
    rows, title = inspect_run(args.run, args.recording, folder, args.fold, args.window_seconds)
    _show(rows, title)
    place = printable(str(folder))
    print(f"all correlations: {place}/cells.csv\nthe best ones' traces: {place}/cells.png")


def _show(rows: list[dict], title: str) -> None:
    from zoo.reports.tables import print_titled, table
    from zoo.studies.cell_activations import MEASURES, best

    shown = table("Measure", "Layer", "Direction", "Gate", numbers=("Unit", "r"))
    for measure, words in MEASURES.items():
        found = best(rows, measure, SHOWN)
        for row in found:
            shown.add_row(words, row["layer"], row["direction"], row["gate"], str(row["unit"]), f"{row[measure]:+.3f}")
        if not found:
            shown.add_row(words, *"––––", "does not vary")
        shown.add_section()
    print_titled(title, [], shown)
    print(f"the largest |r| of {len(rows)} activations on one recording; among so many, some are large by chance")
