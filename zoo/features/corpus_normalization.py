"""Z-score features per corpus of a pool, anew in each fold.

Mean and deviation of a corpus are those of its training clips. A corpus that training has none of is standardised by
its own clips of the fold, without their labels: such a figure is transductive, for users who have recordings of the
new corpus. Schuller et al. 2010 (IEEE Transactions on Affective Computing 1(2)) compare it with other normalisations.
"""

from collections.abc import Mapping
from typing import Any

from zoo.data.corpora.pool import CORPUS
from zoo.data.schema import Clip, Fold
from zoo.features import speaker_normalization
from zoo.features.speaker_normalization import Speakers, Standardized

FILE = "corpora.npz"
NOTE = (
    "features standardised by each corpus's own training clips; those of a corpus that was not trained on by its "
    "unlabelled test clips (transductive)"
)


def corpus_of(clip: Clip) -> str:
    """Return the corpus of a pool that a clip is of."""
    return clip.tags[CORPUS]


def measure(fold: Fold, features: Mapping[str, Any]) -> Speakers:
    """Return mean and deviation by corpus, for a fold; `features` are by clip name."""
    trained = {corpus_of(clip) for clip in fold.train}
    unseen = [clip for clip in (*fold.validation, *fold.test) if corpus_of(clip) not in trained]
    return speaker_normalization.measure([*fold.train, *unseen], features, corpus_of)


def standardized(fold: Fold, found: Speakers, features: Mapping[str, Any]) -> dict[str, Any]:
    """Return the features of a fold's clips, by name, z-scored by corpus."""
    clips = [clip for side in fold.sides for clip in side]
    return {clip.name: Standardized(features[clip.name], found, corpus_of(clip)) for clip in clips}
