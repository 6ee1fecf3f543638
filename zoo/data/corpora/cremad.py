"""Load CREMA-D (Cao et al. 2014): 91 actors speak twelve sentences in six emotions; crowd raters voted on each clip."""

import re
from pathlib import Path

from zoo.data.corpora.files import NO_EMOTION, Loaded, collect, label_table
from zoo.data.schema import Clip
from zoo.data.votes import TARGET

LAYOUT = """\
AudioWAV/1001_DFA_ANG_XX.wav
processedResults/summaryTable.csv (for the voice votes)
processedResults/tabulatedVotes.csv (for the number of raters by emotion)
VideoDemographics.csv (for age and sex of the actors)"""
INSIDE = ["AudioWAV/1[0-9][0-9][0-9]_[A-Z][A-Z][A-Z]_[A-Z][A-Z][A-Z]_[HLMX]*"]
EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high"}  # of one sentence; the others' are not specified
VOTES = {code[0]: name for code, name in EMOTIONS.items()}
MODALITIES = {"1": "voice", "2": "face", "3": "both"}  # what raters had, by the first of six digits of a row's number
_COLUMNS = tuple(sorted(VOTES))

_NAME = re.compile(r"(?P<actor>1\d\d\d)_[A-Z]{3}_(?P<emotion>[A-Z]{3})_(?P<intensity>LO|MD|HI|XX|X)")


def load(root: Path) -> Loaded:
    """List the clips of CREMA-D with the emotion that the actor intended.

    Speakers are "1001" ... "1091". Tags: voice, where processedResults/summaryTable.csv has the clip: the emotion most
    raters chose from the audio alone, "" for a tie. The two agree in 3,099 of 7,442 clips. Votes: how many raters of
    the audio alone chose each emotion, where processedResults/tabulatedVotes.csv has the clip.

    Targets: intensity ("low", "medium" or "high") where it is specified, and sex and age in years where
    VideoDemographics.csv has the actor.

    Raises UserError for a broken line of the votes or the actors, and a folder without audio.
    """
    table, tabulated = (root / "processedResults" / name for name in ("summaryTable.csv", "tabulatedVotes.csv"))
    votes = _read_votes(table) if table.exists() else {}
    table = root / "VideoDemographics.csv"
    actors = _read_actors(table) if table.exists() else {}
    counted = read_counts(tabulated)["voice"] if tabulated.exists() else {}

    def read_clip(path: Path, match: re.Match[str]) -> Clip | str:
        if match["emotion"] not in EMOTIONS:
            return NO_EMOTION
        name = _modern(path.stem)
        tags = {"voice": VOTES.get(votes[name], "")} if name in votes else {}
        intensity = INTENSITIES.get(match["intensity"])
        targets = {**actors.get(match["actor"], {}), **({"intensity": intensity} if intensity else {})}
        counts = {TARGET: counted[name]} if name in counted else {}
        return Clip(path, name, match["actor"], EMOTIONS[match["emotion"]], tags, targets=targets, votes=counts)

    return collect(root, ("AudioWAV/*",), _NAME, read_clip, votes)


def read_counts(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Read tabulatedVotes.csv: what raters had ("voice", "face" or "both") -> clip -> emotion -> number of raters.

    Raises UserError for a line without a rater, and otherwise as `load`.
    """
    counted: dict[str, dict[str, dict[str, float]]] = {modality: {} for modality in MODALITIES.values()}
    for line, row in label_table(path, "", "fileName", *_COLUMNS):
        name, number = _modern(row.get("filename", "")), row.get("", "")
        if not _NAME.fullmatch(name) or not re.fullmatch(r"[123]\d{5}", number):
            raise line.broken("a number like 100001, of which 1 is voice, 2 face and 3 both, and a clip's fileName")
        values = line.numbers([row.get(letter.casefold(), "") for letter in _COLUMNS], "number of raters")
        if min(values) < 0 or sum(values) == 0:
            raise line.broken("numbers of raters, one at least")
        of_modality = counted[MODALITIES[number[0]]]
        if name in of_modality:
            raise line.broken("each fileName once for voice, face and both")
        of_modality[name] = {VOTES[letter]: value for letter, value in zip(_COLUMNS, values, strict=True) if value}
    return counted


def _modern(name: str) -> str:
    """Old copies hold 1040_ITH_SAD_X, newer ones and some tables 1040_ITH_SAD_XX: one clip, one name."""
    return re.sub(r"_X$", "_XX", name)


def _read_votes(path: Path) -> dict[str, str]:
    """Return clip -> its voice vote, one letter, or several joined by colons for a tie."""
    votes: dict[str, str] = {}
    for line, row in label_table(path, "FileName", "VoiceVote"):
        name, vote = _modern(row.get("filename", "")), row.get("voicevote", "")
        if not _NAME.fullmatch(name) or not set(vote.split(":")) <= VOTES.keys():
            raise line.broken("a FileName like 1001_DFA_ANG_XX and a VoiceVote like A or A:N")
        if name in votes:
            raise line.broken("each FileName once")
        votes[name] = vote
    return votes


def _read_actors(path: Path) -> dict[str, dict[str, str | float]]:
    """Return actor -> sex and age in years."""
    actors: dict[str, dict[str, str | float]] = {}
    for line, row in label_table(path, "ActorID", "Age", "Sex"):
        actor, sex = row.get("actorid", ""), row.get("sex", "").casefold()
        (age,) = line.numbers([row.get("age", "")], "actor")
        if not actor.isdecimal() or sex not in ("female", "male") or actor in actors:
            raise line.broken("each ActorID once, an Age, and a Sex, Female or Male")
        actors[actor] = {"sex": sex, "age": age}
    return actors
