"""CREMA-D (Cao et al. 2014): 91 actors speak twelve sentences in six emotions; crowd raters voted on each clip."""

import csv
import re
from pathlib import Path

from zoo.data.corpora.files import Loaded, broken_line, collect, label_lines, wrong_layout
from zoo.data.schema import Clip

LAYOUT = """\
AudioWAV/1001_DFA_ANG_XX.wav
processedResults/summaryTable.csv (for the voice votes)"""
EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
VOTES = {code[0]: name for code, name in EMOTIONS.items()}
LEVELS = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified"}

_NAME = re.compile(r"(?P<actor>1\d\d\d)_(?P<sentence>[A-Z]{3})_(?P<emotion>[A-Z]{3})_(?P<level>LO|MD|HI|XX|X)")
_VOTE = re.compile(r"[ADFHNS](:[ADFHNS])*")


def locate(root: Path) -> Path | None:
    """Returns `root` if its folder AudioWAV/ holds a file named as CREMA-D names them."""
    return root if any(_NAME.fullmatch(path.stem) for path in root.glob("AudioWAV/*")) else None


def load(root: Path) -> Loaded:
    """Lists the clips of CREMA-D with the emotion the actor was asked for.

    Speakers are "1001" ... "1091". Tags: sentence ("DFA"), level ("low", "medium", "high", "unspecified") and, where
    processedResults/summaryTable.csv has the clip, voice: the emotion most raters heard in the audio alone, "" for a
    tie. The two agree in 3,099 of 7,442 clips.

    Raises UserError for another layout, a broken line of the votes, and a tree without audio.
    """
    if locate(root) is None:
        raise wrong_layout(root, LAYOUT)
    table = root / "processedResults" / "summaryTable.csv"
    votes = _read_votes(table) if table.exists() else {}

    def read_clip(path: Path) -> Clip | str:
        match = _NAME.fullmatch(path.stem)
        if not match:
            return "name not of this corpus"
        if match["emotion"] not in EMOTIONS:
            return "unknown emotion code"
        name = _modern(path.stem)
        tags = {"sentence": match["sentence"], "level": LEVELS[_modern(match["level"])]}
        if name in votes:
            tags["voice"] = VOTES.get(votes[name], "")
        return Clip(path, name, match["actor"], EMOTIONS[match["emotion"]], tags)

    return collect(root, ("AudioWAV/*",), read_clip, votes)


def _modern(name: str) -> str:
    """Old copies hold 1040_ITH_SAD_X, newer ones and some tables 1040_ITH_SAD_XX: one clip, one name."""
    return re.sub(r"(^|_)X$", r"\1XX", name)


def _read_votes(path: Path) -> dict[str, str]:
    """Returns clip -> its voice vote, one letter, or several joined by colons for a tie."""
    lines = list(label_lines(path))
    header = next(csv.reader([lines[0][1]])) if lines else []
    if not {"FileName", "VoiceVote"} <= set(header):
        raise broken_line(path, 1, lines[0][1] if lines else "", "a header with the columns FileName and VoiceVote")
    votes: dict[str, str] = {}
    for number, line in lines[1:]:
        row = dict(zip(header, next(csv.reader([line])), strict=False))
        name, vote = _modern(row.get("FileName", "")), row.get("VoiceVote", "")
        if not _NAME.fullmatch(name) or not _VOTE.fullmatch(vote):
            raise broken_line(path, number, line, "a FileName like 1001_DFA_ANG_XX and a VoiceVote like A or A:N")
        if name in votes:
            raise broken_line(path, number, line, "each FileName once")
        votes[name] = vote
    return votes
