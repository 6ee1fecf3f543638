"""List the protocols. Two figures may be compared only if protocol and version are the same."""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import product

from zoo.data.corpora.ravdess import EMOTIONS
from zoo.data.protocols import splits
from zoo.data.protocols.splits import Protocol


def _table(groups: Iterable[str], classes: Iterable[str], counts: Sequence[int]) -> dict[tuple[str, str], int]:
    """Return {(group, class): count} of the counts of each class in the first group, then in the second ..."""
    return dict(zip(product(groups, classes), counts, strict=True))


def _same(classes: Iterable[str]) -> dict[str, str]:
    return {label: label for label in classes}


def _named(actors: Iterable[int]) -> tuple[str, ...]:
    """Return the names of RAVDESS's actors."""
    return tuple(f"Actor_{actor:02d}" for actor in actors)


_IEMOCAP = {"neu": "neutral", "hap": "happy", "exc": "happy", "sad": "sad", "ang": "angry"}
_IEMOCAP_CLASSES = ("neutral", "happy", "sad", "angry")
_SESSIONS = tuple(f"session {session}" for session in range(1, 6))
_AIBO_5 = {"A": "angry", "E": "emphatic", "N": "neutral", "P": "positive", "R": "rest"}
_AIBO_2 = {"NEG": "negative", "IDL": "idle"}
_AIBO_2_FILE = "labels/IS2009EmotionChallenge/chunk_labels_2cl_corpus.txt"
_PARTS = ("train", "test")
_SPEECH = tuple(EMOTIONS.values())
_SONG = _SPEECH[:6]
_ACTORS = _named(range(1, 25))
_SINGERS = tuple(actor for actor in _ACTORS if actor != "Actor_18")
_EMODB = ("anger", "boredom", "disgust", "fear", "happiness", "neutral", "sadness")
_CREMAD = ("anger", "disgust", "fear", "happy", "neutral", "sad")
_CREMAD_VOTES = "processedResults/summaryTable.csv"
_INNER, _STRANGERS = _ACTORS[:16], _ACTORS[16:20]
_EMOBOX = ((1, 11, 20, 21), (4, 10, 12, 14), (8, 9, 19, 23), (3, 5, 7, 24), (2, 15, 16, 18), (6, 13, 17, 22))
_LUNA = ((2, 5, 14, 15, 16), (3, 6, 7, 13, 18), (10, 11, 12, 19, 20), (8, 17, 21, 23, 24), (1, 4, 9, 22))
_BOTH = (8, 16, 16, 16, 16, 16, 8, 8)  # of each actor, speech and song together
_BOTH_WITHOUT_SONG = (4, 8, 8, 8, 8, 8, 8, 8)
_AVEC_PARTS = ("train", "dev")
_FULL_PARTS = ("train", "dev", "test")
_AVEC = "Valstar et al. 2016 (AVEC) for train and dev"
_MUSIC_PARTS = ("development", "evaluation")

# What the protocols of a corpus have in common.
_iemocap = partial(
    Protocol, corpus="iemocap", classes=_IEMOCAP_CLASSES, group=lambda clip: f"session {clip.tags['session']}"
)
_aibo = partial(
    Protocol,
    corpus="aibo",
    paper="Schuller, Steidl, Batliner 2009 (Interspeech emotion challenge); the validation children are our choice",
    divide=splits.train_ohm_test_mont,
    group=lambda clip: clip.tags["part"],
)
_ravdess = partial(Protocol, corpus="ravdess", group=lambda clip: clip.speaker)
_speech = partial(
    _ravdess,
    classes=_SPEECH,
    select=partial(splits.select, names=_same(_SPEECH), channel="speech"),
    expected=_table(_ACTORS, _SPEECH, (4, 8, 8, 8, 8, 8, 8, 8) * 24),
)
_unvalidated = partial(_speech, without=("validation",))
_both = partial(
    _ravdess,
    classes=_SPEECH,
    select=partial(splits.select_of_both, names=_same(_SPEECH)),
    expected=_table(
        _ACTORS, _SPEECH, [n for actor in _ACTORS for n in (_BOTH if actor in _SINGERS else _BOTH_WITHOUT_SONG)]
    ),
    to_complete="Put both archives, Audio_Speech_Actors_01-24 and Audio_Song_Actors_01-24, into the corpus's folder",
)
_cremad = partial(Protocol, corpus="cremad", classes=_CREMAD, divide=partial(splits.by_speaker_groups, n_groups=5))
_recola = partial(
    Protocol,
    corpus="recola",
    targets=("arousal", "valence"),
    select=partial(splits.select_rated, parts=_AVEC_PARTS),
    group=lambda clip: clip.tags["part"],
    expected=_table(_AVEC_PARTS, [""], (9, 9)),
)

_ROWS = (
    _iemocap(
        name="iemocap-impro-4",
        title="improvised dialogues, happy and excited merged, one session left out, its speakers validation and test",
        paper="Zhao et al. 2019, IEEE Access 7, Table 1",
        select=partial(splits.select, names=_IEMOCAP, kind="impro"),
        divide=splits.leave_one_session_out,
        expected=_table(
            _SESSIONS,
            _IEMOCAP_CLASSES,
            (223, 132, 104, 62, 217, 191, 100, 22, 198, 149, 190, 90, 174, 195, 81, 84, 287, 280, 133, 31),
        ),
    ),
    _iemocap(
        name="iemocap-4",
        title="all dialogues, happy and excited merged, five folds by session, the next session for validation",
        paper="the 5,531 utterances most work since 2017 uses; the validation session is our choice",
        select=partial(splits.select, names=_IEMOCAP),
        divide=splits.by_session,
        expected=_table(
            _SESSIONS,
            _IEMOCAP_CLASSES,
            (384, 278, 194, 229, 362, 327, 197, 137, 320, 286, 305, 240, 258, 303, 143, 327, 384, 442, 245, 170),
        ),
    ),
    _aibo(
        name="aibo-5",
        title="five classes, trained on Ohm, tested on Mont, a fifth of Ohm's children for validation",
        classes=tuple(_AIBO_5.values()),
        select=partial(splits.select, names=_AIBO_5),
        expected=_table(_PARTS, _AIBO_5.values(), (881, 2_093, 5_590, 674, 721, 611, 1_508, 5_377, 215, 546)),
    ),
    _aibo(
        name="aibo-2",
        title="negative against idle, trained on Ohm, tested on Mont, a fifth of Ohm's children for validation",
        classes=tuple(_AIBO_2.values()),
        select=partial(splits.select_by_tag, names=_AIBO_2, tag="label_2cl", file=_AIBO_2_FILE, instead="aibo-5"),
        expected=_table(_PARTS, _AIBO_2.values(), (3_358, 6_601, 2_465, 5_792)),
    ),
    _speech(
        name="ravdess-random-67",
        title="speech, a random 67 % for training and validation, the rest tested; not speaker-independent",
        speaker_independent=False,
        paper="Khan, Butt, Ali 2020, on speech alone; the seed and the validation share are our choice",
        divide=splits.random_67,
    ),
    _both(
        name="ravdess-both-random-67",
        title="speech and song, a random 67 % for training and validation, the rest tested; not speaker-independent",
        speaker_independent=False,
        paper="Khan, Butt, Ali 2020, who used about 1,247 of these files and do not say which; the seed and the "
        "validation share are our choice",
        divide=splits.random_67,
    ),
    _both(
        name="ravdess-both-actors",
        title="speech and song, groups of four consecutive actors, the group before for validation",
        paper="our choice",
        divide=partial(splits.by_consecutive_speakers, size=4),
    ),
    _speech(
        name="ravdess-actors",
        title="speech, groups of four consecutive actors, the group before for validation",
        paper="our choice",
        divide=partial(splits.by_consecutive_speakers, size=4),
    ),
    _speech(
        name="ravdess-inner",
        title="speech of actors 1-16 alone, to choose recipes on: each group of four validates, nobody is tested",
        paper="our choice",
        select=partial(splits.select_of_speakers, names=_same(_SPEECH), speakers=_INNER, channel="speech"),
        divide=partial(splits.validated_in_turn, groups=[_INNER[first : first + 4] for first in range(0, 16, 4)]),
        expected=_table(_INNER, _SPEECH, (4, 8, 8, 8, 8, 8, 8, 8) * 16),
        without=("test",),
    ),
    _unvalidated(
        name="ravdess-strangers",
        title="speech, trained on actors 1-16 for a fixed number of epochs, tested on 17-20, without validation; "
        "actors 21-24 are not used",
        paper="our choice",
        select=partial(splits.select_of_speakers, names=_same(_SPEECH), speakers=_INNER + _STRANGERS, channel="speech"),
        divide=partial(splits.tested_in_turn, groups=[_STRANGERS]),
        expected=_table(_INNER + _STRANGERS, _SPEECH, (4, 8, 8, 8, 8, 8, 8, 8) * 20),
    ),
    _unvalidated(
        name="ravdess-emobox-6",
        title="speech, the six groups of actors that EmoBox tests in turn, without validation",
        paper="Ma et al. 2024 (EmoBox), whose groups these are; they choose on a part of the training clips",
        divide=partial(splits.tested_in_turn, groups=[_named(group) for group in _EMOBOX]),
    ),
    _unvalidated(
        name="ravdess-luna-5",
        title="speech, the five groups of actors of Luna-Jimenez et al., tested in turn, without validation",
        paper="Luna-Jimenez et al. 2021 (Sensors 21, 7665), whose groups these are",
        divide=partial(splits.tested_in_turn, groups=[_named(group) for group in _LUNA]),
    ),
    _ravdess(
        name="ravdess-song-actors",
        title="song, groups of four consecutive actors, the group before for validation",
        classes=_SONG,
        paper="our choice",
        select=partial(splits.select, names=_same(_SONG), channel="song"),
        divide=partial(splits.by_consecutive_speakers, size=4),
        expected=_table(_SINGERS, _SONG, (4, 8, 8, 8, 8, 8) * 23),
    ),
    Protocol(
        name="emodb-speakers",
        corpus="emodb",
        title="one speaker left out, the speaker before for validation",
        classes=_EMODB,
        paper="leave one speaker out, as usual; the validation speaker is our choice",
        select=partial(splits.select, names=_same(_EMODB)),
        divide=partial(splits.by_consecutive_speakers, size=1),
        expected=_table([splits.ALL], _EMODB, (127, 81, 46, 69, 71, 79, 62)),
    ),
    _cremad(
        name="cremad-actors",
        title="five groups of consecutive actors, the group before for validation",
        paper="our choice",
        select=partial(splits.select, names=_same(_CREMAD)),
        expected=_table([splits.ALL], _CREMAD, (1_271, 1_271, 1_271, 1_271, 1_087, 1_271)),
    ),
    _cremad(
        name="cremad-voice-actors",
        title="the emotion most raters heard in the audio alone, without ties; divided as cremad-actors",
        paper="Cao et al. 2014 (IEEE Transactions on Affective Computing) for the votes; the division is our choice",
        select=partial(
            splits.select_by_tag, names=_same(_CREMAD), tag="voice", file=_CREMAD_VOTES, instead="cremad-actors"
        ),
    ),
    _recola(
        name="avec-2016",
        title="trained on train, epoch and post-processing chosen on dev, which is also tested",
        paper=f"{_AVEC}; validation figures of papers on it, often in brackets, are of dev; test labels are not public",
        divide=splits.train_dev,
        selects_on_test=True,
    ),
    _recola(
        name="recola-nested",
        title="trained on train, each third of dev tested by a network chosen on the other two",
        paper=f"{_AVEC}; the division is our choice",
        divide=splits.nested_dev,
    ),
    _recola(
        name="recola-full",
        title="all 46 recordings: trained on 16, chosen on 15, tested on 15, as partition.csv in its folder names them",
        paper="Tzirakis, Zhang, Schuller 2018, Table 1, which has the numbers; the partition is not public",
        select=splits.select_by_own_part,
        divide=splits.train_dev_test,
        expected=_table(_FULL_PARTS, [""], (16, 15, 15)),
        to_complete="Name the part (train, dev or test) of each of the 46 recordings in partition.csv in the corpus's "
        "folder, below the header recording,part (the papers' partition is not public)",
    ),
    _recola(
        name="recola-kfold-10",
        title="nine folds, as nine subjects cannot make ten: each of train validates once, dev is tested each time",
        paper=f"Bakhshi, Wong, Chalup 2020, whose ten folds over nine subjects cannot be subject-wise; {_AVEC}",
        divide=splits.leave_one_of_train_out,
    ),
    Protocol(
        name="mediaeval-2013",
        corpus="mediaeval_music",
        title="trained on development but for tested artists, a fifth of it for validation; tested on evaluation",
        paper="Soleymani et al. 2013 (MediaEval); the validation songs are our choice",
        select=partial(splits.select_rated, parts=_MUSIC_PARTS),
        divide=splits.development_evaluation,
        group=lambda clip: clip.tags["part"],
        expected=_table(_MUSIC_PARTS, [""], (619, 125)),
        targets=("arousal", "valence"),
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
