"""List networks and corpora: the tables of the documentation, and the list at the end of `ser train --help-all`."""

from collections.abc import Mapping
from pathlib import Path

from zoo.data.corpora.registry import CORPORA
from zoo.data.protocols import from_table, pool
from zoo.data.protocols.lookup import DEFAULT_PROTOCOL, PROTOCOLS
from zoo.registry import MODELS


def networks() -> str:
    """Return the table of networks in Markdown."""
    rows = ["| `--model` | what | parameters | recipes | paper |", "|---|---|---|---|---|"]
    for name, entry in MODELS.items():
        recipes = ", ".join(entry.recipes)
        rows.append(f"| `{name}` | {entry.title} | {entry.parameters:,} | {recipes} | {entry.paper} |")
    return "\n".join(rows)


def corpora() -> str:
    """Return the table of corpora and their protocols in Markdown; the default protocol first."""
    rows = ["| `--corpus` | what | licence | `--protocol` |", "|---|---|---|---|"]
    for name, corpus in CORPORA.items():
        protocols = ", ".join(f"`{item}`{_mark(item)}" for item in _protocols(name))
        title = f"[{corpus.title}]({corpus.address}), {corpus.n_clips:,} clips"
        rows.append(f"| `{name}` | {title} | {corpus.licence} | {protocols} |")
    return "\n".join(rows)


def in_plain_text() -> str:
    """Return networks, corpora and protocols as the command line lists them."""
    lines = ["networks (--model):", *(f"  {name:28}{entry.title}" for name, entry in MODELS.items())]
    lines += ["", "corpora (--corpus) and their protocols (--protocol), the default first:"]
    lines += [f"  {name:16}{', '.join(item + _mark(item) for item in _protocols(name))}" for name in CORPORA]
    lines += [f"  {'table[:PATH]':16}{', '.join(from_table.NAMES)}"]
    lines += [f"  {'a+b+table:PATH':16}{', '.join(pool.PROTOCOLS)}"]
    return "\n".join(lines)


def fill(path: Path, blocks: Mapping[str, str] | None = None) -> str:
    """Return the text of a Markdown file with its tables made anew, between `<!-- NAME -->` and `<!-- end -->`.

    `blocks` are the tables by name, by default those of networks and corpora.
    """
    text = path.read_text()
    for name, table in (blocks or {"networks": networks(), "corpora": corpora()}).items():
        before, start, rest = text.partition(f"<!-- {name} -->\n")
        if start:
            _, end, after = rest.partition("<!-- end -->")
            text = f"{before}{start}{table}\n{end}{after}"
    return text


def _protocols(corpus: str) -> list[str]:
    known = [row.name for row in PROTOCOLS.values() if row.corpus == corpus]
    return sorted(known, key=lambda name: name != DEFAULT_PROTOCOL[corpus])


def _mark(protocol: str) -> str:
    if PROTOCOLS[protocol].selects_on_test:
        return " (chosen on the recordings it is tested on)"
    return "" if PROTOCOLS[protocol].speaker_independent else " (not speaker-independent)"
