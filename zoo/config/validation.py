"""Check the values of a run configuration: ranges, choices, and what excludes what."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from zoo import heads, registry
from zoo.config.augmentation_fields import AUGMENTATIONS, RANGES
from zoo.config.run_config import RunConfig, heeds
from zoo.errors import UserError, unknown


def in_words(value: Any) -> str:
    return " ".join(f"{item:g}" for item in value) if isinstance(value, tuple) else str(value)


def as_flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def check_together(config: RunConfig) -> None:
    """Raise UserError for values that exclude each other."""
    if config.synthetic and config.data_root:
        raise UserError(f"--synthetic and --data-root {config.data_root} exclude each other; give one of them")
    if config.schedule != "decay" and config.decay not in (RunConfig.decay, 0.0):
        raise UserError(
            f"--decay {config.decay} has no effect with --schedule {config.schedule}; leave one of them out"
        )
    if config.momentum and config.optimizer in ("adam", "adagrad"):
        found = f"--momentum {config.momentum} has no effect with --optimizer {config.optimizer}"
        raise UserError(f"{found}; leave one of them out")
    if config.normalize_corpora and config.standardize_speakers:
        raise UserError("--normalize-corpora and --standardize-speakers exclude each other; give one of them")
    if config.devices > 1:
        check_devices(config)
    if config.sampling != "clips" and config.class_weights != "none":
        raise UserError(
            f"--sampling {config.sampling} and --class-weights {config.class_weights} both even classes out; give "
            "--class-weights none with it"
        )
    if config.sampling == "corpora" and config.corpus_weights != "none":
        raise UserError("--sampling corpora and --corpus-weights balanced both even corpora out; give one of them")
    if config.clips and not config.synthetic:
        raise UserError("--clips is the size of a synthetic twin; expected --synthetic with it, found none. Add it")
    for name in ("target_weights", "number_loss"):
        if not config.also and getattr(config, name) != getattr(RunConfig, name):
            raise UserError(f"{as_flag(name)} has no effect without --also; add that, or leave it out")
    heads.weights(config.target_weights, (config.target, *heads.further_names(config.also, config.target)))


def check_devices(config: RunConfig) -> None:
    """Raise UserError where one device alone can be used: for linear models, and on PyTorch."""
    if registry.get(config.model).fitted == "linear":
        raise UserError(
            f"--devices {config.devices} has no effect on {config.model}, a linear model, which is solved at once; "
            "leave it out"
        )
    if config.backend == "torch":
        raise UserError(
            f"--devices {config.devices}: expected --backend tensorflow or jax, found torch, on which Keras does not "
            "share batches among devices yet. Choose one of these, or leave --devices out"
        )


def check_auxiliary(config: RunConfig) -> None:
    """Raise UserError for settings of --teacher and --contrastive without these, and for what --adversarial names."""
    needed = {"teacher_weight": "teacher", "temperature": "teacher", "contrastive_temperature": "contrastive"}
    for name, of in needed.items():
        if not getattr(config, of) and getattr(config, name) != getattr(RunConfig, name):
            raise UserError(f"{as_flag(name)} has no effect without {as_flag(of)}; add that, or leave it out")
    places = [place.strip() for place in config.teacher.split(",")] if config.teacher else []
    if not all(places) or len(set(places)) < len(places):
        raise UserError(f"--teacher {config.teacher}: expected different places, separated by commas")
    for name in heads.adversaries(config.adversarial):
        if name in (config.target, *heads.further_names(config.also, config.target)):
            raise UserError(f"--adversarial {config.adversarial}: {name} is to be learnt too; leave one of both out")


def check_snapshots(config: RunConfig) -> None:
    """Raise UserError for cycles that do not divide the epochs, and for a schedule or weights that leave them none."""
    if config.snapshots == 1:
        return
    if config.epochs % config.snapshots:
        raise UserError(
            f"--epochs is {config.epochs}, expected a multiple of --snapshots {config.snapshots}: its cycles are alike"
        )
    if config.schedule == "decay":
        raise UserError("--snapshots needs --schedule cosine or one_cycle, found decay. Give one of them")
    for name in ("init_from", "contrastive", "adversarial"):
        if getattr(config, name):
            raise UserError(f"--snapshots and {as_flag(name)} exclude each other; give one of them")
    if config.devices > 1:
        raise UserError("--snapshots and --devices exclude each other; give one of them")


def check_initial(config: RunConfig) -> None:
    """Raise UserError for settings of --init-from without it, an unknown --fine-tune, or stages without epochs."""
    names = ("init_fold", "fine_tune", "freeze_epochs", "fine_tune_rate", "init_normalization", "adapt_batch_norm")
    of_encoder = ("fine_tune", "freeze_epochs", "fine_tune_rate") if heeds(config.model, "lora") else ()
    for name in names:
        usual = not config.init_from and (name not in of_encoder or not config.fine_tune)
        if usual and getattr(config, name) != getattr(RunConfig, name):
            other = " or --fine-tune" if name in of_encoder else ""
            raise UserError(f"{as_flag(name)} has no effect without --init-from{other}; add that, or leave it out")
    words = ("all", "top", "head")
    if config.fine_tune not in ("", *words) and not (config.fine_tune.isdecimal() and int(config.fine_tune)):
        raise UserError(
            f"--fine-tune is {config.fine_tune!r:.100}, expected {', '.join(words)}, or a number of layers from 1"
        )
    if config.freeze_epochs >= config.epochs:
        raise UserError(
            f"--freeze-epochs is {config.freeze_epochs} of --epochs {config.epochs}, which leaves none for the other "
            "layers. Give fewer, or --fine-tune head"
        )


def check_encoder(config: RunConfig) -> None:
    """Raise UserError for settings of fine-tuned encoders where none is fine-tuned, and a rise without a cosine."""
    if config.warm_up and config.schedule != "cosine":
        raise UserError(
            f"--warm-up {config.warm_up} needs --schedule cosine, found {config.schedule}; give that with it"
        )
    if not heeds(config.model, "lora") or config.trains_encoder:
        return
    for name in ("lora", "encoder_rate", "layer_decay", "crop_seconds"):
        if getattr(config, name) != getattr(RunConfig, name):
            raise UserError(
                f"{as_flag(name)} has no effect on {config.model} without --fine-tune all, top or a number of layers, "
                "as its encoder is frozen; add that, or leave it out"
            )


def augmentations(config: RunConfig) -> tuple[str, ...]:
    """Return what is done to the waveforms of a run's altered copies: none or some of AUGMENTATIONS."""
    words = tuple(word.strip() for word in config.augment_waveforms.split(","))
    return () if words == ("none",) else words


def check_augmentation(config: RunConfig) -> None:
    """Raise UserError for unknown kinds of augmentation, for noise without recordings, and for what has no effect."""
    kinds = augmentations(config)
    for kind in kinds:
        if kind not in AUGMENTATIONS:
            raise unknown("--augment-waveforms", kind, ("none", *AUGMENTATIONS))
        if kinds.count(kind) > 1:
            raise UserError(f"--augment-waveforms {config.augment_waveforms} names {kind} twice; leave one out")
    if not heeds(config.model, "augment_snr"):  # who heeds noise for another purpose says so where it is used
        return
    noise = "--perturb noise" if heeds(config.model, "perturb") else "--augment-waveforms noise"
    noisy = "noise" in (*kinds, config.perturb)
    needed = {"copies": ("--augment-waveforms", kinds), "responses": ("--augment-waveforms room", "room" in kinds)}
    needed |= {name: (f"--augment-waveforms {kind}", kind in kinds) for name, kind in RANGES.items()}
    needed |= dict.fromkeys(("augment_snr", "noise"), (noise, noisy))
    for name, (flag, is_given) in needed.items():
        if not is_given and getattr(config, name) != getattr(RunConfig, name):
            raise UserError(f"{as_flag(name)} has no effect without {flag}; add that, or leave it out")
    if noisy and not config.noise:
        raise UserError(f"{noise} needs --noise DIR, a folder of recordings of noise; found none. Add it")


def check_value(item: dataclasses.Field, value: Any) -> None:
    """Raise UserError for a value of another kind than its field's, or outside its range or choices."""
    flag, values = as_flag(item.name), (value,)
    _check_kind(flag, item, value)
    choices, least, most = (item.metadata.get(key) for key in ("choices", "least", "most"))
    if isinstance(item.default, tuple):
        if item.metadata.get("pair"):
            if len(value) != 2 or value[0] > value[1]:
                raise UserError(f"{flag} is {in_words(value)}, expected two numbers, the lower one first")
        elif item.metadata.get("words"):
            if len(set(value)) != len(value) or not all(value):
                raise UserError(f"{flag} is {','.join(value)!r}, expected different names, separated by commas")
        elif len(set(value)) != len(value) or not value:
            raise UserError(f"{flag} is {in_words(value)}, expected different numbers")
        values = value
    elif choices and value not in choices:
        raise unknown(flag, value, choices)
    for one in values:
        if most is not None and not least <= one <= most:
            raise UserError(f"{flag} is {one}, expected {least} to {most}")
        if least is not None and not least <= one < float("inf"):
            raise UserError(f"{flag} is {one}, expected a finite number, at least {least}")


_KINDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", Mapping: "a mapping"}


def _check_kind(flag: str, item: dataclasses.Field, value: Any) -> None:
    """Raise UserError for a value of another type, as in a config.json or a search space that was written by hand."""
    default = {} if item.default is dataclasses.MISSING else item.default
    first = default[0] if isinstance(default, tuple) and default else default
    kind = str if item.metadata.get("words") else next(one for one in _KINDS if isinstance(first, one))
    for one in value if isinstance(default, tuple) and isinstance(value, tuple) else (value,):
        allowed = (int, float) if kind is float else kind
        if not isinstance(one, allowed) or (isinstance(one, bool) and kind is not bool):
            raise UserError(f"{flag} is {one!r:.100}, expected {_KINDS[kind]}")
        if isinstance(one, str) and "\0" in one:
            raise UserError(f"{flag} holds a NUL character; leave it out")
    if isinstance(default, tuple) and not isinstance(value, tuple):
        raise UserError(f"{flag} is {value!r:.100}, expected {'names' if item.metadata.get('words') else 'numbers'}")
