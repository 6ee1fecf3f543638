"""Make an HTML page of a recording's emotions, or of finished runs, in one file that needs no network.

    python scripts/report.py attention_blstm_fcn-ravdess call.wav --out call.html
    python scripts/report.py MODEL call.wav --out call.html --channels split --audio none
    python scripts/report.py attention_blstm_fcn-ravdess --example --out example.html
    python scripts/report.py runs/NAME --out run.html                     # a run of train.py
    python scripts/report.py runs/A runs/B --out compared.html            # the first, and how the others differ from it

The page of a recording has its waveform and spectrogram, the emotions or ratings along it, a player, a summary by
minute and channel, a table to download, and the model's card. Its sound is put into the page as MP3 (18 MB an hour),
unless it is longer than an hour or --audio says otherwise.

The page of a run shows its figures, confusion matrix, speakers, calibration, risk and coverage, learning curves, and
the worst errors with their sound, for which it needs the corpus (the run's --data-root, or another one here).
"""

import argparse
from pathlib import Path

import zoo
from zoo.errors import UserError
from zoo.utils.parser import Parser
from zoo.utils.text import printable


def main() -> int:
    args = _parser().parse_args()
    if args.out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {args.out}: expected a name ending in .html, found {args.out.suffix or 'none'}")
    runs = (args.model / "config.json").is_file()
    page = _of_runs(args) if runs else _of_recording(args)
    from zoo.pages.page import write

    write(args.out, page)
    print(f"report: {printable(str(args.out))} ({args.out.stat().st_size / 1e6:.1f} MB)")
    return 0


def _parser() -> Parser:
    parser = Parser(description=__doc__)
    named = "a name in saved_models/, the folder of an export, or of a run"
    parser.add_argument("model", type=Path, metavar="MODEL", help=named)
    others = "a recording; or with a run, further runs to compare it with"
    parser.add_argument("others", type=Path, nargs="*", metavar="FILE", help=others)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page, a name ending in .html")
    recording = parser.add_argument_group("recordings")
    recording.add_argument("--example", action="store_true", help="take the recording that comes with the package")
    channels = "mix them, or give each its rows, or take one (default: mix)"
    recording.add_argument("--channels", choices=("mix", "split", "left", "right"), help=channels)
    sound = "put the sound into the page, or leave it out (default: auto, in up to an hour)"
    recording.add_argument("--audio", choices=("auto", "embed", "none"), help=sound)
    of_runs = parser.add_argument_group("runs")
    of_runs.add_argument("--data-root", metavar="DIR", help="the corpus, where it is not where the run found it")
    of_runs.add_argument("--errors", type=int, metavar="N", help="clips to show, with sound (default: 12; 0: none)")
    return parser


def _of_recording(args: argparse.Namespace) -> str:
    from zoo import pretrained
    from zoo.pages import recording

    refused = [
        flag for flag, value in (("--data-root", args.data_root), ("--errors", args.errors)) if value is not None
    ]
    if refused:
        raise UserError(f"{', '.join(refused)}: for runs, and {args.model} is none; leave it out")
    if args.example:
        args.others.append(zoo.example_clip())
    if len(args.others) != 1:
        raise UserError(
            f"expected one recording behind the model, found {len(args.others)}; give a file such as call.wav"
        )
    model = pretrained.load(args.model)
    assert isinstance(model, pretrained.Pretrained)  # pages of runs are made elsewhere
    return recording.page(model, args.others[0], args.channels or "mix", args.audio or "auto")


def _of_runs(args: argparse.Namespace) -> str:
    from zoo.config import saved
    from zoo.utils.backends import use_backend

    given = (("--channels", args.channels), ("--audio", args.audio), ("--example", args.example or None))
    refused = [flag for flag, value in given if value is not None]
    if refused:
        raise UserError(f"{', '.join(refused)}: for a recording, and {args.model} is a run; leave it out")
    if no_runs := [folder for folder in args.others if not (folder / "config.json").is_file()]:
        raise UserError(
            f"{no_runs[0]}: expected another run beside {args.model}, found none; for the page of a recording, give an "
            "exported model before it (export.py)"
        )
    use_backend(saved.load(args.model / "config.json").backend)
    from zoo.pages import run
    from zoo.utils.progress import Progress

    n_clips = run.CLIPS if args.errors is None else args.errors
    with Progress() as progress:
        return run.page([args.model, *args.others], args.data_root or "", n_clips, progress)
