"""Define the row of a window of a recording: the one schema of JSON, CSV, reports and the web page."""

from collections.abc import Mapping
from typing import Any, TypedDict

MIX = "mix"


class Quality(TypedDict):
    """What the audio of a window is like, as stored in its file.

    `level_dbfs` is the level (root mean square) in dB of full scale, `clipped_share` the share of samples (0..1) at
    full scale, `bandwidth_hz` the highest frequency with sound in it, `notes` sentences about what may lower the
    quality of a prediction. Values are None where there is no sound.
    """

    level_dbfs: float | None
    clipped_share: float | None
    bandwidth_hz: float | None
    notes: list[str]


class _Optional(TypedDict, total=False):
    targets: dict[str, Any]
    speaker: str | None


class Segment(_Optional):
    """A window of a recording, or a clip, with its emotion; the keys are in this order.

    `channel` counts from 0, or is "mix", the mean of all channels. `start` and `end` are seconds from the file's
    beginning, both None where a clip is classified whole. `emotion` and `probabilities` are None where `reason` says
    why; `confidence` and `abstained` are as in zoo.inference.confidence. `speech_seconds` is how much of it is speech.
    A model of several targets adds "targets" behind `quality`.
    """

    file: str
    channel: int | str
    start: float | None
    end: float | None
    emotion: str | None
    probabilities: dict[str, float | None]
    confidence: float | None
    abstained: bool | None
    reason: str | None
    speech_seconds: float | None
    quality: Quality
    trained_on: str


class RatedSegment(_Optional):
    """A window of a recording, or a clip, with a rating for each dimension; the other keys are those of `Segment`."""

    file: str
    channel: int | str
    start: float | None
    end: float | None
    ratings: dict[str, float | None]
    reason: str | None
    speech_seconds: float | None
    quality: Quality
    trained_on: str


Row = Segment | RatedSegment
KEYS = tuple(key for key in Segment.__annotations__ if key not in _Optional.__annotations__)


def placed(row: Mapping[str, Any], place: Mapping[str, Any], speech_seconds: float, quality: Quality) -> Row:
    """Return a row of zoo.inference.predictor as one of this schema; `place` has file, channel, start and end."""
    facts = {"speech_seconds": round(speech_seconds, 3), "quality": quality}
    targets = {"targets": row["targets"]} if "targets" in row else {}
    keys = RatedSegment.__annotations__ if "ratings" in row else Segment.__annotations__
    found = {**{key: row.get(key) for key in keys if key not in _Optional.__annotations__}, **place, **facts}
    trained_on = found.pop("trained_on")
    return {**found, **targets, "trained_on": trained_on}  # type: ignore[typeddict-item, return-value]


def flat_quality(quality: Mapping[str, Any]) -> dict[str, Any]:
    """Return a quality as columns of a table; notes become one text."""
    return {**quality, "notes": " ".join(quality["notes"])}
