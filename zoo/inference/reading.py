"""Choose how recordings become rows: whole or in windows, by channel, with or without a test for speech."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

from zoo.errors import UserError, unknown
from zoo.utils.text import printable

CHANNELS = ("mix", "split", "left", "right")
SEGMENTS = ("auto", "always", "never")
CLIP_SECONDS = 30.0  # longer recordings are predicted in windows, unless told otherwise

OnMixed = Callable[[str, int], None]  # name of a recording and its number of channels


@dataclass(frozen=True)
class Reading:
    """How recordings become rows.

    `segments` is "auto" (windows of speech for recordings longer than `CLIP_SECONDS`, one row for others), "always" or
    "never"; `channels` "mix" (their mean), "split" (rows for each), "left" (the first) or "right" (the second).
    `any_sound` gives sound without speech an emotion too. Raises UserError for other values.
    """

    segments: str = SEGMENTS[0]
    channels: str = CHANNELS[0]
    any_sound: bool = False

    def __post_init__(self) -> None:
        if self.channels not in CHANNELS:
            raise unknown("channels", str(self.channels), CHANNELS)
        if self.segments not in SEGMENTS:
            raise unknown("segments", str(self.segments), SEGMENTS)

    @property
    def has_several_rows(self) -> bool:
        """Whether a recording may have more than one row."""
        return self.segments != "never" or self.channels == "split"

    def given(self) -> list[str]:
        """Return the flags that are not at their defaults, for a message."""
        changed = [name for name, value in asdict(self).items() if value != getattr(DEFAULT, name)]
        return [f"--{name.replace('_', '-')}" for name in changed]

    def check_ratings(self) -> None:
        """Raise UserError for options that models of ratings do not have."""
        if given := self.given():
            raise UserError(f"{', '.join(given)}: for classes of emotion, and this model rates frames; leave out")


DEFAULT = Reading()


def without_notice(name: str, channels: int) -> None:
    """Say nothing of channels that are mixed down."""


def add_flags(parser: argparse._ArgumentGroup) -> None:
    """Add the options of a `Reading`; `reading_of` reads them."""
    windows = f"a row per window of speech: auto (recordings over {CLIP_SECONDS:g} s), always, never (default: auto)"
    parser.add_argument("--segments", choices=SEGMENTS, default=SEGMENTS[0], help=windows)
    which = "mix (their mean), split (rows for each), left (the first), right (the second) (default: mix)"
    parser.add_argument("--channels", choices=CHANNELS, default=CHANNELS[0], help=which)
    other = "classify tones, music and noise too, which have no emotion else"
    parser.add_argument("--any-sound", action="store_true", help=other)


def reading_of(args: argparse.Namespace) -> Reading:
    """Return the options that a command line has."""
    return Reading(args.segments, args.channels, args.any_sound)


class MixedNotice:
    """Says once on standard error that channels are mixed down."""

    def __init__(self) -> None:
        self._said = False

    def __call__(self, name: str, channels: int) -> None:
        if not self._said:
            self._said = True
            how = "--channels split gives rows for each, left and right take one"
            print(
                f"{printable(name)}: {channels} channels are mixed down, as in every file with several; {how}",
                file=sys.stderr,
            )
