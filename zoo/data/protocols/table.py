"""The protocols as data: which clips a figure is measured on, their classes, the folds, and the counts they need.

A figure may be compared with another only if protocol and version are the same.
"""

from collections.abc import Iterable, Sequence
from functools import partial

from zoo.data.protocols import splits
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Clip


def _table(groups: Iterable[str], classes: Sequence[str], rows: Iterable[Sequence[int]]) -> dict[tuple[str, str], int]:
    """Returns {(group, class): count} of a table with a row for each group and a column for each class."""
    table = zip(groups, rows, strict=True)
    return {(group, label): count for group, row in table for label, count in zip(classes, row, strict=True)}


def _same(classes: Iterable[str]) -> dict[str, str]:
    return {label: label for label in classes}


def _everyone(clip: Clip) -> str:
    return "all speakers"


def _speaker(clip: Clip) -> str:
    return clip.speaker


def _session(clip: Clip) -> str:
    return f"session {clip.tags['session']}"


def _part(clip: Clip) -> str:
    return clip.tags["part"]


_IEMOCAP = {"neu": "neutral", "hap": "happy", "exc": "happy", "sad": "sad", "ang": "angry"}
_IEMOCAP_CLASSES = ("neutral", "happy", "sad", "angry")
_SESSIONS = tuple(f"session {session}" for session in range(1, 6))
_AIBO_5 = {"A": "angry", "E": "emphatic", "N": "neutral", "P": "positive", "R": "rest"}
_AIBO_2 = {"NEG": "negative", "IDL": "idle"}
_PARTS = ("train", "test")
_SPEECH = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
_SONG = _SPEECH[:6]
_ACTORS = tuple(f"Actor_{actor:02d}" for actor in range(1, 25))
_SINGERS = tuple(actor for actor in _ACTORS if actor != "Actor_18")
_EMODB = ("anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness")
_RATED = ("arousal", "valence")
_AVEC_PARTS = ("train", "dev")
_AVEC = "Valstar et al. 2016 (AVEC) for train and dev"
_MUSIC_PARTS = ("development", "evaluation")
_CREMAD = ("anger", "disgust", "fear", "happy", "neutral", "sad")

_ROWS = (
    Protocol(
        name="iemocap-impro-4",
        version=1,
        corpus="iemocap",
        title="improvised dialogues, happy and excited merged, one session left out, its speakers validation and test",
        classes=_IEMOCAP_CLASSES,
        speaker_independent=True,
        paper="Zhao et al. 2019, IEEE Access 7, Table 1",
        select=partial(splits.select, names=_IEMOCAP, kind="impro"),
        divide=splits.leave_one_session_out,
        group=_session,
        expected=_table(
            _SESSIONS,
            _IEMOCAP_CLASSES,
            ((223, 132, 104, 62), (217, 191, 100, 22), (198, 149, 190, 90), (174, 195, 81, 84), (287, 280, 133, 31)),
        ),
    ),
    Protocol(
        name="iemocap-4",
        version=1,
        corpus="iemocap",
        title="all dialogues, happy and excited merged, five folds by session, the next session for validation",
        classes=_IEMOCAP_CLASSES,
        speaker_independent=True,
        paper="the 5,531 utterances most work since 2017 uses; the validation session is our choice",
        select=partial(splits.select, names=_IEMOCAP),
        divide=splits.by_session,
        group=_session,
        expected=_table(
            _SESSIONS,
            _IEMOCAP_CLASSES,
            (
                (384, 278, 194, 229),
                (362, 327, 197, 137),
                (320, 286, 305, 240),
                (258, 303, 143, 327),
                (384, 442, 245, 170),
            ),
        ),
    ),
    Protocol(
        name="aibo-5",
        version=1,
        corpus="aibo",
        title="five classes, trained on Ohm, tested on Mont, a fifth of Ohm's children for validation",
        classes=tuple(_AIBO_5.values()),
        speaker_independent=True,
        paper="Schuller, Steidl, Batliner 2009 (Interspeech emotion challenge); the validation children are our choice",
        select=partial(splits.select, names=_AIBO_5),
        divide=splits.train_ohm_test_mont,
        group=_part,
        expected=_table(
            _PARTS, tuple(_AIBO_5.values()), ((881, 2_093, 5_590, 674, 721), (611, 1_508, 5_377, 215, 546))
        ),
    ),
    Protocol(
        name="aibo-2",
        version=1,
        corpus="aibo",
        title="negative against idle, trained on Ohm, tested on Mont, a fifth of Ohm's children for validation",
        classes=tuple(_AIBO_2.values()),
        speaker_independent=True,
        paper="Schuller, Steidl, Batliner 2009 (Interspeech emotion challenge); the validation children are our choice",
        select=partial(
            splits.select_by_tag,
            names=_AIBO_2,
            tag="label_2cl",
            file="labels/IS2009EmotionChallenge/chunk_labels_2cl_corpus.txt",
            instead="aibo-5",
        ),
        divide=splits.train_ohm_test_mont,
        group=_part,
        expected=_table(_PARTS, tuple(_AIBO_2.values()), ((3_358, 6_601), (2_465, 5_792))),
    ),
    Protocol(
        name="ravdess-random-67",
        version=1,
        corpus="ravdess",
        title="speech, a random 67 % for training and validation, the rest tested; not speaker-independent",
        classes=_SPEECH,
        speaker_independent=False,
        paper="Khan, Butt, Ali 2020; the seed and the validation share are our choice",
        select=partial(splits.select, names=_same(_SPEECH), channel="speech"),
        divide=splits.random_67,
        group=_speaker,
        expected=_table(_ACTORS, _SPEECH, [(4, 8, 8, 8, 8, 8, 8, 8)] * 24),
    ),
    Protocol(
        name="ravdess-actors",
        version=1,
        corpus="ravdess",
        title="speech, groups of four consecutive actors, the group before for validation",
        classes=_SPEECH,
        speaker_independent=True,
        paper="our choice",
        select=partial(splits.select, names=_same(_SPEECH), channel="speech"),
        divide=partial(splits.by_consecutive_speakers, size=4),
        group=_speaker,
        expected=_table(_ACTORS, _SPEECH, [(4, 8, 8, 8, 8, 8, 8, 8)] * 24),
    ),
    Protocol(
        name="ravdess-song-actors",
        version=1,
        corpus="ravdess",
        title="song, groups of four consecutive actors, the group before for validation",
        classes=_SONG,
        speaker_independent=True,
        paper="our choice",
        select=partial(splits.select, names=_same(_SONG), channel="song"),
        divide=partial(splits.by_consecutive_speakers, size=4),
        group=_speaker,
        expected=_table(_SINGERS, _SONG, [(4, 8, 8, 8, 8, 8)] * 23),
    ),
    Protocol(
        name="emodb-speakers",
        version=1,
        corpus="emodb",
        title="one speaker left out, the speaker before for validation",
        classes=_EMODB,
        speaker_independent=True,
        paper="leave one speaker out, as usual; the validation speaker is our choice",
        select=partial(splits.select, names=_same(_EMODB)),
        divide=partial(splits.by_consecutive_speakers, size=1),
        group=_everyone,
        expected=_table(["all speakers"], _EMODB, [(127, 81, 46, 69, 71, 79, 62)]),
    ),
    Protocol(
        name="cremad-actors",
        version=1,
        corpus="cremad",
        title="five groups of consecutive actors, the group before for validation",
        classes=_CREMAD,
        speaker_independent=True,
        paper="our choice",
        select=partial(splits.select, names=_same(_CREMAD)),
        divide=partial(splits.by_speaker_groups, n_groups=5),
        group=_everyone,
        expected=_table(["all speakers"], _CREMAD, [(1_271, 1_271, 1_271, 1_271, 1_087, 1_271)]),
    ),
    Protocol(
        name="cremad-voice-actors",
        version=1,
        corpus="cremad",
        title="the emotion most raters heard in the audio alone, without ties; divided as cremad-actors",
        classes=_CREMAD,
        speaker_independent=True,
        paper="Cao et al. 2014 (IEEE Transactions on Affective Computing) for the votes; the division is our choice",
        select=partial(
            splits.select_by_tag,
            names=_same(_CREMAD),
            tag="voice",
            file="processedResults/summaryTable.csv",
            instead="cremad-actors",
        ),
        divide=partial(splits.by_speaker_groups, n_groups=5),
        group=_everyone,
        expected={},
    ),
    Protocol(
        name="avec-2016",
        version=1,
        corpus="recola",
        title="trained on train, epoch and post-processing chosen on dev, which is also tested",
        classes=(),
        speaker_independent=True,
        paper="Tzirakis, Zhang, Schuller 2018 and most work on AVEC 2016 (Valstar et al. 2016)",
        select=partial(splits.select_rated, targets=_RATED, parts=_AVEC_PARTS),
        divide=splits.train_dev,
        group=_part,
        expected=_table(_AVEC_PARTS, [""], [(9,), (9,)]),
        targets=_RATED,
        selects_on_test=True,
    ),
    Protocol(
        name="recola-nested",
        version=1,
        corpus="recola",
        title="trained on train, each third of dev tested by a network chosen on the other two",
        classes=(),
        speaker_independent=True,
        paper=f"{_AVEC}; the division is our choice",
        select=partial(splits.select_rated, targets=_RATED, parts=_AVEC_PARTS),
        divide=splits.nested_dev,
        group=_part,
        expected=_table(_AVEC_PARTS, [""], [(9,), (9,)]),
        targets=_RATED,
    ),
    Protocol(
        name="recola-kfold-10",
        version=1,
        corpus="recola",
        title="nine folds, as nine subjects cannot make ten: each of train validates once, dev is tested each time",
        classes=(),
        speaker_independent=True,
        paper=f"Bakhshi, Wong, Chalup 2020, whose ten folds over nine subjects cannot be subject-wise; {_AVEC}",
        select=partial(splits.select_rated, targets=_RATED, parts=_AVEC_PARTS),
        divide=splits.leave_one_of_train_out,
        group=_part,
        expected=_table(_AVEC_PARTS, [""], [(9,), (9,)]),
        targets=_RATED,
    ),
    Protocol(
        name="mediaeval-2013",
        version=1,
        corpus="mediaeval_music",
        title="trained on development but for tested artists, a fifth of it for validation; tested on evaluation",
        classes=(),
        speaker_independent=True,
        paper="Soleymani et al. 2013 (MediaEval); the validation songs are our choice",
        select=partial(splits.select_rated, targets=_RATED, parts=_MUSIC_PARTS),
        divide=splits.development_evaluation,
        group=_part,
        expected=_table(_MUSIC_PARTS, [""], [(619,), (125,)]),
        targets=_RATED,
    ),
)
PROTOCOLS: dict[str, Protocol] = {row.name: row for row in _ROWS}
DEFAULT_PROTOCOL: dict[str, str] = {
    "iemocap": "iemocap-impro-4",
    "aibo": "aibo-5",
    "ravdess": "ravdess-actors",
    "emodb": "emodb-speakers",
    "cremad": "cremad-actors",
    "recola": "recola-nested",
    "mediaeval_music": "mediaeval-2013",
}
