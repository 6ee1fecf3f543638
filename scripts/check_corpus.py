"""Says whether a corpus on disk is complete and sound, and what to do where it is not.

Of a corpus that is rated continuously it also says how late the ratings are, and with which flag to train.
"""

import argparse
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.columns import Columns
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from zoo.data.corpora import registry as corpora
from zoo.data.corpora.check import Report, check
from zoo.data.corpora.check_delay import LabelDelay, label_delay, training_clips
from zoo.data.corpora.files import Loaded
from zoo.data.protocols.lookup import PROTOCOLS, count_problems, get
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.utils.cli import run

SHOWN = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 0 for a clean corpus, 1 where there are findings; a user's mistake raises UserError."""
    args = _parser().parse_args(argv)
    root = corpora.resolve_root(args.corpus, args.data_root)
    loaded = corpora.load(args.corpus, root)
    report = _check(args.corpus, loaded)
    if not args.json:
        _print(report, f"{corpora.get(args.corpus).title} in {root}")
    delay = _delay(args.corpus, loaded)
    if args.json:
        found = {"corpus": args.corpus, "root": str(root), **dataclasses.asdict(report)}
        print(json.dumps(found | ({"label_delay": dataclasses.asdict(delay)} if delay else {}), indent=2))
    elif delay:
        _print_delay(delay)
    return 1 if report.advice else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"{corpora.in_plain_text()}\n\n"
        "Exit code: 0 the corpus is clean, 1 there are findings, 2 the command or the folder is wrong.",
    )
    what = parser.add_argument_group("what to check")
    what.add_argument("--corpus", required=True, metavar="NAME", help="the corpus; see below")
    what.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        help=f"the corpus's folder (default: its usual name below ${corpora.DATA_ROOT_VARIABLE})",
    )
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print everything found as one JSON object")
    return parser


def _check(name: str, loaded: Loaded) -> Report:
    corpus = corpora.get(name)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=len(loaded.clips))
        return check(
            loaded.clips,
            loaded.ignored,
            rate_hz=corpus.rate_hz,
            max_seconds=corpus.max_seconds,
            missing=loaded.missing,
            repeated=loaded.duplicates,
            problems=_problems(name, loaded.clips),
            on_clip=lambda: progress.advance(task),
        )


def _delay(name: str, loaded: Loaded) -> LabelDelay | None:
    """Returns how late the training recordings of the corpus's default protocol are rated; None for classes."""
    protocol = get(None, name)
    if not protocol.targets:
        return None
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("label delay", total=len(training_clips(protocol, loaded.clips)))
        seconds = corpora.get(name).max_seconds
        return label_delay(protocol, loaded.clips, seconds, on_clip=lambda: progress.advance(task))


def _problems(corpus: str, clips: Sequence[Clip]) -> list[str]:
    """Returns what differs from the counts of the corpus's protocols, each difference once.

    A protocol without a single clip is passed over where another has some: RAVDESS's song is an archive of its own.
    """
    found = {row.name: _differences(row, clips) for row in PROTOCOLS.values() if row.corpus == corpus}
    if all(problems is None for problems in found.values()):
        return [f"no clip belongs to {' or '.join(found)}"]
    names: dict[str, list[str]] = {}
    for name, problems in found.items():
        for problem in problems or ():
            names.setdefault(problem, []).append(name)
    return [f"{', '.join(protocols)}: {problem}" for problem, protocols in names.items()]


def _differences(protocol: Protocol, clips: Sequence[Clip]) -> list[str] | None:
    """Returns what differs from a protocol's counts, or None where none of its clips is there."""
    try:
        return count_problems(protocol, clips) if protocol.select(clips) else None
    except UserError as error:  # the protocol's own label file is missing
        return [str(error)]


def _print(report: Report, title: str) -> None:
    console = Console(highlight=False)
    console.print(f"[bold]{escape(title)}[/]")
    console.print(f"{report.clips} clips of {len(report.speakers)} speakers")
    if report.seconds:
        console.print(
            "{hours:.2f} h; a clip lasts {min:.2f} to {max:.2f} s, median {median:.2f} s".format(
                hours=report.seconds["total"] / 3600, **report.seconds
            )
        )
    rates = {f"{rate_hz} Hz": count for rate_hz, count in report.rates_hz.items()}
    tables = {"label": report.labels, "speaker": report.speakers, "sampling rate": rates, "left alone": report.ignored}
    console.print(Columns([_counts(heading, counts) for heading, counts in tables.items() if counts]))
    for sentence in report.resampled:
        console.print(sentence, soft_wrap=True)
    for heading, entries in _findings(report).items():
        console.print(f"[bold]{escape(heading)}[/]: {len(entries)}")
        for entry in entries[:SHOWN]:
            console.print(f"  {escape(entry)}", soft_wrap=True)
        if len(entries) > SHOWN:
            console.print(f"  and {len(entries) - SHOWN} more; --json lists all")
    console.print("[bold]What to do[/]")
    for sentence in report.advice or ["Nothing: the corpus is complete and sound."]:
        console.print(f"  {escape(sentence)}", soft_wrap=True)


def _print_delay(delay: LabelDelay) -> None:
    console = Console(highlight=False)
    console.print(f"[bold]Label delay[/], in {len(delay.recordings)} training recordings of {delay.protocol}")
    if delay.reason:
        console.print(f"  not estimated: {delay.reason}", soft_wrap=True)
        return
    for name, lag in delay.lags.items():
        found = f"{lag.seconds:.4g} s behind the energy of the sound" if lag.correlates else "no lag correlates"
        own = f"correlation {lag.correlation:.2f}, with the ratings of other recordings at most {lag.by_chance:.2f}"
        console.print(f"  {escape(name)}: {found} ({own})", soft_wrap=True)
    if delay.seconds is None:
        console.print("  No delay can be told from the sound. Train without --label-delay-seconds")
    else:
        console.print(f"  Train with --label-delay-seconds {delay.seconds:.4g}")


def _counts(heading: str, counts: Mapping[str, int]) -> Table:
    table = Table(heading, "files")
    table.columns[1].justify = "right"
    for name, count in counts.items():
        table.add_row(escape(name), str(count))
    return table


def _findings(report: Report) -> dict[str, list[str]]:
    """Returns what was found as lines of text under headings, without the headings that have none."""
    findings = {f"unreadable ({kind})": messages for kind, messages in report.unreadable.items()}
    findings["counts"] = report.problems
    findings["labelled but missing"] = report.missing
    findings["second copies"] = report.repeated
    findings["labels and audio"] = report.misaligned
    findings["same audio"] = [" = ".join(names) for names in report.duplicates]
    findings["near silence"] = report.near_silent
    findings["low sampling rate"] = [f"{name}: {rate_hz} Hz" for name, rate_hz in report.low_rate.items()]
    findings["clipped"] = [f"{name}: {share:.2%} of its samples" for name, share in report.clipped.items()]
    return {heading: entries for heading, entries in findings.items() if entries}


if __name__ == "__main__":
    run(main)
