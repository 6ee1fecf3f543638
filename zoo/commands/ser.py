"""Run the console command `ser`: `ser NAME ...` starts a command, and `ser` alone lists them all."""

from zoo.utils.cli import run  # isort: skip  # first: it takes Ctrl-C

import shutil
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from zoo.commands import start
from zoo.errors import UserError, did_you_mean
from zoo.version import __version__

FOLDER = Path(__file__).parent
GROUPS = {
    "Use a model": ("predict", "report", "web", "models", "label", "extract"),
    "Train": ("train", "tune", "pretrain", "adapt", "confidence", "convert-weights"),
    "Evaluate": ("evaluate", "compare", "confusions", "ensemble", "robustness", "inspect-cells"),
    "Serve": ("export", "serve-check", "serve-request"),
    "Data": ("check-corpus", "synthesize", "make-recola-standin", "quadrants", "human-ceiling"),
    "Studies": ("reproduce", "ablate", "by-speakers", "cross-corpus", "transfer", "learn", "enhanced-ratings"),
}
_OPTIONS = ("--help", "--verbose", "--version")
_NO_COMMANDS = ("__init__", "ser", "start")


def main() -> None:
    """Run the command line's command and end the process with its exit code: the console command `ser`."""
    run(_main)


def _main() -> int | None:
    name, *words = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help", "help") and not (name == "help" and words):
        print(overview(shutil.get_terminal_size().columns if sys.stdout.isatty() else 1_000))
        return 0
    if name == "--version":
        print(f"speech-emotion-zoo {__version__}")
        return 0
    if name == "help":
        name, words = words[0], ["--help"]
    known = commands()
    if (name := name.replace("_", "-")) not in known:
        kind, near = ("option", _OPTIONS) if name.startswith("-") else ("command", known)
        raise UserError(f"ser: unknown {kind} {name!r}.{did_you_mean(name, near)} ser --help lists all commands")
    sys.argv = [f"ser {name}", *words]  # what argparse calls the program
    return start.command(name)()


def commands() -> dict[str, str]:
    """Return every command with the first line of its module's docstring. Imports none of them."""
    paths = {path.stem: path for path in sorted(FOLDER.glob("*.py")) if path.stem not in _NO_COMMANDS}
    for name, module in start.ELSEWHERE.items():
        paths[name] = FOLDER.parents[1].joinpath(*module.split(".")).with_suffix(".py")
    return {name.replace("_", "-"): first_line(path) for name, path in sorted(paths.items())}


def first_line(path: Path) -> str:
    """Return the first line of a module's docstring, which is the first line of the file."""
    with path.open(encoding="utf-8") as file:
        return file.readline().strip().strip('"').rstrip(".")


def overview(width: int) -> str:
    """Return the list of commands in groups, a line of at most `width` characters for each."""
    known = commands()
    groups = {title: [name for name in names if name in known] for title, names in GROUPS.items()}
    grouped = {name for names in groups.values() for name in names}
    groups["Other"] = [name for name in known if name not in grouped]
    blocks = [_block(title, {name: known[name] for name in names}, width) for title, names in groups.items() if names]
    opening = "usage: ser [--verbose] COMMAND ...\n\nRecognise emotion in speech. ser COMMAND --help explains one."
    options = "--verbose, with every command, shows the logs of TensorFlow and other libraries; --version, the version."
    return "\n\n".join([opening, *blocks, textwrap.fill(options, max(width, 40))])


def _block(title: str, lines: Mapping[str, str], width: int) -> str:
    room = max(width - 22, 20)
    shown = [f"  {name:<20}{textwrap.shorten(line, room, placeholder=' ...')}" for name, line in lines.items()]
    return "\n".join([f"{title}:", *shown])


if __name__ == "__main__":
    main()
