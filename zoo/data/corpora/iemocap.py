"""IEMOCAP (Busso et al. 2008): five dyadic sessions of improvised and scripted dialogues, labelled by utterance."""

import re
from pathlib import Path

from zoo.data.corpora.files import Loaded, broken_line, collect, label_lines, wrong_layout
from zoo.data.schema import Clip
from zoo.errors import UserError

LAYOUT = """\
IEMOCAP_full_release/Session{1-5}/sentences/wav/<dialog>/<utterance>.wav
IEMOCAP_full_release/Session{1-5}/dialog/EmoEvaluation/<dialog>.txt"""
CODES = ("neu", "hap", "ang", "sad", "exc", "fru", "fea", "sur", "dis", "oth", "xxx")

# The letter after "Ses01" says who wore the motion-capture markers; the last letter group says who speaks.
_NAME = re.compile(r"Ses0(?P<session>[1-5])[FM]_(?P<kind>impro|script)\w+_(?P<gender>[FM])[A-Z]*\d+")
_NUMBER = r"\s*(\d+(?:\.\d*)?)\s*"
_LABEL = re.compile(rf"\[{_NUMBER}-{_NUMBER}\]\s+(\w+)\s+(\w+)\s+\[{_NUMBER},{_NUMBER},{_NUMBER}\]")
_RATER = re.compile(r"[A-Z]-\w+\s*:")
_EXPECTED = "'[start - end] utterance code [valence, activation, dominance]', a rater's line 'C-E1: ...' or '% ...'"


def locate(root: Path) -> Path | None:
    """Returns the folder that holds Session1 ... Session5 (`root` itself), or None if this is not IEMOCAP."""
    inside = ("Session[1-5]/sentences/wav", "Session[1-5]/dialog/EmoEvaluation")
    return root if any(any(root.glob(pattern)) for pattern in inside) else None


def load(root: Path) -> Loaded:
    """Lists the utterances of IEMOCAP with the majority label (one of `CODES`).

    Speakers are "Ses01F" ... "Ses05M". Tags: session ("1".."5"), kind ("impro" or "script"), dialog, gender ("female"
    or "male"), and valence, activation, dominance (1 to 5, the raters' mean, as written in the file).

    Raises UserError for another layout, a label line that cannot be read, and a tree without labels or audio.
    """
    if locate(root) is None:
        raise wrong_layout(root, LAYOUT)
    labels = _read_labels(root)

    def read_clip(path: Path) -> Clip | str:
        if not _NAME.fullmatch(path.stem):
            return "name not of this corpus"
        return _clip(path, *labels[path.stem]) if path.stem in labels else "no line in the label files"

    return collect(root, ("Session[1-5]/sentences/wav/*/*",), read_clip, labels)


def _read_labels(root: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Returns utterance -> (code, its three ratings) from every dialogue's file."""
    labels: dict[str, tuple[str, dict[str, str]]] = {}
    for path in sorted(root.glob("Session[1-5]/dialog/EmoEvaluation/*.txt")):
        if path.name.startswith("."):
            continue
        for number, line in label_lines(path):
            if line.startswith("%") or _RATER.match(line):
                continue
            match = _LABEL.fullmatch(line)
            if not match or not _NAME.fullmatch(match[3]):
                raise broken_line(path, number, line, _EXPECTED)
            if match[4] not in CODES:
                raise broken_line(path, number, line, f"a code among {', '.join(CODES)}")
            if match[3] in labels:
                raise broken_line(path, number, line, "each utterance once")
            labels[match[3]] = match[4], {"valence": match[5], "activation": match[6], "dominance": match[7]}
    if not labels:
        raise UserError(f"{root}: no labels found. Expected Session{{1-5}}/dialog/EmoEvaluation/<dialog>.txt.")
    return labels


def _clip(path: Path, code: str, ratings: dict[str, str]) -> Clip:
    match = _NAME.fullmatch(path.stem)
    assert match
    tags = {
        "session": match["session"],
        "kind": match["kind"],
        "dialog": path.stem.rpartition("_")[0],
        "gender": {"F": "female", "M": "male"}[match["gender"]],
        **ratings,
    }
    return Clip(path, path.stem, f"Ses0{match['session']}{match['gender']}", code, tags)
