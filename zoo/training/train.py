"""Train and test every fold of a configuration, and write a run folder with models, predictions and figures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import own_network, registry
from zoo.config import validation
from zoo.config.run_config import RunConfig, heeds
from zoo.data.batches.feature_store import Features
from zoo.data.schema import Clip, Fold
from zoo.features import augmented_copies, corpus_normalization, from_config, speaker_normalization
from zoo.features.extractor import Extractor
from zoo.runs import begin, environment, folds_of_final, same_data, sides, training_clips, upstream_runs
from zoo.runs.dataset import Source, audit_folds, drop_clips, fingerprint, open_source, resolve, targets_fingerprint
from zoo.runs.folder import corpus_name, fold_folder, is_finished, read_record, read_rows
from zoo.training import checkpoint, elsewhere, evaluate, fit_linear, same_audio, teacher, transfer
from zoo.training.fit import fit, kept_epoch
from zoo.training.run import Run
from zoo.training.tasks import base as tasks
from zoo.training.tasks.base import FoldData
from zoo.utils.lazy import lazy
from zoo.utils.progress import Progress, clock

if TYPE_CHECKING:
    import keras

    from zoo import losses
    from zoo.models.weights import encoder_folder
    from zoo.training import devices, encoder_tuning
else:
    keras, losses = lazy("keras"), lazy("zoo.losses")
    encoder_folder = lazy("zoo.models.weights.encoder_folder")
    devices, encoder_tuning = lazy("zoo.training.devices"), lazy("zoo.training.encoder_tuning")

_SHORT = ("fold", "best_epoch", "epochs", "seconds_per_epoch")
RANDOM_WEIGHTS = "random weights: features of an untrained network, no baseline to be reported"


def train(settings: RunConfig, resume: bool = False) -> Run:
    """Train and test the chosen folds, and write their results and the pooled ones.

    With `resume`, finished folds are kept and an interrupted one continues after its last whole epoch. Raises UserError
    for anything a user can repair.
    """
    settings, source = checked(settings)
    if settings.devices > 1:
        devices.check(settings.devices)
    with begin.opened(settings, resume) as folder, Progress() as progress:
        run = prepare(folder, settings, source, progress)
        for fold in run.source.folds:
            finish_fold(run, fold, progress)
        pool_folds(run)
    return run


def checked(settings: RunConfig) -> tuple[RunConfig, Source]:
    """Return a configuration with all spelt out, and its clips, before anything is written and every clip is read.

    Raises UserError for what cannot be trained.
    """
    settings = resolve(settings)
    source = open_source(settings)
    if not registry.get(settings.model).trains_without_keras:
        keras.config.set_dtype_policy(settings.precision)
    tasks.of(settings.model).check(settings, source.protocol)
    elsewhere.check(settings, source.protocol)
    sides.check(settings, source.folds)
    upstream_runs.check(settings, source.folds)
    return settings, source


def pool_folds(run: Run) -> None:
    """Write the results of all finished folds together."""
    task, tested = tasks.of(run.config.model), [fold for fold in run.source.folds if fold.test]
    shown = (*_SHORT, *task.FIGURES.short_of(run.facts["sides"]))
    records = [read_record(fold_folder(run.folder, fold), shown) for fold in run.source.folds]
    rows = [row for fold in tested for row in read_rows(fold_folder(run.folder, fold))]
    scores: dict[str, Any] = {"classes": list(run.source.protocol.classes)}  # all that is there without a test side
    if rows:
        scores = evaluate.recorded_scores(rows, run.config, run.source.protocol, run.folder)
    folds = [{name: record[name] for name in shown} for record in records]
    scores |= evaluate.of_people([clip for fold in tested for clip in fold.test], run.source.protocol)
    evaluate.write_results(run.folder, rows, {**run.facts, **scores, "folds": folds}, run.title())


def prepare(folder: Path, settings: RunConfig, source: Source, progress: Progress) -> Run:
    """Read, check and audit every clip, and compute its features, before anything is trained."""
    extractor = from_config.extractor(settings)
    origins, teachers = transfer.origins(settings, source), teacher.opened(settings, source)
    teacher.audit(teachers, source, {}, None, settings)  # of speakers, before anything is read
    sounds = augmented_copies.open_sounds(settings, extractor.rate_hz)
    clips, begun = source.clips, time.perf_counter()
    with progress.task("features", len(clips)) as advance:
        features, bad = from_config.features_of(settings, extractor, clips, advance, settings.on_bad_clip)
    source = drop_clips(source, bad)
    versions, bad_copies = _versions(settings, source, extractor, sounds, progress)
    source, bad = drop_clips(source, bad_copies), [*bad, *bad_copies]
    progress.line(f"features of {len(clips)} clips took {clock(time.perf_counter() - begun)}")
    hashes = {name: item.audio_sha256 for name, item in features.items()}
    data = {"data_sha256": fingerprint(source, hashes), **sounds.sha256, **upstream_runs.hashes(settings, source.folds)}
    if settings.network_file:
        data["network_sha256"] = own_network.find(settings.model, Path(settings.network_file)).sha256
    if settings.also:
        data["targets_sha256"] = targets_fingerprint(source, settings.heads)
    if "weights_sha256" in extractor.settings:
        data["weights_sha256"] = str(extractor.settings["weights_sha256"])
    elif settings.trains_encoder:
        data["weights_sha256"] = encoder_folder.read(Path(settings.weights)).sha256
    taught_by = teacher.audit(teachers, source, hashes, extractor, settings)
    taught, taught_sha256 = teacher.learn_from(folder, teachers, source, settings, progress)
    data |= {**transfer.hashes(origins), **taught_sha256}
    same_data.check(folder, data)
    leakage = audit_folds(source, hashes, settings.allow_leakage)
    leakage += [*transfer.audit(origins, source, hashes, extractor, settings), *taught_by]
    leakage += from_config.seen_by_encoder(settings)
    facts = {**_facts(folder, settings, source), "leakage": leakage, **data, "bad_clips": bad}
    initial = [origin.about for origin in origins.values()]
    initial += [encoder_tuning.origin(settings)] if settings.trains_encoder else []
    facts |= {"initial": initial} if initial else {}
    facts |= {"teachers": teacher.about(teachers)} if teachers else {}
    run = Run(folder, settings, source, features, versions, facts, origins, teachers, taught)
    return _against_speakers(run) if settings.standardize_speakers else run


def _against_speakers(run: Run) -> Run:
    """Return the run with features standardised by each speaker's own clips."""
    found = speaker_normalization.measure(run.source.clips, run.features)
    speaker_normalization.keep(run.folder, found)
    return _standardized(run, found, {clip.name: clip.speaker for clip in run.source.clips})


def _standardized(run: Run, found: speaker_normalization.Speakers, groups: Mapping[str, str]) -> Run:
    """Return the run with features standardised by the group, a speaker or corpus, of each clip."""

    def standardized(name: str, features: Any) -> Any:
        return speaker_normalization.Standardized(features, found, groups[name])

    return replace(
        run,
        features={name: standardized(name, item) for name, item in run.features.items()},
        versions={name: tuple(standardized(name, item) for item in copies) for name, copies in run.versions.items()},
    )


def _versions(
    settings: RunConfig, source: Source, extractor: Extractor, sounds: augmented_copies.Sounds, progress: Progress
) -> tuple[dict[str, tuple[Features, ...]], list[dict[str, str]]]:
    """Compute the features of altered copies, and list what is left out.

    They are the same in all folds, since their noise is training's.
    """
    if not validation.augmentations(settings):
        return {}, []
    fitted = (clip for fold in source.folds for clip in (*fold.train, *(fold.validation if settings.refit else ())))
    clips = list({clip.name: clip for clip in fitted}.values())
    with progress.task("features of altered copies", settings.copies * len(clips)) as advance:
        return augmented_copies.extract_copies(settings, extractor, sounds, clips, advance)


def _facts(folder: Path, settings: RunConfig, source: Source) -> dict[str, Any]:
    now = environment.here(settings)
    others = environment.note(folder, now)
    return {
        **({"name": settings.name} if settings.name else {}),
        "model": settings.model,
        "recipe": settings.recipe,
        "corpus": settings.corpus,
        "protocol": f"{source.protocol.name} v{source.protocol.version}",
        "synthetic": source.synthetic,
        "speaker_independent": source.protocol.speaker_independent,
        "sides": sides.present(source.folds),
        "notes": list(source.notes),
        **source.about,
        **folds_of_final.figures(settings),
        "warnings": [
            *source.warnings,
            *(
                [losses.WARNINGS[settings.loss]]
                if heeds(settings.model, "loss") and settings.loss in losses.WARNINGS
                else []
            ),
            *([RANDOM_WEIGHTS] if from_config.has_random_weights(settings) else []),
            *([speaker_normalization.NOTE] if settings.standardize_speakers else []),
            *([corpus_normalization.NOTE] if settings.normalize_corpora else []),
            *([f"the run {environment.sentence(others, now)}"] if others else []),
        ],
        "versions": now,
        **({"other_versions": others} if others else {}),
    }


def of_fold(run: Run, fold: Fold) -> Run:
    """Return the run with features as a fold takes them: with --normalize-corpora standardised by each corpus's own."""
    if not run.config.normalize_corpora:
        return run
    found = corpus_normalization.measure(fold, run.features)
    speaker_normalization.keep(fold_folder(run.folder, fold), found, corpus_normalization.FILE)
    corpora = {clip.name: corpus_normalization.corpus_of(clip) for clip in run.source.clips}
    return _standardized(run, found, corpora)


def fold_data(run: Run, fold: Fold) -> FoldData:
    """Return a fold of a run, ready to train; its features as `of_fold` has them."""
    settings, protocol = run.config, run.source.protocol
    return FoldData(
        fold.name,
        fold_folder(run.folder, fold),
        protocol.classes or protocol.targets,
        _training_examples(run, fold.train),
        _validation_examples(run, fold.validation),
        from_config.frontend(settings),
        _training_examples(run, (*fold.train, *fold.validation)) if settings.refit else (),
        fold.train,
        run.taught.get(fold.name, {}),
        _validation_examples(run, fold.test) if settings.record_accuracy else (),
    )


def _validation_examples(run: Run, clips: Sequence[Clip]) -> list[Any]:
    task = tasks.of(run.config.model)
    return task.examples(run.config, run.source.protocol, run.features, clips, training=False)


def _training_examples(run: Run, clips: Sequence[Clip]) -> list[Any]:
    task = tasks.of(run.config.model)
    examples = task.examples(run.config, run.source.protocol, run.features, clips, training=True)
    if not run.versions:
        return examples
    return [replace(example, versions=run.versions[clip.name]) for example, clip in zip(examples, clips, strict=True)]


def finish_fold(run: Run, fold: Fold, progress: Progress) -> dict[str, Any]:
    """Train and test a fold unless that is done; return its record."""
    folder, settings, protocol = fold_folder(run.folder, fold), run.config, run.source.protocol
    if not is_finished(folder):
        own, task, entry = of_fold(run, fold), tasks.of(settings.model), registry.get(settings.model)
        data, linear = fold_data(own, fold), entry.fitted == "linear"
        history = (fit_linear.fit if linear else fit)(data, settings, progress)
        best = kept_epoch(history, task.FIGURES.score, settings)
        plot = fit_linear.plot if linear else task.report.plot_curves
        plot(history, folder / "curves.png", run.title(fold.name), best)
        task.after_training(folder / "model.keras", data, settings)
        training_clips.write(folder, fold, run.features, from_config.rate_hz(settings))
        # openSMILE would take longer to make these features again than all that came before.
        kept = (None, own.features) if entry.trains_without_keras else ()
        tested = folder, fold.test, protocol, corpus_name(run.facts), settings
        rows = task.test_rows(*tested, *kept) if fold.test else []
        _check_unchanged(run, fold)
        record = _record(fold, history, task.FIGURES.score, settings)
        record |= task.scores(rows, protocol) if rows else {"classes": list(protocol.classes)}
        record |= evaluate.of_people(fold.test, protocol)
        evaluate.write_results(folder, rows, {**run.facts, **record}, run.title(fold.name))
    checkpoint.remove(folder)
    return read_record(folder, (*_SHORT, *tasks.of(settings.model).FIGURES.short_of(run.facts["sides"])))


def _check_unchanged(run: Run, fold: Fold) -> None:
    """Raise UserError unless what a fold was tested on is what the run's records say: training takes hours."""
    config, extractor = run.config, from_config.extractor(run.config)
    same_audio.check_files(fold.test, run.features, extractor, config.max_clip_seconds)
    before = {name: str(run.facts[name]) for name in same_data.HASHES if name in run.facts}
    sounds = augmented_copies.open_sounds(config, extractor.rate_hz).sha256
    upstream = upstream_runs.hashes(config, run.source.folds)
    models = {**transfer.hashes(run.origins), **teacher.hashes(run.folder, run.teachers)}
    same_data.check(run.folder, {**before, **sounds, **upstream, **models})


def _record(fold: Fold, history, score: str, settings: RunConfig) -> dict[str, Any]:
    best = kept_epoch(history, score, settings)
    return {
        "fold": fold.name,
        "train_clips": len(fold.train),
        "validation_clips": len(fold.validation),
        "test_speakers": sorted({clip.speaker for clip in fold.test}),
        "epochs": len(history),
        "best_epoch": best,
        **({score: history[best - 1][score]} if fold.validation else {}),
        "seconds_per_epoch": float(np.median([row["seconds"] for row in history])),
    }
