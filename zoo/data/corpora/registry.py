"""The corpora a user can name, where each is obtained, and how its folder is found."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from zoo.data.corpora import aibo, cremad, emodb, emotion_in_music, iemocap, ravdess, recola
from zoo.data.corpora.files import Loaded
from zoo.errors import UserError, unknown

DATA_ROOT_VARIABLE = "SPEECH_CORPORA"


@dataclass(frozen=True)
class Corpus:
    """A row of `CORPORA`.

    `folders` are the names the corpus's folder usually has below $SPEECH_CORPORA. `rate_hz` is the sample rate of its
    release and `n_clips` the labelled clips in it. `locate` returns the folder the corpus starts in, or None if the
    given folder is not laid out like it; `load` lists its clips. A clip longer than `max_seconds` is a mistake.
    `rating_seconds` lie from one rating to the next where it is rated continuously.
    """

    name: str
    title: str
    licence: str
    address: str
    layout: str
    folders: tuple[str, ...]
    rate_hz: int
    n_clips: int
    locate: Callable[[Path], Path | None]
    load: Callable[[Path], Loaded]
    max_seconds: float = 60.0
    rating_seconds: float = 0.0


_ROWS = (
    Corpus(
        name="iemocap",
        title="IEMOCAP",
        licence="free for research, signed release form",
        address="https://sail.usc.edu/iemocap/",
        layout=iemocap.LAYOUT,
        folders=("IEMOCAP_full_release", "IEMOCAP", "iemocap"),
        rate_hz=16_000,
        n_clips=10_039,
        locate=iemocap.locate,
        load=iemocap.load,
    ),
    Corpus(
        name="aibo",
        title="FAU Aibo (Interspeech 2009 emotion challenge)",
        licence="free for research, signed licence",
        address="https://www5.cs.fau.de/en/our-team/steidl-stefan/fau-aibo-emotion-corpus/",
        layout=aibo.LAYOUT,
        folders=("IS2009EmotionChallenge", "FAU_Aibo", "aibo"),
        rate_hz=16_000,
        n_clips=18_216,
        locate=aibo.locate,
        load=aibo.load,
    ),
    Corpus(
        name="ravdess",
        title="RAVDESS",
        licence="CC BY-NC-SA 4.0",
        address="https://zenodo.org/records/1188976",
        layout=ravdess.LAYOUT,
        folders=("RAVDESS", "ravdess", "Audio_Speech_Actors_01-24"),
        rate_hz=48_000,
        n_clips=1_440 + 1_012,  # speech and song, two archives
        locate=ravdess.locate,
        load=ravdess.load,
    ),
    Corpus(
        name="emodb",
        title="EmoDB",
        licence="free for research",
        address="http://emodb.bilderbar.info/",
        layout=emodb.LAYOUT,
        folders=("EmoDB", "emodb", "EMODB"),
        rate_hz=16_000,
        n_clips=535,
        locate=emodb.locate,
        load=emodb.load,
    ),
    Corpus(
        name="cremad",
        title="CREMA-D",
        licence="Open Database License (ODbL) 1.0",
        address="https://github.com/CheyneyComputerScience/CREMA-D",
        layout=cremad.LAYOUT,
        folders=("CREMA-D", "cremad", "CREMAD"),
        rate_hz=16_000,
        n_clips=7_442,
        locate=cremad.locate,
        load=cremad.load,
    ),
    Corpus(
        name="recola",
        title="RECOLA",
        licence="free for research, signed licence",
        address="https://diuf.unifr.ch/main/diva/recola/",
        layout=recola.LAYOUT,
        folders=("RECOLA", "recola", "AVEC_2016", "RECOLA_2016"),
        rate_hz=16_000,
        n_clips=18,  # the rated ones of AVEC's parts
        locate=recola.locate,
        load=recola.load,
        max_seconds=3_600.0,
        rating_seconds=0.04,
    ),
    Corpus(
        name="mediaeval_music",
        title="Emotion in Music (MediaEval 2013)",
        licence="free for research, songs under Creative Commons",
        address="https://cvml.unige.ch/databases/emoMusic/",
        layout=emotion_in_music.LAYOUT,
        folders=("emoMusic", "mediaeval_music", "1000Songs", "emoMusic45s"),
        rate_hz=44_100,
        n_clips=744,
        locate=emotion_in_music.locate,
        load=emotion_in_music.load,
        rating_seconds=0.5,
    ),
)
CORPORA: dict[str, Corpus] = {row.name: row for row in _ROWS}


def get(name: str) -> Corpus:
    """Returns the row of a corpus; UserError lists the known ones."""
    if name not in CORPORA:
        raise unknown("corpus", name, CORPORA)
    return CORPORA[name]


def in_plain_text() -> str:
    """Returns the known corpora as the command line lists them."""
    return "\n".join(["corpora (--corpus):", *(f"  {row.name:16}{row.title}" for row in _ROWS)])


def load(name: str, root: Path) -> Loaded:
    """Lists the clips of corpus `name` under `root`; UserError for an unknown name or what the loader cannot read."""
    return get(name).load(root)


def resolve_root(name: str, data_root: Path | None) -> Path:
    """Returns the folder of corpus `name`: `data_root`, or the corpus's usual folder below $SPEECH_CORPORA.

    The nestings a corpus is usually unpacked with are accepted; anything else is refused with UserError: nothing
    given, a missing or empty folder, the parent or a child of the right one, another corpus.
    """
    corpus = get(name)
    root = _below_variable(corpus) if data_root is None else data_root
    _check_folder(root, corpus)
    home = corpus.locate(root)
    if home is None:
        raise UserError(f"{root}: {_what_it_is_instead(root, corpus)}\nExpected for {corpus.title}:\n{corpus.layout}")
    return home


def how_to_obtain(corpus: Corpus) -> str:
    """Returns the lines that say where a corpus comes from and how the recipe is tried without it."""
    return (
        f"{corpus.title} ({corpus.licence}) is obtained from {corpus.address}\n"
        f"Layout expected:\n{corpus.layout}\n"
        "Without the corpus, --synthetic tries the recipe on a synthetic twin of it."
    )


def _below_variable(corpus: Corpus) -> Path:
    base = os.environ.get(DATA_ROOT_VARIABLE, "")
    if not base:
        raise UserError(
            f"no folder given for {corpus.title}. Give it with --data-root DIR, or set {DATA_ROOT_VARIABLE} to the "
            f"folder that holds all corpora.\n{how_to_obtain(corpus)}"
        )
    for folder in corpus.folders:
        if Path(base, folder).is_dir():
            return Path(base, folder)
    raise UserError(
        f"{DATA_ROOT_VARIABLE}={base}: expected a folder {' or '.join(corpus.folders)} in it, found none. "
        f"Put {corpus.title} there or give its folder with --data-root DIR.\n{how_to_obtain(corpus)}"
    )


def _check_folder(root: Path, corpus: Corpus) -> None:
    if not root.exists():
        raise UserError(f"{root}: expected the folder of {corpus.title}, found nothing.\n{how_to_obtain(corpus)}")
    if not root.is_dir():
        raise UserError(f"{root}: expected the folder of {corpus.title}, found a file. Unpack it and give its folder.")
    try:
        empty = all(path.name.startswith(".") for path in root.iterdir())
    except PermissionError as error:
        raise UserError(f"{root}: the folder may not be read. Change its permissions.") from error
    if empty:
        raise UserError(f"{root}: expected {corpus.title}, found an empty folder.\n{how_to_obtain(corpus)}")


def _what_it_is_instead(root: Path, corpus: Corpus) -> str:
    """Says what a folder that is not the corpus's seems to be, and what to give instead."""
    for other in CORPORA.values():
        if other.locate(root) is not None:
            return f"this looks like {other.title}, not {corpus.title}. Give its own folder or --corpus {other.name}."
    children = [child for child in sorted(root.iterdir()) if child.is_dir() and corpus.locate(child) is not None]
    if children:
        return f"this is above the corpus's folder. Did you mean {' or '.join(map(str, children))}?"
    # IEMOCAP's wav folders are four levels below its own.
    for parent in list(root.resolve().parents)[:4]:
        if corpus.locate(parent) is not None:
            return f"this is inside the corpus's folder. Did you mean {parent}?"
    found = ", ".join(sorted(path.name for path in root.iterdir())[:5])
    return f"this is not {corpus.title}: found {found}."
