"""Load IEMOCAP (Busso et al. 2008): five sessions of improvised and scripted dialogues, labelled by utterance."""

import re
from pathlib import Path

from zoo.data.corpora.files import NOT_LABELLED, Loaded, collect, label_lines
from zoo.data.schema import Clip
from zoo.errors import UserError

LAYOUT = """\
IEMOCAP_full_release/Session{1-5}/sentences/wav/<dialog>/<utterance>.wav
IEMOCAP_full_release/Session{1-5}/dialog/EmoEvaluation/<dialog>.txt"""
INSIDE = ["Session[1-5]/sentences/wav", "Session[1-5]/dialog/EmoEvaluation"]
CODES = ("neu", "hap", "ang", "sad", "exc", "fru", "fea", "sur", "dis", "oth", "xxx")

# The letter after "Ses01" is of who wore the motion-capture markers; the last group of letters is of who speaks.
_NAME = re.compile(r"Ses0(?P<session>[1-5])[FM]_(?P<kind>impro|script)\w+_(?P<gender>[FM])[A-Z]*\d+")
_NUMBER = r"\s*(\d+(?:\.\d*)?)\s*"
_LABEL = re.compile(rf"\[{_NUMBER}-{_NUMBER}\]\s+(\w+)\s+(\w+)\s+\[{_NUMBER},{_NUMBER},{_NUMBER}\]")
_RATER = re.compile(r"[A-Z]-\w+\s*:")


def load(root: Path) -> Loaded:
    """List the utterances of IEMOCAP with the majority label (one of `CODES`).

    Speakers are "Ses01F" ... "Ses05M". Tags: session ("1".."5"), kind ("impro" or "script"), and valence, activation,
    dominance (1 to 5, the raters' mean, as written in the file), which are targets too, beside sex. `seconds` is the
    utterance's length in its dialogue.

    Raises UserError for a label line that cannot be read, and a folder without labels or audio.
    """
    labels = _read_labels(root)

    def read_clip(path: Path, name: re.Match[str]) -> Clip | str:
        if path.stem not in labels:
            return NOT_LABELLED
        start, end, code, *ratings = labels[path.stem]
        tags = {"session": name["session"], "kind": name["kind"]}
        rated = dict(zip(("valence", "activation", "dominance"), ratings, strict=True))
        targets = {"sex": "female" if name["gender"] == "F" else "male", **{key: float(rated[key]) for key in rated}}
        speaker, seconds = f"Ses0{name['session']}{name['gender']}", float(end) - float(start)
        return Clip(path, path.stem, speaker, code, {**tags, **rated}, seconds=seconds, targets=targets)

    return collect(root, ("Session[1-5]/sentences/wav/*/*",), _NAME, read_clip, labels)


def _read_labels(root: Path) -> dict[str, tuple[str, ...]]:
    """Return utterance -> (start, end, code, valence, activation, dominance) from the files of all dialogues."""
    labels: dict[str, tuple[str, ...]] = {}
    files = sorted(root.glob("Session[1-5]/dialog/EmoEvaluation/*.txt"))
    for line in (line for path in files if not path.name.startswith(".") for line in label_lines(path)):
        if line.text.startswith("%") or _RATER.match(line.text):
            continue
        match = _LABEL.fullmatch(line.text)
        if not match or not _NAME.fullmatch(match[3]):
            raise line.broken("'[start - end] utterance code [valence, activation, dominance]', 'C-E1: ...' or '% ...'")
        if match[4] not in CODES:
            raise line.broken(f"a code among {', '.join(CODES)}")
        if match[3] in labels:
            raise line.broken("each utterance once")
        labels[match[3]] = match.group(1, 2, 4, 5, 6, 7)
    if not labels:
        raise UserError(f"{root}: no labels found. Expected Session{{1-5}}/dialog/EmoEvaluation/<dialog>.txt.")
    return labels
