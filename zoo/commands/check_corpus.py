"""Check whether a corpus on disk is complete and sound, and print what to do where it is not.

For a corpus that is rated continuously, print also how late the ratings are, and with which flag to train.

--json prints one document: corpus, root, release_clips, protocols (clips, expected, groups of each), clips, labels,
speakers, rates_hz, seconds, a list for each kind of finding, notices, advice (empty: the corpus is sound), and for
ratings label_delay.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

from rich.columns import Columns
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from zoo.config import flags
from zoo.data.corpora import registry as corpora
from zoo.data.corpora.check import Report, check
from zoo.data.corpora.check_counts import Counts, count
from zoo.data.corpora.check_delay import LabelDelay, label_delay, training_clips
from zoo.data.corpora.files import Loaded
from zoo.data.corpora.names import is_table
from zoo.data.corpora.registry import Corpus
from zoo.data.protocols.lookup import get
from zoo.data.protocols.splits import Protocol
from zoo.data.tables import check as check_table
from zoo.runs import own_table
from zoo.utils.json_files import document
from zoo.utils.parser import Parser
from zoo.utils.progress import Progress
from zoo.utils.text import printable

SHOWN = 5
MOST_GROUPS = 6  # in the table of counts: IEMOCAP's sessions, not RAVDESS's actors


def main() -> int:
    """Return 0 for a clean corpus, 1 where there are findings; a user's mistake raises UserError."""
    parser = Parser(
        description=__doc__,
        epilog=f"{corpora.in_plain_text()}\n\n"
        "Exit code: 0 the corpus is clean, 1 there are findings, 2 the command or the folder is wrong.",
    )
    what = parser.add_argument_group("what to check")
    what.add_argument("--corpus", required=True, type=corpora.as_spelt, metavar="NAME", help="the corpus; see below")
    for name in ("target", "column", "label_map", "from_names", "audio_root"):
        flags.add_flag(what, name)
    usual = f"the corpus's folder (default: its usual name below ${corpora.DATA_ROOT_VARIABLE})"
    what.add_argument("--data-root", type=Path, metavar="DIR", help=usual)
    output = parser.add_argument_group("output")
    output.add_argument("--json", action="store_true", help="print everything found as one JSON object")
    args = parser.parse_args()

    corpus, (root, loaded) = corpora.get(args.corpus), _load(args)
    limit, counts, protocol = _divided(args.corpus, loaded)
    differences = {"problems": counts.short, "surplus": counts.surplus}
    with Progress() as progress, progress.task("reading", len(loaded.clips)) as on_clip:
        report = check(loaded, rate_hz=corpus.rate_hz, max_seconds=limit, on_clip=on_clip, **differences)
    found = {"corpus": args.corpus, "root": str(root), "release_clips": corpus.n_clips}
    found |= {"protocols": {name: dataclasses.asdict(one) for name, one in counts.protocols.items()}}
    found |= {**dataclasses.asdict(report), "advice": report.advice}
    if not args.json:
        _print(report, counts, corpus, f"table {root}" if is_table(args.corpus) else f"{corpus.title} in {root}")
    if protocol and protocol.targets:
        n_recordings = len(training_clips(protocol, loaded.clips))
        with Progress() as progress, progress.task("label delay", n_recordings) as on_clip:
            delay = label_delay(protocol, loaded.clips, limit, on_clip)
        found["label_delay"] = dataclasses.asdict(delay)
        if not args.json:
            _print_delay(delay)
    if args.json:
        sys.stdout.write(document(found))
    return 1 if report.advice else 0


def _load(args: argparse.Namespace) -> tuple[Path, Loaded]:
    """Return where the corpus is, and its clips."""
    if not is_table(args.corpus):
        root = corpora.resolve_root(args.corpus, args.data_root)
        return root, corpora.load(args.corpus, root)
    given = {name: value for name, value in vars(args).items() if name not in ("data_root", "json")}
    settings = own_table.located(flags.from_flags({**given, "data_root": str(args.data_root or "")}))
    return Path(settings.data_root), own_table.load(settings)


def _divided(name: str, loaded: Loaded) -> tuple[float, Counts, Protocol | None]:
    """Return the longest clip in seconds, the clips by protocol, and the usual protocol (None: a pool)."""
    if not is_table(name):
        return corpora.get(name).max_seconds, count(name, loaded.clips), get(None, name)
    protocol = check_table.protocol_of(name, loaded.clips)
    longest = check_table.LONGEST_RATED_SECONDS if protocol and protocol.targets else corpora.get(name).max_seconds
    return longest, check_table.count(name, loaded.clips), protocol


def _print(report: Report, counts: Counts, corpus: Corpus, title: str) -> None:
    console = Console(highlight=False)
    release = f"the release has {corpus.n_clips:,}"
    if other := corpus.other_releases.get(report.clips):
        release = f"as in {other}; {release}"
    speakers = f"{report.clips} clips of {len(report.speakers)} speakers"
    known = f"; {release}" if corpus.n_clips else ""
    console.print(f"[bold]{_plain(title)}[/]\n{speakers}{known}", soft_wrap=True)
    if seconds := report.seconds:
        length = "a clip lasts {min:.2f} to {max:.2f} s, median {median:.2f} s".format(**seconds)
        console.print(f"{seconds['total'] / 3600:.2f} h; {length}")
    rates = {f"{rate_hz} Hz": count for rate_hz, count in report.rates_hz.items()}
    tables = {"label": report.labels, "speaker": report.speakers, "sampling rate": rates, "left alone": report.ignored}
    console.print(_table_of(counts))
    columns = []
    for heading, numbers in tables.items():
        table = Table(heading, "files")
        table.columns[1].justify = "right"
        for name, number in numbers.items():
            table.add_row(_plain(name), str(number))
        columns += [table] if numbers else []
    console.print(Columns(columns))
    for sentence in report.resampled:
        console.print(sentence, soft_wrap=True)
    for heading, entries in _findings(report).items():
        console.print(f"[bold]{escape(heading)}[/]: {len(entries)}")
        for entry in entries[:SHOWN]:
            console.print(f"  {_plain(entry)}", soft_wrap=True)
        if len(entries) > SHOWN:
            console.print(f"  and {len(entries) - SHOWN} more; --json lists all")
    for sentence in report.notices:
        console.print(f"noticed: {_plain(sentence)}", soft_wrap=True)
    console.print("[bold]What to do[/]")
    nothing = "the corpus is complete and sound."
    if report.clips < corpus.n_clips:
        nothing = f"the protocols' clips are complete and sound; {report.clips:,} of {corpus.n_clips:,} are here."
    for sentence in report.advice or [f"Nothing: {nothing}"]:
        console.print(f"  {_plain(sentence)}", soft_wrap=True)


def _table_of(counts: Counts) -> Table:
    """Return the table of clips by protocol, and by group where there are few."""
    table = Table("protocol", "clips", "expected")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, found in counts.protocols.items():
        table.add_row(name, f"{found.clips:,}", _or_dash(found.expected))
        if 1 < len(found.groups) <= MOST_GROUPS:
            for group, (number, expected) in found.groups.items():
                table.add_row(f"  {_plain(group)}", f"{number:,}", _or_dash(expected))
    return table


def _or_dash(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def _plain(text: str) -> str:
    """Return text that neither rich nor a terminal takes for anything else."""
    return escape(printable(text))


def _print_delay(delay: LabelDelay) -> None:
    console = Console(highlight=False)
    console.print(f"[bold]Label delay[/], in {len(delay.recordings)} training recordings of {delay.protocol}")
    if delay.reason:
        console.print(f"  not estimated: {delay.reason}", soft_wrap=True)
        return
    for name, lag in delay.lags.items():
        found = f"{lag.seconds:.4g} s behind the energy of the sound" if lag.correlates else "no lag correlates"
        own = f"correlation {lag.correlation:.2f}, with the ratings of other recordings at most {lag.by_chance:.2f}"
        console.print(f"  {_plain(name)}: {found} ({own})", soft_wrap=True)
    if delay.seconds is None:
        console.print("  No delay can be estimated. Train without --label-delay-seconds")
    else:
        console.print(f"  Train with --label-delay-seconds {delay.seconds:.4g}")


def _findings(report: Report) -> dict[str, list[str]]:
    """Return what was found as lines of text, by heading."""
    findings = {
        **{f"unreadable ({kind})": messages for kind, messages in report.unreadable.items()},
        "counts": report.problems,
        "surplus": report.surplus,
        "labelled but missing": report.missing,
        "second copies": report.repeated,
        "labels and audio": report.misaligned,
        "labels' intervals and audio": report.wrong_length,
        "one length": report.one_length,
        "same audio": [" = ".join(names) for names in report.duplicates],
        "one person under several names": report.two_speakers,
        "near silence": report.near_silent,
        "low sampling rate": [f"{name}: {rate_hz} Hz" for name, rate_hz in report.low_rate.items()],
        "clipped": [f"{name}: {share:.2%} of its samples" for name, share in report.clipped.items()],
    }
    return {heading: entries for heading, entries in findings.items() if entries}
