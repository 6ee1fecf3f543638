"""Predict emotion: a class for each utterance, or ratings along each recording; from files or from a live stream.

    python scripts/predict.py attention_blstm_fcn-ravdess clip.wav       # a model of saved_models/
    python scripts/predict.py runs/NAME clip.wav folder/                 # a run of train.py
    python scripts/predict.py DIR folder/ --out answers.csv --workers 2  # killed? the same again, with --resume
    python scripts/predict.py weights/audeering-msp-dim clip.wav         # published weights with their head
    find . -name '*.wav' -print0 | python scripts/predict.py DIR --from-stdin
    python scripts/predict.py DIR <(ffmpeg -i clip.m4a -f wav -)
    ffmpeg -i URL -f s16le -ar 16000 -ac 1 - | python scripts/predict.py DIR --stream
    python scripts/predict.py DIR --list files.parquet --out answers/ --workers 64 --ray auto
    python scripts/predict.py DIR call.wav --channels split --csv        # a row per window of speech and channel

Reads WAV, FLAC, OGG (Vorbis or Opus), MP3, AIFF, AU, CAF, Wave64 and NIST Sphere at any rate. Recordings over 30 s have
a row per window of speech of at most 5 s, with its start and end, others one row. Sound without speech has no emotion,
and "reason" says why. In a folder, audio is known by its suffix, or without one by its content; audio of other formats,
links to folders, links that lead nowhere and folders that cannot be read count as files that cannot be used. Lists are
UTF-8 or UTF-16, a name a line, or names that end in NUL; of .parquet, and .csv and .tsv with a header, the column
"file". A pipe that is named is read up to 512 MiB and two minutes. A stream is refused where it begins like a file, a
compressed format or text.

Probabilities are averaged over the folds of a run; all but one of them were trained on any clip of the run's own
corpus, so on these they are no test. Where a confidence was fitted (scripts/confidence.py), `confidence` estimates the
probability that the emotion is right, and `abstained` is true below its threshold: the emotion is still the likeliest
one, and not to be relied on. A network for continuous ratings gives a row per frame, with its time in seconds. Files
that cannot be used are named on standard error, and in FILE.failed.csv beside --out, and left out; the exit code is
then 1. It is 2 where nothing could begin: a wrong option, model, list or stream, or names of which none is there. In
words and in CSV, what would act on a terminal is escaped in names, as \\x1b; the cell then begins with an apostrophe.

A folder as --out gets shards/NNNNNN.jsonl, or .csv with --csv, whose rows are in the list's order whatever the number
of workers, and failed.csv. A shard that ended its worker three times is given up, and its files are named there. With
--resume, shards that are finished stay, and the others are made.
"""

import argparse
import io
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import zoo
from zoo.config import saved
from zoo.distributed import command
from zoo.errors import UserError, unknown
from zoo.inference import reading
from zoo.inference.in_words import for_terminal
from zoo.inference.places import Places
from zoo.inference.predictions_file import Answers, Failure, Lines, Sheet, as_csv, as_json, kind_of
from zoo.inference.raw_audio import FORMATS, RawAudio
from zoo.utils.backends import announce_device, runtime_of_exports, use_backend
from zoo.utils.parser import Parser
from zoo.utils.text import printable

_OF_STREAMS = ("rate_hz", "sample_format", "hop_seconds", "window_seconds", "look_ahead_seconds", "level")
_SHARD_BATCHES = 16  # of files that are read together: a shard's batches are those of the whole list


def main() -> int:
    args = _parser().parse_intermixed_args()  # RUN --json clip.wav: "audio" may be empty
    if args.example:
        args.audio.append(str(zoo.example_clip()))
    _check(args)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # of names that it has no letters for
    exported = _find(args)
    return _stream(args, exported) if args.stream else _files(args, exported)


def _parser() -> Parser:
    parser = Parser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="?", help="folder of a run, export or weights; name of `ser models`")
    parser.add_argument("audio", nargs="*", help="audio files, and folders of them")
    parser.add_argument("--example", action="store_true", help="predict the recording that comes with the package")
    parser.add_argument("--list", type=Path, help="file that names audio files or folders, one a line")
    parser.add_argument("--from-stdin", action="store_true", help="standard input names them, one a line")
    model = parser.add_argument_group("model")
    model.add_argument("--fold", help="runs: number of the one fold whose model predicts (default: all, averaged)")
    model.add_argument("--max-clip-seconds", type=float, help="runs: longest file (default: 60; of ratings a day)")
    model.add_argument("--postprocess", action="store_true", help="runs' ratings: with the fitted post-processing")
    reading.add_flags(parser.add_argument_group("recordings (models of classes)"))
    output = parser.add_argument_group("output")
    kind = output.add_mutually_exclusive_group()
    kind.add_argument("--json", action="store_true", help="one JSON object per line")
    kind.add_argument("--csv", action="store_true", help="comma-separated values with a header")
    output.add_argument("--out", help="a file, .jsonl or .csv, or a folder, ending in / (default: standard output)")
    output.add_argument("--resume", action="store_true", help="leave out the files that --out already has")
    running = parser.add_argument_group("running")
    running.add_argument("--workers", type=int, default=1, help="processes, each with its own model (default: 1)")
    computed = "exports: onnx, which starts within a second, or tensorflow (default: auto, the first they have)"
    running.add_argument("--runtime", choices=("auto", "onnx", "tensorflow"), default="auto", help=computed)
    running.add_argument("--backend", help="runs: Keras backend (default: the run's)")
    command.add_flags(running, "1024; of ratings 16")
    stream = parser.add_argument_group("streams")
    stream.add_argument("--stream", action="store_true", help="standard input is raw audio, mono; a line per hop, live")
    stream.add_argument("--rate-hz", type=int, help="its sampling rate in Hz (default: the model's)")
    stream.add_argument("--sample-format", help=f"its samples: {' or '.join(FORMATS)} (default: s16le)")
    stream.add_argument("--hop-seconds", type=float, help="new audio between lines")
    stream.add_argument("--window-seconds", type=float, help="audio per prediction, where state cannot be carried")
    stream.add_argument("--look-ahead-seconds", type=float, help="later audio per rating, without carried state")
    level = "MEAN,DEVIATION of the samples (default: of the audio received so far)"
    stream.add_argument("--level", type=_level, help=level)
    parser.hide(("look_ahead_seconds", "level", "postprocess", "runtime", "ray", "shard_size"))
    parser.hide(("cpus_per_shard", "gpus_per_shard", "backend", "max_clip_seconds"))
    return parser


def _given(args: argparse.Namespace, *names: str) -> str:
    """Return those of these flags that the command line has, for a message."""
    given = [name for name in names if getattr(args, name) is not None and getattr(args, name) is not False]
    return ", ".join(f"--{name.replace('_', '-')}" for name in given)


def _check(args: argparse.Namespace) -> None:
    places = args.audio or args.list or args.from_stdin
    if args.model is None or not (places or args.stream):
        example = f"{Path(sys.argv[0]).name} attention_blstm_fcn-ravdess clip.wav"
        expected = "expected a model, and audio files, folders, --list FILE, --from-stdin or --stream, as in"
        raise UserError(f"{expected}: {example}; `ser models` lists models, --example in place of audio tries one")
    if args.stream:
        refused = _given(args, "out", "resume", "postprocess", "max_clip_seconds")
        refused = ", ".join(filter(None, [refused, *reading.reading_of(args).given()]))
        if places or refused or args.workers != 1:
            what = refused or "files and --workers"
            raise UserError(f"--stream takes its audio from standard input and prints its answers; leave {what} out")
        if (args.sample_format or "s16le") in FORMATS:
            return
        raise unknown("--sample-format", args.sample_format, FORMATS)
    if given := _given(args, *_OF_STREAMS):
        raise UserError(f"{given}: for streams; leave out, or add --stream")
    if args.resume and not args.out:
        raise UserError("--resume continues a file of predictions; name it with --out")
    command.check(args)
    if (given := _given(args, "ray", "shard_size")) and not _into_shards(args):
        raise UserError(f"{given}: for a folder of shards; name it with --out DIR/")


def _into_shards(args: argparse.Namespace) -> bool:
    """Return whether --out is a folder."""
    return bool(args.out) and (bool(args.ray) or args.out.endswith("/") or Path(args.out).is_dir())


def _find(args: argparse.Namespace) -> bool:
    """Replace a model's name by its folder; return whether it is an export. Chooses the Keras backend of a run."""
    from zoo import pretrained
    from zoo.inference.open_predictor import begin_weights
    from zoo.serving.versions import version_folder

    if begin_weights(args.model, _given(args, "fold", "postprocess"), args.runtime, args.backend):
        return False
    is_named = args.model.name == str(args.model) and (not args.model.exists() or args.model.name in pretrained.names())
    if (args.model / "config.json").is_file() or not (is_named or version_folder(args.model)):
        if args.runtime != "auto":
            raise UserError(f"--runtime is for exports, and {args.model} is a run, which has --backend; leave it out")
        use_backend(args.backend or saved.load(args.model / "config.json").backend)
        return False
    args.model = pretrained.find(args.model)
    if given := _given(args, "fold", "max_clip_seconds", "postprocess", "backend"):
        raise UserError(f"{given}: for runs, and {args.model} is an export, which has its own; leave it out")
    return True


def _files(args: argparse.Namespace, exported: bool) -> int:
    from zoo.inference import places
    from zoo.inference.open_predictor import is_continuous
    from zoo.inference.predictor import READ_AHEAD

    continuous = is_continuous(args.model, exported)
    if args.postprocess and not continuous:
        raise UserError(f"--postprocess is for ratings; {args.model} predicts classes of emotion. Leave it out")
    if continuous:
        reading.reading_of(args).check_ratings()
    size = 1 if continuous else READ_AHEAD
    if _into_shards(args):
        return _into_folder(args, exported, size)
    with places.found(args.audio, args.list, sys.stdin.buffer if args.from_stdin else None) as found:
        if args.out:
            failed = _into_file(args, exported, found, size, continuous)
        else:
            failed, show = list(found.failed), _row_writer(args)
            for answers in found.renamed(_answers(args, exported, found.files, size)):
                _show(answers.rows, show)
                failed += answers.failed
    for failure in failed:
        print(f"error: {printable(failure.error)}", file=sys.stderr)
    if failed and not args.out:
        print(f"{_count(len(failed))} failed", file=sys.stderr)
    return 1 if failed else 0


def _into_folder(args: argparse.Namespace, exported: bool, size: int) -> int:
    """Write the answers into the folder --out, shard by shard."""
    from zoo.distributed import shards
    from zoo.inference import places
    from zoo.inference import shards as predictions

    kind, unusable = "csv" if args.csv else "json", dict[str, tuple[str, str, str]]()
    options = {**_options(args, exported), "place": str(args.model.resolve())}
    backend, digest = "" if exported else os.environ["KERAS_BACKEND"], predictions.digest(args.model, exported)
    about = {**options, "place": args.model.name, "backend": backend, "model_sha256": digest, "format": kind}
    how = reading.reading_of(args)
    about |= {"folder_of_names": str(Path.cwd()), **asdict(how)}

    def note_unusable(name: str, message: str) -> None:
        unusable.setdefault(name, (name, "missing", message))

    files = places.in_turn(args.audio, args.list, sys.stdin.buffer if args.from_stdin else None, note_unusable)
    n_files = args.shard_size or _SHARD_BATCHES * size
    with shards.opened(Path(args.out), about, files, n_files, predictions.SUFFIXES[kind], args.resume) as found:
        shards.write_unusable(found.folder, list(unusable.values()))
        return command.work(found, predictions.job(options, kind, size, backend, digest, how), args)


def _options(args: argparse.Namespace, exported: bool) -> dict[str, Any]:
    """Return the keyword arguments of `open_predictor`."""
    options = {"place": str(args.model), "exported": exported, "fold": args.fold}
    options |= {"max_seconds": args.max_clip_seconds, "postprocessed": args.postprocess}
    return {**options, "runtime": args.runtime} if exported else options


def _into_file(args: argparse.Namespace, exported: bool, found: Places, size: int, continuous: bool) -> list[Failure]:
    """Write the answers to --out; return what failed."""
    from zoo.utils.progress import Progress

    out, failed = Path(args.out), list(found.failed)
    several = continuous or reading.reading_of(args).has_several_rows
    with Sheet(out, kind_of(out, args.json, args.csv), args.resume, several) as sheet:
        sheet.add(Answers([], failed))
        # What comes by a pipe may be another recording than the one that had its name before.
        todo = [path for path in found.files if str(path) in found.pipes or not sheet.answered(path)]
        skipped = len(found.files) - len(todo)
        batches = found.renamed(_answers(args, exported, todo, size))
        with Progress() as progress, progress.task("files", len(found.files)) as advance:
            for number, answers in enumerate(batches, 1):
                sheet.add(answers)
                failed += answers.failed
                advance(skipped + min(number * size, len(todo)))
            n_answered = len(todo) - len(failed) + len(found.failed)
            before = f", {skipped} before" if skipped else ""
            progress.line(f"{args.out}: {_count(n_answered)} answered{before}, {len(failed)} failed")
    return failed


def _count(number: int) -> str:
    return f"{number} file{'' if number == 1 else 's'}"


def _answers(args: argparse.Namespace, exported: bool, paths: list[Path], size: int) -> Iterator[Answers]:
    from zoo.inference import workers
    from zoo.inference.open_predictor import open_predictor
    from zoo.inference.predictor import in_turn

    options, how, notice = _options(args, exported), reading.reading_of(args), reading.MixedNotice()
    if args.workers > 1 and paths:
        return workers.by_workers(options, in_turn(paths, size), args.workers, how, notice)
    predictor = open_predictor(**options)
    announce_device(runtime_of_exports() if exported else "")
    return workers.in_this_process(predictor, in_turn(paths, size), how, notice)


def _stream(args: argparse.Namespace, exported: bool) -> int:
    from zoo.inference.open_predictor import open_live
    from zoo.inference.stream import Stream
    from zoo.inference.stream_model import Live
    from zoo.serving import saved_model

    model: saved_model.Exported | Live
    model = saved_model.load(args.model, args.runtime) if exported else open_live(args.model, args.fold)
    announce_device(runtime_of_exports() if exported else "")
    sizes = {"window_seconds": args.window_seconds, "look_ahead_seconds": args.look_ahead_seconds}
    stream = Stream(model, args.hop_seconds, **sizes, level=args.level, rate_hz=args.rate_hz)
    back = "all before" if stream.live.way == "state" else f"{stream.look_back_seconds:g} s"
    print(f"latency {stream.latency_seconds:g} s ({stream.live.way}), look-back {back}", file=sys.stderr)
    show, audio = _row_writer(args), RawAudio(sys.stdin.buffer, args.sample_format or "s16le")  # type: ignore[arg-type]
    n_rows = sum(_show(stream.push(samples), show) for samples in audio)
    n_rows += _show(stream.finish(), show)
    if rest := audio.rest_bytes:
        print(f"error: the stream ended inside a sample: its last {rest} bytes are left out", file=sys.stderr)
    if not n_rows:
        print("error: the stream ended before there was enough audio for a prediction", file=sys.stderr)
    return 1 if rest or not n_rows else 0


def _row_writer(args: argparse.Namespace) -> Lines:
    return as_json if args.json else as_csv() if args.csv else for_terminal


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
