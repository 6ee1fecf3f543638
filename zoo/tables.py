"""The README's tables, generated from the registry and the corpora, so that they cannot be out of date."""

from pathlib import Path

from zoo.data.corpora import CORPORA
from zoo.data.protocols import DEFAULT_PROTOCOL, PROTOCOLS
from zoo.registry import MODELS


def networks() -> str:
    """Returns the table of networks in Markdown."""
    rows = [
        f"| `{name}` | {entry.title} | {entry.parameters:,} | {', '.join(entry.recipes)} | {entry.paper} |"
        for name, entry in MODELS.items()
    ]
    head = ["| `--model` | what | parameters | recipes | paper |", "|---|---|---|---|---|"]
    return "\n".join(head + rows)


def corpora() -> str:
    """Returns the table of corpora and their protocols in Markdown; the default protocol stands first."""
    head = ["| `--corpus` | what | licence | `--protocol` |", "|---|---|---|---|"]
    rows = []
    for name, corpus in CORPORA.items():
        default = DEFAULT_PROTOCOL[name]
        others = [row.name for row in PROTOCOLS.values() if row.corpus == name and row.name != default]
        protocols = ", ".join(f"`{item}`{_mark(item)}" for item in (default, *others))
        title = f"[{corpus.title}]({corpus.address}), {corpus.n_clips:,} clips"
        rows.append(f"| `{name}` | {title} | {corpus.licence} | {protocols} |")
    return "\n".join(head + rows)


def fill(path: Path) -> str:
    """Returns the text of a Markdown file with its tables made anew, between `<!-- NAME -->` and `<!-- end -->`."""
    text = path.read_text()
    for name, table in (("networks", networks()), ("corpora", corpora())):
        start, end = f"<!-- {name} -->\n", "\n<!-- end -->"
        before, _, rest = text.partition(start)
        text = before + start + table + end + rest.partition(end)[2]
    return text


def _mark(protocol: str) -> str:
    return "" if PROTOCOLS[protocol].speaker_independent else " (not speaker-independent)"
