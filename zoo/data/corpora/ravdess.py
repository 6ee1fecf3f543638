"""Load RAVDESS (Livingstone and Russo 2018): 24 actors speak and sing two statements in eight emotions, audio only."""

import re
from pathlib import Path

from zoo.data.corpora.files import NO_EMOTION, Loaded, collect
from zoo.data.schema import Clip

LAYOUT = """\
Actor_{01-24}/03-01-06-01-02-01-12.wav (speech) or 03-02-... (song),
with or without Audio_Speech_Actors_01-24/ and Audio_Song_Actors_01-24/ above"""
INSIDE = ["Actor_[0-2][0-9]", "[Aa]udio_[Ss]*_[Aa]ctors_01-24/Actor_[0-2][0-9]"]
_WORDS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
EMOTIONS = {f"{code:02d}": word for code, word in enumerate(_WORDS, start=1)}
CHANNELS = {"01": "speech", "02": "song"}
INTENSITIES = {"01": "normal", "02": "strong"}
STATEMENTS = {"01": "kids", "02": "dogs"}  # "Kids are talking by the door", "Dogs are sitting by the door"

_NAME = re.compile(
    r"(?P<modality>0[1-3])-(?P<channel>0[12])-(?P<emotion>\d\d)-(?P<intensity>0[12])-(?P<statement>0[12])-0[12]-"
    r"(?P<actor>0[1-9]|1\d|2[0-4])"
)


def load(root: Path) -> Loaded:
    """List the audio-only clips of RAVDESS, speech and song, with the emotion's name.

    Speakers are "Actor_01" ... "Actor_24". Tags: channel ("speech" or "song"). Targets: sex (odd
    actors are male), intensity ("normal" or "strong") and statement ("kids" or "dogs"). Some public copies hold every
    clip twice; the second is listed in `duplicates`. Raises UserError for a folder without audio.
    """

    def read_clip(path: Path, name: re.Match[str]) -> Clip | str:
        if name["modality"] != "03":
            return "not the audio-only modality"
        if name["emotion"] not in EMOTIONS:
            return NO_EMOTION
        tags = {"channel": CHANNELS[name["channel"]]}
        facts = _facts(name)
        return Clip(path, path.stem, f"Actor_{name['actor']}", EMOTIONS[name["emotion"]], tags, targets=facts)

    return collect(root, [f"{actors}/*" for actors in INSIDE], _NAME, read_clip)


def facts_of(clip: str) -> dict[str, str]:
    """Return sex, intensity and statement by a clip's name, as `load` does; nothing for a name of another form."""
    match = _NAME.fullmatch(clip)
    return _facts(match) if match else {}


def _facts(name: re.Match[str]) -> dict[str, str]:
    sex = "male" if int(name["actor"]) % 2 else "female"
    return {"sex": sex, "intensity": INTENSITIES[name["intensity"]], "statement": STATEMENTS[name["statement"]]}
