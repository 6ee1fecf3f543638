"""Load EmoDB, the Berlin database (Burkhardt et al. 2005): ten German actors speak ten sentences in seven emotions."""

import re
from pathlib import Path

from zoo.data.corpora.files import NO_EMOTION, Loaded, collect
from zoo.data.schema import Clip

LAYOUT = "wav/03a01Fa.wav (speaker 03, text a01, emotion F, version a)"
INSIDE = ["wav/[0-9][0-9][a-z][0-9][0-9][A-Z].*", "wav/[0-9][0-9][a-z][0-9][0-9][A-Z][a-z].*"]
WORDS = ("anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness")
EMOTIONS = dict(zip("WLEAFNT", WORDS, strict=True))  # initials of the German words
# Sex and age in years of each speaker, as the corpus's page lists them.
SPEAKERS = {
    "03": ("male", 31),
    "08": ("female", 34),
    "09": ("female", 21),
    "10": ("male", 32),
    "11": ("male", 26),
    "12": ("male", 30),
    "13": ("female", 32),
    "14": ("female", 35),
    "15": ("male", 25),
    "16": ("female", 31),
}

_NAME = re.compile(r"(?P<speaker>\d\d)[a-z]\d\d(?P<emotion>[A-Z])[a-z]?")


def load(root: Path) -> Loaded:
    """List the clips of EmoDB with the emotion's English name; the speakers are "03", "08" ... "16".

    Targets: sex and age of the speaker, where `SPEAKERS` has them.

    Raises UserError for a folder without audio.
    """

    def read_clip(path: Path, name: re.Match[str]) -> Clip | str:
        emotion = EMOTIONS.get(name["emotion"])
        targets: dict[str, str | float] = {}
        if name["speaker"] in SPEAKERS:
            targets["sex"], targets["age"] = SPEAKERS[name["speaker"]]
        return Clip(path, path.stem, name["speaker"], emotion, targets=targets) if emotion else NO_EMOTION

    return collect(root, ("wav/*",), _NAME, read_clip)
