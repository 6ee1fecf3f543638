"""EmoDB, the Berlin database (Burkhardt et al. 2005): ten German actors speak ten sentences in seven emotions."""

import re
from pathlib import Path

from zoo.data.corpora.files import NO_EMOTION, NOT_NAMED, Loaded, collect
from zoo.data.schema import Clip

LAYOUT = "wav/03a01Fa.wav (speaker 03, text a01, emotion F, version a)"
INSIDE = ["wav/[0-9][0-9][a-z][0-9][0-9][A-Z].*", "wav/[0-9][0-9][a-z][0-9][0-9][A-Z][a-z].*"]
EMOTIONS = {
    "W": "anger",
    "L": "boredom",
    "E": "disgust",
    "A": "fear",
    "F": "happiness",
    "N": "neutral",
    "T": "sadness",
}

_NAME = re.compile(r"(?P<speaker>\d\d)[a-z]\d\d(?P<emotion>[A-Z])[a-z]?")


def load(root: Path) -> Loaded:
    """List the clips of EmoDB with the emotion's English name.

    Speakers are "03", "08" ... "16". Raises UserError for a folder without audio.
    """
    return collect(root, ("wav/*",), _read_clip)


def _read_clip(path: Path) -> Clip | str:
    match = _NAME.fullmatch(path.stem)
    if not match:
        return NOT_NAMED
    if match["emotion"] not in EMOTIONS:
        return NO_EMOTION
    return Clip(path, path.stem, match["speaker"], EMOTIONS[match["emotion"]])
