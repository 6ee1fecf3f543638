"""Convert ratings of arousal and valence to quadrants, and classes of emotion to points and quadrants.

Angles of emotions are those of Russell 1980 (Journal of Personality and Social Psychology 39(6), Figure 2: 28 words in
a circle, by Ross's method): 0 degrees is pleasure, 90 arousal. Surprised is his astonished, fearful his afraid. He has
no disgust. Neutral is the centre, which is ours, as is the radius of the neutral zone.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from zoo.data.schema import Clip
from zoo.errors import UserError

TARGET = "quadrant"
NEUTRAL = "neutral"
# By (arousal is positive, valence is positive).
QUADRANTS = {
    (True, True): "active-pleasant",
    (True, False): "active-unpleasant",
    (False, False): "passive-unpleasant",
    (False, True): "passive-pleasant",
}
ANGLES: Mapping[str, float] = {
    "happy": 7.8,
    "excited": 48.6,
    "surprised": 69.8,
    "angry": 99.0,
    "fearful": 116.0,
    "frustrated": 141.0,
    "sad": 207.5,
    "bored": 242.0,
    "tired": 267.7,
    "sleepy": 271.9,
    "calm": 316.2,
    "content": 323.0,
}
SOURCE = "Russell 1980 (Journal of Personality and Social Psychology 39(6), Figure 2); neutral in the centre"
RADIUS = 0.2  # of the neutral zone, on scales from -1 to 1


def quadrant(arousal: float, valence: float, radius: float = RADIUS) -> str:
    """Return the quadrant of a point, arousal and valence in -1..1; neutral nearer to the centre than `radius`.

    A point on an axis belongs to the positive side.

    >>> quadrant(0.5, 0.5), quadrant(-0.5, -0.1), quadrant(0.1, 0.1)
    ('active-pleasant', 'passive-unpleasant', 'neutral')

    Raises ValueError for numbers outside -1..1 and NaN.
    """
    for name, value in (("arousal", arousal), ("valence", valence)):
        if not -1 <= value <= 1:
            raise ValueError(f"{name} is {value}, expected -1 to 1")
    if math.hypot(arousal, valence) < radius:
        return NEUTRAL
    return QUADRANTS[arousal >= 0, valence >= 0]


def point(emotion: str) -> tuple[float, float]:
    """Return arousal and valence of an emotion, on the unit circle, or in its centre for neutral.

    >>> [round(value, 3) for value in point("sad")]  # sine and cosine of 207.5 degrees
    [-0.462, -0.887]

    Raises KeyError for an emotion without an angle.
    """
    if emotion == NEUTRAL:
        return 0.0, 0.0
    angle = math.radians(ANGLES[emotion])
    return math.sin(angle), math.cos(angle)


def centre(name: str) -> tuple[float, float]:
    """Return arousal and valence of a quadrant's middle, on the unit circle: the way back from a class to a point.

    >>> [round(value, 3) for value in centre("passive-pleasant")]
    [-0.707, 0.707]

    Raises KeyError for another name.
    """
    if name == NEUTRAL:
        return 0.0, 0.0
    signs = {quadrant_name: signs for signs, quadrant_name in QUADRANTS.items()}[name]
    arousal, valence = (math.sqrt(0.5) if positive else -math.sqrt(0.5) for positive in signs)
    return arousal, valence


def rescaled(value: float, low: float, high: float) -> float:
    """Return a rating on a scale from `low` to `high` as one from -1 to 1.

    >>> rescaled(4, 1, 5)
    0.5

    Raises ValueError for a rating outside its scale, and NaN.
    """
    if not low <= value <= high:
        raise ValueError(f"{value} is outside the scale from {low:g} to {high:g}")
    return 2 * (value - low) / (high - low) - 1


def labelled(
    clips: Sequence[Clip], scale: Sequence[float] = (-1.0, 1.0), radius: float = RADIUS
) -> tuple[list[Clip], list[str]]:
    """Return clips with their quadrant as label, and notes on those left out as they have none.

    It is that of the targets arousal and valence where a clip has both, numbers on `scale`, else that of its emotion.
    Targets arousal and valence, in -1..1, are added to a clip of an emotion. Raises UserError for a rating outside the
    scale.
    """
    found: list[Clip] = []
    without: Counter[str] = Counter()
    for clip in clips:
        rated = [clip.targets.get(name) for name in ("arousal", "valence")]
        if all(isinstance(value, (int, float)) for value in rated):
            try:
                arousal, valence = (rescaled(float(value), *scale) for value in rated)  # type: ignore[arg-type]
            except ValueError as error:
                raise UserError(
                    f"{clip.name}: its arousal or valence {error}. Give the scale of the ratings with --rating-scale "
                    "LOW HIGH, or correct the table"
                ) from error
        elif clip.label == NEUTRAL or clip.label in ANGLES:
            arousal, valence = point(clip.label)
        else:
            without[clip.label] += 1
            continue
        name = quadrant(round(arousal, 12), round(valence, 12), radius)
        found.append(replace(clip, label=name, targets={**clip.targets, "arousal": arousal, "valence": valence}))
    notes = [f"{count} clips of {label or 'no emotion'} have no quadrant" for label, count in sorted(without.items())]
    return found, notes
