"""The corpora a user can name, where each is obtained, and how its folder is found."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from zoo.data import elsewhere
from zoo.data.corpora import aibo, cremad, emodb, emotion_in_music, iemocap, names, ravdess, recola
from zoo.data.corpora.files import Loaded
from zoo.data.tables import table
from zoo.errors import UserError, spelt, unknown

DATA_ROOT_VARIABLE = "SPEECH_CORPORA"


class Loader(Protocol):
    """What the module of a corpus holds: its layout in words, and globs of which one at least is in its folder."""

    LAYOUT: str
    INSIDE: list[str]

    def load(self, root: Path) -> Loaded: ...


@dataclass(frozen=True)
class Corpus:
    """A row of `CORPORA`."""

    title: str
    licence: str
    address: str
    loader: Loader
    folders: tuple[str, ...]  # usual names of its folder below $SPEECH_CORPORA
    n_clips: int  # labelled ones in its release
    rate_hz: int = 16_000  # of its release
    nested: tuple[str, ...] = ()  # folders in which it may begin
    max_seconds: float = 60.0  # a longer clip is a mistake
    rating_seconds: float = 0.0  # step of continuous ratings, 0 without
    other_releases: Mapping[int, str] = field(default_factory=dict)  # their names by number of clips

    def locate(self, root: Path) -> Path | None:
        """Return the folder that the corpus begins in, or None if `root` is not laid out like it."""
        homes = (root, *(root / folder for folder in self.nested))
        return next((home for home in homes if any(any(home.glob(name)) for name in self.loader.INSIDE)), None)


CORPORA = {
    "iemocap": Corpus(
        title="IEMOCAP",
        licence="free for research, signed release form",
        address="https://sail.usc.edu/iemocap/",
        loader=iemocap,
        folders=("IEMOCAP_full_release", "IEMOCAP", "iemocap"),
        n_clips=10_039,
    ),
    "aibo": Corpus(
        title="FAU Aibo (Interspeech 2009 emotion challenge)",
        licence="free for research, signed licence",
        address="https://www5.cs.fau.de/en/our-team/steidl-stefan/fau-aibo-emotion-corpus/",
        loader=aibo,
        nested=("IS2009EmotionChallenge", "IS2009EmotionChallenge/IS2009EmotionChallenge"),
        folders=("IS2009EmotionChallenge", "FAU_Aibo", "aibo"),
        n_clips=18_216,
    ),
    "ravdess": Corpus(
        title="RAVDESS",
        licence="CC BY-NC-SA 4.0",
        address="https://zenodo.org/records/1188976",
        loader=ravdess,
        folders=("RAVDESS", "ravdess", "Audio_Speech_Actors_01-24"),
        rate_hz=48_000,
        n_clips=1_440 + 1_012,  # speech and song, two archives
    ),
    "emodb": Corpus(
        title="EmoDB",
        licence="free for research",
        address="http://emodb.bilderbar.info/",
        loader=emodb,
        folders=("EmoDB", "emodb", "EMODB"),
        n_clips=535,
        other_releases={816: "EmoDB 2.0"},
    ),
    "cremad": Corpus(
        title="CREMA-D",
        licence="Open Database License (ODbL) 1.0",
        address="https://github.com/CheyneyComputerScience/CREMA-D",
        loader=cremad,
        folders=("CREMA-D", "cremad", "CREMAD"),
        n_clips=7_442,
    ),
    "recola": Corpus(
        title="RECOLA",
        licence="free for research, signed licence",
        address="https://diuf.unifr.ch/main/diva/recola/",
        loader=recola,
        folders=("RECOLA", "recola", "AVEC_2016", "RECOLA_2016"),
        n_clips=18,  # the rated ones of AVEC's parts
        max_seconds=3_600.0,
        rating_seconds=0.04,
    ),
    "mediaeval_music": Corpus(
        title="Emotion in Music (MediaEval 2013)",
        licence="free for research, songs under Creative Commons",
        address="https://cvml.unige.ch/databases/emoMusic/",
        loader=emotion_in_music,
        folders=("emoMusic", "mediaeval_music", "1000Songs", "emoMusic45s"),
        rate_hz=44_100,
        n_clips=744,
        rating_seconds=0.5,
    ),
}


def get(name: str) -> Corpus:
    """Return the row of a corpus, or that of a user's table; UserError lists the known ones."""
    if names.is_table(name):
        title = " ".join(filter(None, ["a table" if name == names.TABLE else "the table", name.partition(":")[2]]))
        return Corpus(title, "that of its owner", "own recordings", table, folders=(), n_clips=0, rate_hz=0)
    name = spelt(name, CORPORA)
    if name not in CORPORA:
        if found := elsewhere.find(name):
            return found.CORPUS
        raise unknown("corpus", name, [*CORPORA, *elsewhere.names(), "table", "table:PATH"])
    return CORPORA[name]


def as_spelt(corpus: str) -> str:
    """Return a value of --corpus with the names of corpora as they are written here: RAVDESS+EmoDB is ravdess+emodb."""
    parts = [word.partition(":") for word in corpus.split(names.SEPARATOR)]
    return names.SEPARATOR.join(spelt(kind, (*CORPORA, names.TABLE)) + colon + place for kind, colon, place in parts)


def in_plain_text() -> str:
    """Return the known corpora as the command line lists them."""
    rows = [f"  {name:16}{row.title}" for name, row in CORPORA.items()]
    return "\n".join(["corpora (--corpus):", *rows, f"  {'table[:PATH]':16}recordings of your own"])


def load(name: str, root: Path) -> Loaded:
    """List the clips of corpus `name` under `root`; UserError for an unknown name or what the loader cannot read."""
    corpus = get(name)
    home = corpus.locate(root)
    if home is None:
        raise UserError(f"{root}: not laid out as expected. Expected:", corpus.loader.LAYOUT)
    return corpus.loader.load(home)


def resolve_root(name: str, data_root: Path | None) -> Path:
    """Return the folder of corpus `name`: `data_root`, or the corpus's usual folder below $SPEECH_CORPORA.

    The nestings a corpus is usually unpacked with are accepted; anything else is refused with UserError: nothing
    given, a missing or empty folder, the parent or a child of the right one, another corpus.
    """
    corpus = get(name)
    how_to_obtain = (
        f"{corpus.title} ({corpus.licence}) is obtained from {corpus.address}\nLayout expected:\n{corpus.loader.LAYOUT}"
        "\nWithout the corpus, --synthetic tries the recipe on a synthetic twin of it."
    )
    root = data_root or _below_variable(corpus, how_to_obtain)
    expected = f"{root}: expected the folder of {corpus.title}, found"
    if not root.exists():
        raise UserError(f"{expected} nothing.", how_to_obtain)
    if not root.is_dir():
        raise UserError(f"{expected} a file. Unpack it and give its folder.")
    try:
        names = sorted(path.name for path in root.iterdir())
    except PermissionError as error:
        raise UserError(f"{root}: the folder may not be read. Change its permissions.") from error
    if all(name.startswith(".") for name in names):
        raise UserError(f"{expected} an empty folder.", how_to_obtain)
    home = corpus.locate(root)
    if home is None:
        found = _what_it_is_instead(root, corpus) or f"this is not {corpus.title}: found {', '.join(names[:5])}."
        raise UserError(f"{root}: {found}", f"Expected for {corpus.title}:\n{corpus.loader.LAYOUT}")
    return home


def _below_variable(corpus: Corpus, how_to_obtain: str) -> Path:
    base = os.environ.get(DATA_ROOT_VARIABLE)
    give = f"Give the folder of {corpus.title} with --data-root DIR"
    if not base:
        give += f", or set {DATA_ROOT_VARIABLE} to the folder that holds all corpora"
        raise UserError(f"no folder given for {corpus.title}. {give}.", how_to_obtain)
    for folder in corpus.folders:
        if Path(base, folder).is_dir():
            return Path(base, folder)
    expected = f"expected a folder {' or '.join(corpus.folders)} in it, found none"
    raise UserError(f"{DATA_ROOT_VARIABLE}={base}: {expected}. {give}, or put it there.", how_to_obtain)


def _what_it_is_instead(root: Path, corpus: Corpus) -> str:
    """Say what a folder that is not the corpus's seems to be, and what to give instead; "" if that is unknown."""
    for name, other in CORPORA.items():
        if other.locate(root):
            return f"this looks like {other.title}, not {corpus.title}. Give its own folder or --corpus {name}."
    if children := [str(child) for child in sorted(root.iterdir()) if child.is_dir() and corpus.locate(child)]:
        return f"this is above the corpus's folder. Did you mean {' or '.join(children)}?"
    for parent in list(root.resolve().parents)[:4]:  # IEMOCAP's wav folders are four levels below its own
        if corpus.locate(parent):
            return f"this is inside the corpus's folder. Did you mean {parent}?"
    return ""
