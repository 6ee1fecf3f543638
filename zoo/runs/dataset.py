"""Turn a configuration into audited folds of clips: corpus or synthetic twin, protocol, chosen folds."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from zoo.config.condition_fields import divided_noise
from zoo.config.run_config import RunConfig, heeds
from zoo.config.saved import cache_folder
from zoo.data.corpora import names, pool
from zoo.data.corpora import registry as corpora
from zoo.data.protocols import lookup as protocols
from zoo.data.protocols.leakage import audit
from zoo.data.protocols.splits import Protocol
from zoo.data.schema import Clip, Fold
from zoo.data.synthetic import corpora as synthetic
from zoo.data.synthetic import recola_standin
from zoo.errors import UserError, unknown
from zoo.heads import adversaries, further_names
from zoo.runs import further_targets, own_pool, own_table
from zoo.runs.open_run import OpenedRun
from zoo.runs.protocol import is_pool, protocol_of
from zoo.runs.sides import FINAL, final

_FEW = 4
_PATHS = (
    "data_root",
    "audio_root",
    "label_map",
    "noise",
    "responses",
    "weights",
    "from_run",
    "enhancer",
    "init_from",
    "figures_from",
)  # "random" is no path


@dataclass(frozen=True)
class Source:
    """The clips of a run. `notes` (on what is absent) and `warnings` are sentences that every result carries."""

    protocol: Protocol
    folds: tuple[Fold, ...]
    notes: tuple[str, ...]
    synthetic: bool
    warnings: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)  # what the records of a run on several corpora say of them

    @property
    def clips(self) -> list[Clip]:
        """Return every clip of the chosen folds, once."""
        every = (clip for fold in self.folds for side in fold.sides for clip in side)
        return list({clip.name: clip for clip in every}.values())


def resolve(config: RunConfig) -> RunConfig:
    """Return the configuration with protocol, folds, limits and paths spelt out. Raises UserError for unknown ones."""
    config = replace(config, corpus=corpora.as_spelt(config.corpus))
    limits: tuple[float, float] = (0.0, 0.0)
    if is_pool(config):
        config = own_pool.resolved(config)
    else:
        if config.normalize_corpora or config.corpus_weights != "none":
            flag = "--normalize-corpora" if config.normalize_corpora else "--corpus-weights"
            raise UserError(f"{flag} is for several corpora (--corpus a+b), found {config.corpus}; leave it out")
        if names.is_table(config.corpus):
            config = own_table.resolved(config)
        corpus = corpora.get(config.corpus)
        limits = corpus.max_seconds, corpus.rating_seconds * heeds(config.model, "frame_seconds")
    protocol = protocol_of(config)
    paths: dict[str, Any] = {name: _absolute(getattr(config, name)) for name in _PATHS}
    paths["teacher"] = ",".join(_absolute(place.strip()) for place in config.teacher.split(","))
    folder, split = divided_noise(config.noise)
    if split != "files":
        paths["noise"] = f"{split}:{_absolute(folder)}"
    return _with_heads(
        replace(
            config,
            protocol=protocol.name,
            fold=config.fold or ("few" if config.synthetic else "all"),
            max_clip_seconds=config.max_clip_seconds or limits[0],
            frame_seconds=config.frame_seconds or limits[1],
            **paths,
        )
    )


def _with_heads(config: RunConfig) -> RunConfig:
    """Return the configuration with the classes of its further targets: what the corpus has, unless it knows them."""
    wanted = further_names(config.also, config.target)
    if not wanted or list(config.heads) == list(wanted):
        return config if wanted else replace(config, heads={})
    clips = open_source(replace(config, fold="all", heads={})).clips
    return replace(config, heads=further_targets.find(clips, wanted))


def _absolute(place: str) -> str:
    return place if place in ("", "random") else str(Path(place).expanduser().resolve())


def open_source(config: RunConfig) -> Source:
    """Find the corpus and divide it into folds. Raises UserError for anything missing."""
    if is_pool(config):
        return _open_pool(config)
    if names.is_table(config.corpus):
        return _open_table(config)
    protocol, root = protocol_of(config), root_of(config)
    is_synthetic = synthetic.is_synthetic(root)
    clips = corpora.load(config.corpus, root).clips
    division = protocols.division(protocol, clips, config.allow_incomplete or is_synthetic)
    # A twin is small by design; only for a real corpus do absent clips say anything.
    notes = () if is_synthetic else division.notes
    about = stand_in(root)
    source = Source(protocol, _chosen(division.folds, config.fold), notes, is_synthetic, about=about)
    return _with_further_targets(source, clips, config)


def root_of(config: RunConfig) -> Path:
    """Return the folder of a corpus, or of its synthetic twin. Raises UserError where there is none."""
    if config.synthetic:
        return synthetic.cached(config.corpus, cache_folder(config), config.clips, seed=0)
    return corpora.resolve_root(config.corpus, Path(config.data_root) if config.data_root else None)


def stand_in(root: Path) -> dict[str, Any]:
    """Return what records say of a stand-in for a corpus, which has that corpus's layout; {} for the corpus itself."""
    made = recola_standin.origin(root)
    return {"stand_in": made} if made else {}


def _open_pool(config: RunConfig) -> Source:
    protocol, found = protocol_of(config), own_pool.load(config)
    clips = protocol.select(found.clips)
    notes = pool.check_classes(found.clips, config.classes, config.allow_incomplete or found.synthetic)
    division = protocols.division(protocol, clips, config.allow_incomplete or found.synthetic)
    folds = _chosen(division.folds, config.fold)
    notes = [*found.notes, *([] if found.synthetic else [*notes, *division.notes])]
    protocol = replace(protocol, speaker_independent=not found.unknown_speakers)
    facts = own_pool.facts(config, found)
    source = Source(protocol, folds, tuple(notes), found.synthetic, found.warnings, facts)
    return _with_further_targets(source, found.clips, config)


def _open_table(config: RunConfig) -> Source:
    protocol, loaded = protocol_of(config), own_table.load(config)
    notes = own_table.absent(config, loaded)
    division = protocols.division(protocol, loaded.clips, config.allow_incomplete)
    protocol, warnings = own_table.warnings_of(protocol, protocol.select(loaded.clips), loaded)
    folds = _chosen(division.folds, config.fold)
    source = Source(protocol, folds, (*notes, *division.notes), False, warnings)
    return _with_further_targets(source, loaded.clips, config)


def _with_further_targets(source: Source, clips: Iterable[Clip], config: RunConfig) -> Source:
    """Return the source with `clips` that lack the main target, for --teacher and --also, and sentences on labels.

    Raises UserError for what training clips cannot teach, adversaries among it.
    """
    for fold in source.folds:
        further_targets.adversaries(fold.train, adversaries(config.adversarial))
    if not config.also and not config.teacher:
        return source
    names = None if config.teacher else further_names(config.also, config.target)
    folds = further_targets.with_partly_labelled(source.folds, clips, names)
    said = further_targets.remarks(folds, config.heads, source.protocol.classes)
    return replace(source, folds=folds, warnings=(*source.warnings, *said))


def of_run(run: OpenedRun, data_root: str = "", fold: str | None = None) -> Source:
    """Open the corpus of a finished run, without the utterances it left out; of all its folds or the one numbered so.

    Raises UserError for anything missing, and where only one of run and data is of synthetic speech.
    """
    settings = replace(run.settings, data_root=data_root or run.settings.data_root, fold=fold or run.settings.fold)
    source = open_source(settings)
    if source.synthetic != run.record["synthetic"]:
        trained_on = "synthetic" if run.record["synthetic"] else "real"
        raise UserError(f"{run.folder} was trained on {trained_on} clips, these are not")
    return drop_clips(source, run.record["bad_clips"])


def inner(source: Source, n_folds: int) -> Source:
    """Divide the training and validation clips of a source's one fold, by speaker, into `n_folds` inner folds.

    Each speaker validates once, and no test clip is left. Raises UserError for too few speakers.
    """
    (outer,) = source.folds
    unseen = {clip.name for clip in outer.test}  # some protocols validate on what they test
    clips = tuple(clip for clip in outer.train + outer.validation if clip.name not in unseen)
    speakers = [clip.speaker for clip in clips]
    if not 2 <= n_folds <= len(set(speakers)):
        raise UserError(
            f"--inner-folds is {n_folds}, expected 2 to {len(set(speakers))}, the speakers of fold {outer.name} "
            "without its test speakers"
        )
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold  # a second, which --help has not

    stratified = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    divisions = stratified if source.protocol.classes else GroupKFold(n_folds)
    labels, folds = [clip.label for clip in clips], []
    for number, sides in enumerate(divisions.split(clips, labels, speakers)):
        train, validation = (tuple(clips[index] for index in side) for side in sides)
        if source.protocol.classes:  # a clip may lack the main target, and then only teaches others
            validation = tuple(clip for clip in validation if clip.label in source.protocol.classes)
        folds.append(Fold(f"{number}-inner", train, validation, test=()))
    return replace(source, folds=tuple(folds))


def drop_clips(source: Source, bad: Iterable[Mapping[str, str]]) -> Source:
    """Return the source without its `bad` clips, each a mapping with the clip's name as "clip".

    Raises UserError when a side of a fold is left empty, or training is left without a class.
    """
    names = {item["clip"] for item in bad}
    kept = []
    for fold in source.folds:
        sides = [tuple(clip for clip in side if clip.name not in names) for side in fold.sides]
        absent = set(source.protocol.classes) - {clip.label for clip in sides[0]}
        if absent or not all(side for side, before in zip(sides, fold.sides, strict=True) if before):
            left = "train {}, validation {}, test {}".format(*map(len, sides))
            lacking = f", no training clip of {', '.join(sorted(absent))}" if absent else ""
            of_classes = " and of every class to train on" if source.protocol.classes else ""
            raise UserError(
                f"fold {fold.name}: too many clips cannot be used. Expected clips on every side{of_classes}; left are "
                f"{left}{lacking}. Repair the files (check_corpus.py lists them)"
            )
        kept.append(Fold(fold.name, *sides))
    return replace(source, folds=tuple(kept))


def audit_folds(source: Source, audio_sha256: Mapping[str, str], allow: bool) -> list[str]:
    """Run the leakage audit over all folds; return its findings, which every result carries.

    Where the protocol itself selects on the test clips, that is a finding and nothing to refuse.
    """
    folds, findings = source.folds, []
    if source.protocol.selects_on_test:
        findings = [
            f"Fold {fold.name}: validation and test are the same {len(fold.test)} recordings, so that epoch and "
            "post-processing are chosen where the figure is reported, as in papers' validation figures alone."
            for fold in folds
        ]
        folds = tuple(replace(fold, validation=()) for fold in folds)
    return [*findings, *(finding for fold in folds for finding in audit(fold, audio_sha256, allow))]


def fingerprint(source: Source, audio_sha256: Mapping[str, str]) -> str:
    """Return a hash of a source: clips, their audio, labels, ratings and speakers, and the sides they are on."""
    content = [
        [fold.name, *([_said_of(clip, audio_sha256[clip.name]) for clip in side] for side in fold.sides)]
        for fold in source.folds
    ]
    return hashlib.sha256(json.dumps([source.synthetic, source.protocol.version, content]).encode()).hexdigest()


def targets_fingerprint(source: Source, names: Iterable[str]) -> str:
    """Return a hash of the further targets `names` of a source's clips."""
    content = [[clip.name, *(clip.targets.get(name) for name in names)] for clip in source.clips]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _said_of(clip: Clip, audio_sha256: str) -> list:
    said: list[Any] = [clip.name, clip.label, clip.speaker, audio_sha256]
    if clip.votes:
        said.append({target: dict(sorted(votes.items())) for target, votes in sorted(clip.votes.items())})
    if (trace := clip.trace) is not None:
        values = hashlib.sha256(np.ascontiguousarray(trace.values, "<f4").tobytes()).hexdigest()
        said += [trace.dimensions, trace.step_seconds, trace.start_seconds, trace.values.shape, values]
    return said


def _chosen(folds: tuple[Fold, ...], wanted: str) -> tuple[Fold, ...]:
    if wanted == "all":
        return folds
    if wanted == FINAL:
        return (final(folds),)
    if wanted == "few":
        return folds[:: -(-len(folds) // _FEW)]
    by_number = {fold.name.split("-")[0]: fold for fold in folds}  # "4-Actor_17-Actor_20" is fold 4
    numbers = dict.fromkeys(wanted.split(","))
    for number in numbers:
        if number not in by_number:
            words = () if len(numbers) > 1 else ("all", "few", FINAL)  # stand by themselves
            raise unknown("--fold", number, [*words, *by_number])
    return tuple(by_number[number] for number in numbers)
