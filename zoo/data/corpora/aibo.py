"""Load FAU Aibo as released for the Interspeech 2009 emotion challenge (Steidl 2009; Schuller, Steidl, Batliner 2009).

Children of two schools, Ohm (training) and Mont (test), speak to a robot dog; chunks carry one of two or five classes.
"""

import re
from pathlib import Path

from zoo.data.corpora.files import NOT_LABELLED, Loaded, collect, label_lines
from zoo.data.schema import Clip

LAYOUT = """\
IS2009EmotionChallenge/wav/<chunk>.wav
IS2009EmotionChallenge/labels/IS2009EmotionChallenge/chunk_labels_5cl_corpus.txt
IS2009EmotionChallenge/labels/IS2009EmotionChallenge/chunk_labels_2cl_corpus.txt (for two classes)"""
INSIDE = ["labels/IS2009EmotionChallenge"]
CLASSES = {"5cl": ("A", "E", "N", "P", "R"), "2cl": ("NEG", "IDL")}  # by label file
PARTS = {"Ohm": "train", "Mont": "test"}

_NAME = re.compile(r"(?P<school>Ohm|Mont)_(?P<child>\d+)_\d+_\d+")


def load(root: Path) -> Loaded:
    """List the chunks of FAU Aibo with their five-class label.

    Speakers are "Ohm_01", "Mont_25" ... Tags: part ("train" or "test"), confidence (of the five-class label, as
    written in the file) and, where the two-class file is there, label_2cl ("NEG" or "IDL").

    Raises UserError for a label line that cannot be read, and a folder without labels or audio.
    """
    folder = root / "labels" / "IS2009EmotionChallenge"
    labels = _read_labels(folder, "5cl")
    labels_2cl = _read_labels(folder, "2cl") if (folder / "chunk_labels_2cl_corpus.txt").exists() else {}

    def read_clip(path: Path, name: re.Match[str]) -> Clip | str:
        if path.stem not in labels:
            return NOT_LABELLED
        label, confidence = labels[path.stem]
        tags = {"part": PARTS[name["school"]], "confidence": confidence}
        if path.stem in labels_2cl:
            tags["label_2cl"] = labels_2cl[path.stem][0]
        return Clip(path, path.stem, f"{name['school']}_{name['child']}", label, tags)

    return collect(root, ("wav/*",), _NAME, read_clip, labels)


def _read_labels(folder: Path, scheme: str) -> dict[str, tuple[str, str]]:
    """Return chunk -> (class, confidence)."""
    labels: dict[str, tuple[str, str]] = {}
    for line in label_lines(folder / f"chunk_labels_{scheme}_corpus.txt"):
        match = re.fullmatch(rf"({_NAME.pattern})\s+(?P<label>\S+)\s+(?P<confidence>\d*\.?\d+)", line.text)
        if not match:
            raise line.broken("'chunk class confidence', e.g. 'Mont_01_000_00 N 0.8'")
        if match["label"] not in CLASSES[scheme]:
            raise line.broken(f"a class among {', '.join(CLASSES[scheme])}")
        if match[1] in labels:
            raise line.broken("each chunk once")
        labels[match[1]] = match["label"], match["confidence"]
    return labels
