"""FAU Aibo as released for the Interspeech 2009 emotion challenge (Steidl 2009; Schuller, Steidl, Batliner 2009).

Children of two schools, Ohm (training) and Mont (test), speak to a robot dog; chunks carry one of two or five classes.
"""

import re
from pathlib import Path

from zoo.data.corpora.files import Loaded, broken_line, collect, label_lines, wrong_layout
from zoo.data.schema import Clip

LAYOUT = """\
IS2009EmotionChallenge/wav/<chunk>.wav
IS2009EmotionChallenge/labels/IS2009EmotionChallenge/chunk_labels_5cl_corpus.txt
IS2009EmotionChallenge/labels/IS2009EmotionChallenge/chunk_labels_2cl_corpus.txt (for two classes)"""
CLASSES_5 = ("A", "E", "N", "P", "R")
CLASSES_2 = ("NEG", "IDL")
PARTS = {"Ohm": "train", "Mont": "test"}

_NAME = re.compile(r"(?P<school>Ohm|Mont)_(?P<child>\d+)_\d+_\d+")
_CONFIDENCE = re.compile(r"\d*\.?\d+")


def locate(root: Path) -> Path | None:
    """Returns the folder that holds wav/ and labels/: `root`, or up to two IS2009EmotionChallenge inside it."""
    name = "IS2009EmotionChallenge"
    for home in (root, root / name, root / name / name):
        if (home / "labels" / name).is_dir():
            return home
    return None


def load(root: Path) -> Loaded:
    """Lists the chunks of FAU Aibo with their five-class label (`CLASSES_5`).

    Speakers are "Ohm_01", "Mont_25" ... Tags: part ("train" or "test"), confidence (of the five-class label, as
    written in the file) and, where the two-class file is there, label_2cl (`CLASSES_2`).

    Raises UserError for another layout, a label line that cannot be read, and a tree without labels or audio.
    """
    home = locate(root)
    if home is None:
        raise wrong_layout(root, LAYOUT)
    folder = home / "labels" / "IS2009EmotionChallenge"
    labels = _read_labels(folder / "chunk_labels_5cl_corpus.txt", CLASSES_5)
    two_class_file = folder / "chunk_labels_2cl_corpus.txt"
    labels_2cl = _read_labels(two_class_file, CLASSES_2) if two_class_file.exists() else {}

    def read_clip(path: Path) -> Clip | str:
        match = _NAME.fullmatch(path.stem)
        if not match:
            return "name not of this corpus"
        if path.stem not in labels:
            return "no line in the label files"
        label, confidence = labels[path.stem]
        tags = {"part": PARTS[match["school"]], "confidence": confidence}
        if path.stem in labels_2cl:
            tags["label_2cl"] = labels_2cl[path.stem][0]
        return Clip(path, path.stem, f"{match['school']}_{match['child']}", label, tags)

    return collect(home, ("wav/*",), read_clip, labels)


def _read_labels(path: Path, classes: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Returns chunk -> (class, confidence)."""
    labels: dict[str, tuple[str, str]] = {}
    for number, line in label_lines(path):
        fields = line.split()
        if len(fields) != 3 or not _NAME.fullmatch(fields[0]) or not _CONFIDENCE.fullmatch(fields[2]):
            raise broken_line(path, number, line, "'chunk class confidence', e.g. 'Mont_01_000_00 N 0.8'")
        chunk, label, confidence = fields
        if label not in classes:
            raise broken_line(path, number, line, f"a class among {', '.join(classes)}")
        if chunk in labels:
            raise broken_line(path, number, line, "each chunk once")
        labels[chunk] = label, confidence
    return labels
