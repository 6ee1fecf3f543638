"""List what metrics.json holds, by kinds of values, for zoo.utils.json_files to check. All keys may be absent here."""

from typing import Any

_FIGURE = (float, type(None))  # undefined figures are null
_SCORE = {"value": _FIGURE, "low": _FIGURE, "high": _FIGURE}
_DIMENSION = {"ccc": _SCORE, "mean_ccc?": _FIGURE, "pearson?": _FIGURE, "rmse?": _FIGURE, "mae?": _FIGURE}
_RATINGS = {
    "ccc?": (*_FIGURE, {str: object}),  # of enhancement by ratio
    "dimensions?": {str: {**_DIMENSION, "kendall?": _FIGURE}},
    "n_recordings?": int,
    "n_frames?": int,
}
_CLASSES = {
    "classes?": [str],
    "absent_classes?": [str],
    "confusion?": [[int]],
    "ua?": _SCORE,
    "wa?": _SCORE,
    "macro_f1?": _FIGURE,
    "n_clips?": int,
    "per_class?": {str: {"n": int, "recall": _FIGURE, "precision": _FIGURE, "f1": _FIGURE}},
    "per_corpus?": {str: {"n_clips": int, "n_speakers": int, "ua": _SCORE, "wa": _SCORE, "absent_classes": [str]}},
    "human_ceiling?": {"ua": _SCORE, "wa": _SCORE, "clips": int, "ratings": int, "left_out": int},
    "per_speaker?": {str: {"n": int, "ua": _FIGURE, "wa": _FIGURE}},
}
_TARGET = {
    "kind?": str,
    "unlabelled?": int,
    "ccc?": _SCORE,
    "pearson?": _FIGURE,
    "rmse?": _FIGURE,
    "mae?": _FIGURE,
    **_CLASSES,
}
_FACTS = {
    "model?": str,
    "recipe?": str,
    "corpus?": str,
    "protocol?": str,
    "synthetic?": bool,
    "speaker_independent?": bool,
    "sides?": [str],
    "leakage?": [str],
    "notes?": [str],
    "corpora?": {str: {"title": str, "licence": str, "address": str, "label_map": {str: str}, "label_source": str}},
    "warnings?": [str],
    "bad_clips?": [{"clip": str}],
    "stand_in?": {"stand_in_for": str, "made_from": str},
    "versions?": {str: str},
    "other_versions?": [{str: str}],
    "noise_sha256?": str,
    "data_sha256?": str,
    "initial?": [{str: object}],
    "teachers?": [{str: object}],
    "n_speakers?": int,
    "fold?": str,
    "folds?": [{"fold": str}],
}
_FACTS["figures_from?"] = {"run": str, "protocol": str, "said": str, "settings_that_differ": [str], **_CLASSES}
RECORD: dict[str, Any] = {**_FACTS, **_CLASSES, **_RATINGS, "postprocessed?": _RATINGS, "targets?": {str: _TARGET}}
# What every reader of a finished run relies on.
NEEDED = ("model", "corpus", "protocol", "synthetic", "bad_clips", "versions")
