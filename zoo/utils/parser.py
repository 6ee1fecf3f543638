"""Read command lines: one parser for all commands, with short help, and one line for a mistake.

A mistake raises UserError, which zoo.utils.cli shows as one message with exit code 2.
"""

import argparse
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NoReturn

from zoo.errors import UserError, did_you_mean, unknown
from zoo.utils.text import as_started

# Names of options of earlier versions and what they are called now, where a command has the new one.
RENAMED = {
    "--count": "--clips",
    "--format": "--sample-format",
    "--hop": "--hop-seconds",
    "--look-ahead": "--look-ahead-seconds",
    "--max-seconds": "--max-clip-seconds",
    "--on": "--side",
    "--rate": "--rate-hz",
    "--scale": "--rating-scale",
    "--window": "--window-seconds",
    "--without-keras": "--forms onnx",
    "--without-onnx": "--forms keras",
}
_UNITS = ("hz", "ms", "seconds")
_VERBOSE = "show the logs of TensorFlow and other libraries"
_EXAMPLES = 3  # in short help
# Messages of argparse, and what they are here.
_IN_WORDS = {
    r"^the following arguments are required: (.*)": r"\1 is missing",
    r": invalid int value: (.*)": r" is \1, expected a whole number",
    r": invalid float value: (.*)": r" is \1, expected a number",
    r": expected (one|at least one) argument$": ": expected a value, found none",
    r": expected (\d+) arguments$": r": expected \1 values",
    r": ignored explicit argument (.*)": r" takes no value, found \1",
    r": not allowed with argument (.*)": r" and \1 exclude each other; give one of them",
}


class Parser(argparse.ArgumentParser):
    """A parser of options that are written out; abbreviations are refused, and a typo gets a suggestion.

    gone: what to say of an option that no longer is, by its name, as in {"--enhance": "was moved to ..."}.
    heeds: tells for a network and a destination whether the option has an effect; for --help --model NAME.
    """

    def __init__(self, **options: Any):
        super().__init__(**{"formatter_class": _Formatter, "allow_abbrev": False, **options})
        # zoo.utils.cli takes it, wherever it is; here for help and suggestions.
        self.add_argument("--verbose", action="store_true", default=argparse.SUPPRESS, help=_VERBOSE)
        self.gone: dict[str, str] = {}
        self.heeds: Callable[[str, str], bool] | None = None
        self._rare: set[str] = set()

    def hide(self, names: Collection[str]) -> None:
        """Leave options of these destinations out of --help; --help-all shows them."""
        if not self._rare:
            self.usage = "%(prog)s [options]"
            self.add_argument("--help-all", action="help", help="show all options and exit")
        self._rare |= set(names)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        words = sys.argv[1:] if args is None else args
        self._look_at(words)
        return self._all_read(words, *self.parse_known_args(args, namespace))

    def parse_intermixed_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        words = sys.argv[1:] if args is None else args
        self._look_at(words)
        return self._all_read(words, *self.parse_known_intermixed_args(args, namespace))

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^argument (\S*?/)?", "", message)
        for pattern, words in _IN_WORDS.items():
            message = re.sub(pattern, words, message)
        raise UserError(f"{message}. {self._pointer()}")

    def _all_read(self, words: Sequence[str], found: Any, rest: Sequence[str]) -> Any:
        """Return what was found. Raise UserError where words are left that belong to no option."""
        if rest:
            place = max(number for number, word in enumerate(words) if word == rest[0])
            options = [number for number, word in enumerate(words[:place]) if word.startswith("--")]
            behind = f" behind {' '.join(words[options[-1] : place])}" if options else ""
            self.error(f"{rest[0]!r} is unexpected{behind}")
        return found

    def _pointer(self) -> str:
        return f"{self.prog} --help{'-all' if self._rare else ''} lists all options"

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            name = action.option_strings[-1] if action.option_strings else str(action.metavar or action.dest).lower()
            raise unknown(name, str(value), map(str, action.choices))

    def _look_at(self, words: Sequence[str]) -> None:
        """Show help where the words ask for it. Raise UserError for an option that is not known.

        argparse would name an absent argument before a misspelt option, and cannot know which --model help is for.
        """
        words = words[: words.index("--")] if "--" in words else words
        for number, word in enumerate(words):
            name = word.partition("=")[0]
            command = self._commands().get(word)
            if command:
                return command._look_at(words[number + 1 :])
            if name in ("-h", "--help") or (name == "--help-all" and self._rare):
                print(self._help(words, all_of_it=name == "--help-all"), end="")
                self.exit()
            if name.startswith("--") and " " not in name and name not in self._option_string_actions:
                self._refuse(name, words)
        return None

    def _refuse(self, name: str, words: Sequence[str]) -> NoReturn:
        if name in self.gone:
            raise UserError(f"{name} {self.gone[name]}")
        known = [option for option in self._option_string_actions if option.startswith("--")]
        if RENAMED.get(name, "").partition(" ")[0] in known:
            raise UserError(f"{name} is now called {RENAMED[name]}")
        raise UserError(f"unknown option {name}.{did_you_mean(name, known)} {self._pointer()}")

    def _commands(self) -> Mapping[str, "Parser"]:
        found = [action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        return found[0] if found else {}

    def _help(self, words: Sequence[str], all_of_it: bool) -> str:
        """Return all of the help, that of --model NAME in the words, or the short one."""
        if all_of_it or not self._rare:
            return as_started(self.prog, self.format_help())
        model = _value("--model", words) if self.heeds else None
        formatter = self._get_formatter()
        formatter.add_usage(self.usage, self._actions, self._mutually_exclusive_groups)
        formatter.add_text(_beginning(self.description or ""))
        if model:
            for group in self._action_groups:
                formatter.start_section(group.title)
                formatter.add_arguments([one for one in group._group_actions if self._heeded(model, one)])
                formatter.end_section()
        else:
            formatter.start_section("options")
            formatter.add_arguments(
                [one for one in self._actions if one.dest not in self._rare and "-h" not in one.option_strings]
            )
            formatter.end_section()
        formatter.add_text(self._where_more_is(model))
        return as_started(self.prog, formatter.format_help())

    def _heeded(self, model: str, action: argparse.Action) -> bool:
        return self.heeds is None or self.heeds(model, action.dest)

    def _where_more_is(self, model: str | None) -> str:
        n_options = sum(bool(one.option_strings) and one.help != argparse.SUPPRESS for one in self._actions)
        lines = [f"{self.prog} --help-all explains all {n_options} options."]
        if self.heeds and not model:
            lines += [f"{self.prog} --help --model NAME explains those that have an effect on a network."]
        return "\n".join(lines)


class Numbers(argparse.Action):
    """Whole numbers, apart by spaces or commas: --seeds 0 1 2 and --seeds 0,1,2."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        words = [word for value in values for word in value.split(",")]
        if not all(re.fullmatch(r" *-?\d+ *", word) for word in words):
            parser.error(f"{option_string} is {' '.join(values)!r}, expected whole numbers")
        setattr(namespace, self.dest, [int(word) for word in words])


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Formats help with short names of values, so that most options take one line."""

    def __init__(self, prog: str, **options: Any):
        super().__init__(prog, **{"max_help_position": 28, **options})

    def _get_default_metavar_for_optional(self, action: argparse.Action) -> str:
        unit = action.dest.rpartition("_")[2]
        if action.type not in (int, float) or unit in _UNITS:
            return unit.upper() if unit in _UNITS else action.dest.upper()
        return "N" if action.type is int else "X"


def _value(name: str, words: Sequence[str]) -> str | None:
    """Return the value of an option in a command line, None without it."""
    for number, word in enumerate(words):
        if word.startswith(f"{name}="):
            return word.partition("=")[2]
        if word == name and number + 1 < len(words):
            return words[number + 1]
    return None


def _beginning(description: str) -> str:
    """Return the first paragraph of a command's description and the first of its examples, which are indented."""
    first, _, rest = description.partition("\n\n")
    examples = [line for line in rest.split("\n\n")[0].splitlines() if line.startswith("    ")][:_EXAMPLES]
    return "\n".join([first, *([""] if examples else []), *examples])
