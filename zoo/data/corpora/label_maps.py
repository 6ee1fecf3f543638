"""Name the labels of all corpora in common: a table with its sources.

A common name is an adjective, as in RAVDESS. A class is another one unless a map says so: calm is not neutral. A
user's own map is a CSV with the columns label and class, as for a single table, and corpus where it is of one corpus of
several; an empty class leaves the clips of a label out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.data.corpora import ravdess
from zoo.data.tables.values import classes_by_label
from zoo.errors import UserError, shortened


@dataclass(frozen=True)
class LabelMap:
    """Common names by the labels of a corpus ("" leaves a label's clips out), and where they are from."""

    names: Mapping[str, str]
    source: str


_ADJECTIVES = {
    "angry": "anger",
    "happy": "happiness",
    "sad": "sadness",
    "fearful": "fear",
    "surprised": "surprise",
    "disgust": "disgusted",
    "neutral": "neutrality",
    "calm": "calmness",
    "bored": "boredom",
    "excited": "excitement",
    "frustrated": "frustration",
    "contempt": "contemptuous",
    "amused": "amusement",
    "anxious": "anxiety",
    "interested": "interest",
    "tired": "tiredness",
    "sleepy": "sleepiness",
    "stressed": "stress",
    "proud": "pride",
    "ashamed": "shame",
    "relieved": "relief",
}
WORDS = LabelMap(
    {**{name: name for name in _ADJECTIVES}, **{noun: name for name, noun in _ADJECTIVES.items()}},
    "English nouns and adjectives of one emotion, in lower case",
)


def _of_words(labels: Iterable[str], source: str) -> LabelMap:
    return LabelMap({label: WORDS.names[label] for label in labels}, source)


LABEL_MAPS: dict[str, LabelMap] = {
    "ravdess": _of_words(
        ravdess.EMOTIONS.values(),
        "Livingstone and Russo 2018 (PLOS ONE 13(5)), whose words are the common names; calm is no neutral",
    ),
    "emodb": _of_words(
        ("anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness"),
        "Burkhardt et al. 2005 (Interspeech); nouns to adjectives",
    ),
    "cremad": _of_words(
        ("anger", "disgust", "fear", "happy", "neutral", "sad"),
        "Cao et al. 2014 (IEEE Transactions on Affective Computing), the emotion intended; nouns to adjectives",
    ),
    "iemocap": LabelMap(
        {
            "neu": "neutral",
            "hap": "happy",
            "exc": "happy",
            "sad": "sad",
            "ang": "angry",
            "fru": "frustrated",
            "fea": "fearful",
            "sur": "surprised",
            "dis": "disgust",
            "oth": "",
            "xxx": "",
        },
        "Busso et al. 2008 (Language Resources and Evaluation 42) for the codes; excited joins happy as in Zhao et al. "
        "2019 (Table 1); other and no agreement are left out",
    ),
    "aibo": LabelMap(
        {"A": "angry", "E": "emphatic", "N": "neutral", "P": "positive", "R": "rest"},
        "Schuller, Steidl, Batliner 2009 (Interspeech); angry has touchy and reprimanding in it, positive is motherese "
        "and joyful and not taken for happy",
    ),
}


def common(names: Iterable[str]) -> list[str]:
    """Return names as common English words: Anger and angry are one class. Others stay as they are.

    >>> common(["Anger", "emphatic"])
    ['angry', 'emphatic']
    """
    return [WORDS.names.get(name.casefold(), name) for name in names]


def of(corpus: str, labels: Iterable[str], path: Path | None = None) -> LabelMap:
    """Return the map of a corpus for the `labels` it has: the user's, in `path`, before that of the corpus.

    A table has no map of its own: its labels are words (`WORDS`, in any case). Raises UserError for a label without an
    entry, and for a file that cannot be read or gives a label two names.
    """
    own = classes_by_label(path, ("", corpus, corpus.removeprefix("table:"))) if path else {}
    known = LABEL_MAPS.get(corpus, WORDS)
    names: dict[str, str] = {}
    unknown = []
    for label in sorted(set(labels)):
        found = own.get(label, known.names.get(label, known.names.get(label.strip().casefold())))
        if found is None:
            unknown.append(label)
        else:
            names[label] = found
    if unknown:
        raise UserError(
            f"{corpus}: no common name is known for the labels {shortened([repr(label) for label in unknown])}. "
            f"Expected words such as {', '.join(list(_ADJECTIVES)[:4])}, or a line LABEL,CLASS for each in the CSV of "
            "--label-map (an empty CLASS leaves its clips out)"
        )
    used = [known.source] if set(names) - set(own) else []
    return LabelMap(names, "; ".join(([str(path.name)] if path and set(names) & set(own) else []) + used))


def to_classes(corpus: str, labels: Iterable[str], classes: Sequence[str], path: Path | None = None) -> dict[str, str]:
    """Return what each label of a corpus is among the `classes` of a model: one of them, "" (left out), or neither.

    The user's map, in `path`, comes first, then a class of the same name, then common names (`LABEL_MAPS`, `WORDS`): a
    model of anger takes clips that are angry. A label that the model has no class for keeps its common name, or its
    own. Raises UserError for a file that cannot be read or gives a label two names.

    >>> to_classes("emodb", ["anger", "boredom"], ["angry", "calm"])
    {'anger': 'angry', 'boredom': 'bored'}
    """
    own = classes_by_label(path, ("", corpus, corpus.removeprefix("table:"))) if path else {}
    known = LABEL_MAPS.get(corpus, WORDS).names
    by_common = dict(zip(common(classes), classes, strict=True))
    found = {}
    for label in sorted(set(labels)):
        name = label
        if label in own:
            name = own[label]
        elif label not in classes:
            name = known.get(label, known.get(label.strip().casefold(), label))
        found[label] = name if name in classes else by_common.get(common([name])[0], name)
    return found
