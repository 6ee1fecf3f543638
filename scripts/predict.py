"""Predict emotion: a class for each utterance, or ratings along each recording; from files or from a live stream.

    python scripts/predict.py attention_blstm_fcn-ravdess clip.wav       # a model of saved_models/
    python scripts/predict.py runs/NAME clip.wav folder/                 # a run of train.py
    python scripts/predict.py DIR folder/ --out answers.csv --workers 2  # killed? the same again, with --resume
    python scripts/predict.py DIR --list names.txt --json > answers.jsonl
    ffmpeg -i URL -f s16le -ar 16000 -ac 1 - | python scripts/predict.py DIR --stream

Reads WAV, FLAC, OGG, MP3, AIFF, AU, CAF, Wave64 and NIST Sphere at any rate, mono or mixed down. Probabilities are
averaged over the folds of a run; all but one of them were trained on any clip of the run's own corpus, so on these they
are no test. A network for continuous ratings gives a row per frame, with its time in seconds. Files that cannot be used
are named on standard error, and in FILE.failed.csv beside --out, and left out; the exit code is then 1.
"""

from zoo.utils.cli import run  # isort: skip  # first: it takes Ctrl-C

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from zoo.config import saved
from zoo.data.audio import find
from zoo.errors import UserError, unknown
from zoo.inference.predictions_file import Answers, Failure, Lines, Row, Sheet, as_csv, as_json, kind_of
from zoo.utils.backends import announce_device, use_backend

FORMATS = {"s16le": ("<i2", 32768), "f32le": ("<f4", 1)}
_BLOCK_BYTES = 65_536


def main() -> int:
    args = _parser().parse_intermixed_args()  # RUN --json clip.wav: "audio" may be empty
    _check(args)
    sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]  file names are bytes
    exported = _find(args)
    return _stream(args, exported) if args.stream else _files(args, exported)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder that train.py or export.py made, or a name in saved_models/")
    parser.add_argument("audio", nargs="*", help="audio files, and folders of them")
    parser.add_argument("--list", type=Path, help="file that names audio files or folders, one a line")
    parser.add_argument("--from-stdin", action="store_true", help="standard input names them, one a line")
    model = parser.add_argument_group("model")
    model.add_argument("--fold", help="runs: number of the one fold whose model predicts (default: all, averaged)")
    seconds = "runs: longer files are refused (default: 60; a day for ratings)"
    model.add_argument("--max-clip-seconds", type=float, help=seconds)
    fitted = "runs' ratings: with the post-processing fitted on validation"
    model.add_argument("--postprocess", action="store_true", help=fitted)
    output = parser.add_argument_group("output")
    kind = output.add_mutually_exclusive_group()
    kind.add_argument("--json", action="store_true", help="one JSON object per line")
    kind.add_argument("--csv", action="store_true", help="comma-separated values with a header")
    output.add_argument("--out", type=Path, help="file for the predictions, .jsonl or .csv (default: standard output)")
    output.add_argument("--resume", action="store_true", help="leave out the files that --out already has")
    running = parser.add_argument_group("running")
    running.add_argument("--workers", type=int, default=1, help="processes, each with its own model (default: 1)")
    running.add_argument("--backend", help="runs: Keras backend (default: the run's)")
    stream = parser.add_argument_group("streams")
    stream.add_argument("--stream", action="store_true", help="standard input is raw audio, mono; a line per hop, live")
    stream.add_argument("--rate", type=int, help="its sampling rate in Hz (default: the model's)")
    stream.add_argument("--format", help=f"its samples: {' or '.join(FORMATS)} (default: s16le)")
    stream.add_argument("--hop", type=float, help="seconds of new audio between lines")
    stream.add_argument("--window", type=float, help="seconds of audio per prediction, where state cannot be carried")
    later = "seconds of later audio per rating, where state cannot be carried"
    stream.add_argument("--look-ahead", type=float, help=later)
    level = "MEAN,DEVIATION of the samples (default: of the audio received so far)"
    stream.add_argument("--level", type=_level, help=level)
    return parser


def _given(args: argparse.Namespace, *names: str) -> str:
    """Return those of these flags that the command line has, for a message."""
    given = [name for name in names if getattr(args, name) is not None and getattr(args, name) is not False]
    return ", ".join(f"--{name.replace('_', '-')}" for name in given)


def _check(args: argparse.Namespace) -> None:
    places = args.audio or args.list or args.from_stdin
    if args.stream:
        refused = _given(args, "out", "resume", "postprocess", "max_clip_seconds")
        if places or refused or args.workers != 1:
            what = refused or "files and --workers"
            raise UserError(f"--stream takes its audio from standard input and prints its answers; leave {what} out")
        if (args.format or "s16le") not in FORMATS:
            raise unknown("--format", args.format, FORMATS)
        return
    if given := _given(args, "rate", "format", "hop", "window", "look_ahead", "level"):
        raise UserError(f"{given}: for streams; leave out, or add --stream")
    if not places:
        raise UserError("expected audio files or folders, --list FILE, --from-stdin or --stream, found none of them")
    if args.resume and not args.out:
        raise UserError("--resume continues a file of predictions; name it with --out")
    if not 1 <= args.workers <= 64:
        raise UserError(f"--workers is {args.workers}, expected 1 to 64")


def _find(args: argparse.Namespace) -> bool:
    """Replace a model's name by its folder; return whether it is an export. Chooses the Keras backend of a run."""
    from zoo import pretrained
    from zoo.serving.versions import version_folder

    is_run, name = (args.model / "config.json").is_file(), args.model.name
    if is_run or not (version_folder(args.model) or name == str(args.model) in pretrained.names()):
        use_backend(args.backend or saved.load(args.model / "config.json").backend)
        return False
    args.model = pretrained.find(args.model)
    if given := _given(args, "fold", "max_clip_seconds", "postprocess", "backend"):
        raise UserError(f"{given}: for runs, and {args.model} is an export, which has its own; leave it out")
    return True


def _files(args: argparse.Namespace, exported: bool) -> int:
    from zoo.inference.open_predictor import is_continuous
    from zoo.inference.predictor import READ_AHEAD
    from zoo.utils.progress import Progress

    continuous = is_continuous(args.model, exported)
    if args.postprocess and not continuous:
        raise UserError(f"--postprocess is for ratings; {args.model} predicts classes of emotion. Leave it out")
    size, paths = 1 if continuous else READ_AHEAD, _paths(args)
    failed: list[Failure] = []
    if args.out:
        kind = kind_of(args.out, args.json, args.csv)
        with Sheet(args.out, kind, args.resume, continuous) as sheet:
            todo = [path for path in paths if not sheet.answered(path)]
            skipped, batches = len(paths) - len(todo), _answers(args, exported, todo, size)
            with Progress() as progress, progress.task("files", len(paths)) as advance:
                for number, answers in enumerate(batches, 1):
                    sheet.add(answers)
                    failed += answers.failed
                    advance(skipped + min(number * size, len(todo)))
                before = f", {skipped} before" if skipped else ""
                progress.line(f"{args.out}: {len(todo) - len(failed)} files answered{before}, {len(failed)} failed")
    else:
        show = _row_writer(args)
        for answers in _answers(args, exported, paths, size):
            _show(answers.rows, show)
            failed += answers.failed
    for failure in failed:
        print(f"error: {failure.error}", file=sys.stderr)
    return 1 if failed else 0


def _answers(args: argparse.Namespace, exported: bool, paths: list[Path], size: int) -> Iterator[Answers]:
    from zoo.inference import workers
    from zoo.inference.open_predictor import open_predictor
    from zoo.inference.predictor import in_turn

    options = {"place": str(args.model), "exported": exported, "fold": args.fold}
    options |= {"max_seconds": args.max_clip_seconds, "postprocessed": args.postprocess}
    if args.workers > 1 and paths:
        return workers.by_workers(options, in_turn(paths, size), args.workers)
    predictor = open_predictor(**options)
    announce_device("tensorflow" if exported else "")
    return workers.in_this_process(predictor, in_turn(paths, size))


def _paths(args: argparse.Namespace) -> list[Path]:
    """Return the files named, each once, in order."""
    paths = find.audio_files(args.audio)
    if args.list:
        try:
            with args.list.open(encoding="utf-8", errors="surrogateescape") as lines:
                paths += find.listed(lines)
        except OSError as error:
            raise UserError(f"--list {args.list}: cannot be read ({error.strerror})") from error
    if args.from_stdin:
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
        paths += find.listed(sys.stdin)
    return list(dict.fromkeys(paths))


def _stream(args: argparse.Namespace, exported: bool) -> int:
    import numpy as np

    from zoo.inference.stream import Stream
    from zoo.serving import saved_model

    if exported:
        model = saved_model.load(args.model)
    else:
        from zoo.inference.stream_run import of_run

        model = of_run(args.model, args.fold)
    announce_device("tensorflow" if exported else "")
    sizes = {"window_seconds": args.window, "look_ahead_seconds": args.look_ahead}
    stream = Stream(model, args.hop, **sizes, level=args.level, rate_hz=args.rate)
    print(f"latency {stream.latency_seconds:g} s ({stream.live.way})", file=sys.stderr)
    show, (dtype, largest) = _row_writer(args), FORMATS[args.format or "s16le"]
    n_rows, rest, first = 0, b"", True
    while block := sys.stdin.buffer.read1(_BLOCK_BYTES):  # type: ignore[attr-defined]  what has come, no more
        block = rest + block
        if first and block[:4] in (b"RIFF", b"fLaC", b"OggS"):
            raise UserError("--stream: expected raw samples, found an audio file; leave --stream out, or decode it")
        first, whole = False, len(block) - len(block) % np.dtype(dtype).itemsize
        rest = block[whole:]
        samples = np.frombuffer(block[:whole], dtype).astype(np.float32) / np.float32(largest)
        n_rows += _show(stream.push(samples), show)
    n_rows += _show(stream.finish(), show)
    if rest:
        print(f"error: the stream ended inside a sample: its last {len(rest)} bytes are left out", file=sys.stderr)
    if not n_rows:
        print("error: the stream ended before there was enough audio for a prediction", file=sys.stderr)
    return 1 if rest or not n_rows else 0


def _row_writer(args: argparse.Namespace) -> Lines:
    return as_json if args.json else as_csv() if args.csv else _in_words


def _show(rows: list[dict], show: Lines) -> int:
    sys.stdout.write("".join(map(show, rows)))
    sys.stdout.flush()
    return len(rows)


def _level(words: str) -> tuple[float, float]:
    try:
        mean, deviation = map(float, words.split(","))
    except ValueError as error:
        raise UserError(f"--level is {words!r}, expected MEAN,DEVIATION such as 0,0.05") from error
    return mean, deviation


def _in_words(row: Row) -> str:
    mark = "\ttrained on synthetic speech" if row["trained_on"].startswith("synthetic") else ""
    file = [row["file"]] if "file" in row else []
    if "probabilities" in row:
        place = [f"{row['start']:.2f} to {row['end']:.2f} s"] if "start" in row else file
        shares = sorted(row["probabilities"].items(), key=lambda item: -item[1])
        parts = [*place, row["emotion"], "  ".join(f"{name} {share:.3f}" for name, share in shares)]
    else:
        ratings = (f"{name} {row[name]:+.3f}" for name in row if name not in ("file", "time", "trained_on"))
        parts = [*file, f"{row['time']:.2f} s", "  ".join(ratings)]
    return "\t".join(parts) + f"{mark}\n"


if __name__ == "__main__":
    run(main)
