"""Check that the model a training begins with has not seen the clips that are tested."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zoo.config.run_config import RunConfig
from zoo.data.corpora import names
from zoo.data.corpora import registry as corpora
from zoo.data.schema import Clip, Fold
from zoo.errors import UserError, shortened
from zoo.features import from_config
from zoo.features.extractor import Extractor
from zoo.runs.dataset import open_source, stand_in
from zoo.runs.folder import corpus_name
from zoo.runs.sides import FINAL


@dataclass(frozen=True)
class Seen:
    """What an initial model was trained or validated on.

    `clips` are its clips, None where they cannot be listed, for the `reason`. `speakers` are theirs by corpus, and
    those of the models that it began with itself, and of its teachers. `trained` are those clips that it was trained
    on, `audio_sha256` the recordings of a pre-training, by the hash of their samples.
    """

    config: RunConfig | None
    clips: tuple[Clip, ...] | None
    speakers: Mapping[str, Sequence[str]]
    reason: str = ""
    trained: tuple[Clip, ...] = ()
    audio_sha256: frozenset[str] = frozenset()


def of(about: Mapping[str, Any], config: RunConfig, theirs: RunConfig | None) -> Seen:
    """Return what the model of a record `about` has seen; `theirs` is the configuration of its run, if it is one.

    A run on the corpus of `config` is looked up where that lies now.
    """
    speakers: dict[str, list[str]] = {}
    for before in about.get("before", ()):
        for corpus, known in before.get("seen_speakers", {}).items():
            speakers[corpus] = sorted({*speakers.get(corpus, ()), *known})
    if about.get("kind") == "pretraining":
        known_audio = (digest for before in about["before"] for digest in before["audio_sha256"])
        return Seen(None, None, speakers, audio_sha256=frozenset(known_audio))
    if not about["corpus"]:
        return Seen(None, None, speakers, "the file does not say what it was trained on")
    corpus, same = about["corpus"], about["corpus"] == _corpus(config)
    if same and theirs and names.is_table(config.corpus) and theirs.data_root != config.data_root:
        corpus, same = f"{corpus} of another folder", False  # its speakers are others, though they have the same names
    if theirs is None:
        if not same:
            return Seen(None, None, speakers, "an export does not say where its corpus lies")
        theirs = replace(config, protocol=about["protocol"].split()[0])
    if same:
        places = {name: getattr(config, name) for name in ("data_root", "cache_dir", "clips")}
        theirs = replace(theirs, **places, synthetic=config.synthetic)
    try:
        fold = FINAL if about["fold"] == FINAL else "all"
        source = open_source(replace(theirs, allow_incomplete=True, fold=fold))
    except UserError as error:
        return Seen(None, None, speakers, f"its clips are not here ({error.message})")
    number = about["fold"].split("-")[0]
    used = [fold for fold in source.folds if fold.name.split("-")[0] == number]
    clips = tuple(clip for fold in used for clip in (*fold.train, *fold.validation))
    known = {*speakers.get(corpus, ()), *(clip.speaker for clip in clips)}
    trained = tuple(clip for fold in used for clip in fold.train)
    return Seen(theirs, clips, {**speakers, corpus: sorted(known)}, trained=trained)


def ancestors(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what a record says of the models that its own began with, and of its teachers."""
    return [*record.get("initial", ()), *record.get("teachers", ())]


def trained_on(seen: Seen, config: RunConfig) -> Seen:
    """Return what a model was trained on alone, without what its epoch was chosen by and without earlier models."""
    corpus = _corpus(config)
    speakers = {corpus: sorted({clip.speaker for clip in seen.trained})} if corpus in seen.speakers else {}
    return replace(seen, clips=None if seen.clips is None else seen.trained, speakers=speakers)


def same_speakers(seen: Seen, fold: Fold, config: RunConfig, side: str = "test") -> list[str]:
    """Return a sentence where speakers of a side of a fold are among those seen, by corpus and name."""
    known = {*seen.speakers.get(_corpus(config), ()), *seen.speakers.get(_table_in_folder(config), ())}
    known |= {f"{corpus}:{name}" for corpus, names in seen.speakers.items() for name in names}  # as pools have them
    speakers = {clip.speaker for clip in getattr(fold, side)}
    shared = sorted(speakers & known)
    return [f"{len(shared)} of {len(speakers)} {side} speakers are known to it: {shortened(shared)}"] if shared else []


def same_audio(
    seen: Seen,
    fold: Fold,
    audio_sha256: Mapping[str, str],
    extractor: Extractor,
    config: RunConfig,
    side: str = "test",
) -> list[str]:
    """Return a sentence where recordings of a side of a fold are among those seen, by the hash of their samples.

    The features of both are the same, so that those seen are usually in the cache.
    """
    known = set(seen.audio_sha256)
    if seen.clips is not None and seen.config is not None:
        limits = replace(config, max_clip_seconds=seen.config.max_clip_seconds)
        found, _ = from_config.features_of(limits, extractor, seen.clips, on_bad_clip="skip")
        known |= {item.audio_sha256 for item in found.values()}
    if not known:
        return []
    clips = getattr(fold, side)
    shared = [clip.name for clip in clips if audio_sha256[clip.name] in known]
    return [f"{len(shared)} of {len(clips)} {side} recordings are known to it: {shortened(shared)}"] if shared else []


def refuse(findings: Iterable[str], config: RunConfig, flag: str = "--init-from", place: str = "") -> list[str]:
    """Return findings as a result carries them. Raises UserError for any unless leakage is allowed.

    `flag` and `place` name the model.
    """
    sentences = [f"{finding} (the model of {flag} was trained on them)." for finding in findings]
    if sentences and not config.allow_leakage:
        how = "Begin with" if flag == "--init-from" else "Give"
        of_fold = " (--init-fold)" if flag == "--init-from" else ""
        raise UserError(
            f"{flag} {place or config.init_from}: {' '.join(sentences)} Expected none. {how} a model of other "
            f"speakers, or its fold that tests the same ones{of_fold}; --allow-leakage continues and marks results"
        )
    return sentences


def _table_in_folder(config: RunConfig) -> str:
    """Return a table's name as zoo.training.pretrain records it, "" for a corpus."""
    path = names.table_path(config.corpus, config.data_root) if names.is_table(config.corpus) else None
    return names.of_table(path, in_folder=True) if path else ""


def _corpus(config: RunConfig) -> str:
    is_named = bool(config.data_root) and config.corpus in corpora.CORPORA
    made = stand_in(Path(config.data_root)) if is_named else {}
    return corpus_name({**made, "synthetic": config.synthetic, "corpus": config.corpus})
