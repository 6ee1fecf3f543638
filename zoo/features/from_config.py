"""Build the front-end, the feature extractor and the feature model that a run configuration describes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import registry
from zoo.config.frame_timing import FRAME_SECONDS, RATE_HZ, frame_seconds, steps_per_frame
from zoo.config.run_config import RunConfig, heeds
from zoo.config.saved import cache_folder
from zoo.data.batches.feature_store import Features, extract
from zoo.data.schema import Clip
from zoo.errors import UserError
from zoo.features import joint_vector
from zoo.features.extractor import Extractor, of_clip_functionals, of_functionals, of_layer
from zoo.models.weights.kinds import is_converted, is_published, unconverted
from zoo.runs import upstream_runs
from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras

    from zoo.features import enhancer
    from zoo.frontends import log_mel, mfcc, waveform
    from zoo.models.weights import encoder_folder, families
else:
    keras, enhancer = lazy("keras"), lazy("zoo.features.enhancer")
    log_mel, mfcc, waveform = (lazy(f"zoo.frontends.{name}") for name in ("log_mel", "mfcc", "waveform"))
    encoder_folder, families = (lazy(f"zoo.models.weights.{name}") for name in ("encoder_folder", "families"))


def rate_hz(config: RunConfig) -> int:
    """Return the sampling rate of the waveforms a configuration takes, in Hz. Builds no layer, reads no other run."""
    return config.rate_hz if heeds(config.model, "rate_hz") else RATE_HZ


def frontend(config: RunConfig) -> keras.layers.Layer | None:
    """Return the layer from waveforms to what the network takes, or None where openSMILE computes the features.

    Raises UserError for settings that leave no features, or a run or weights it needs that are not there.
    """
    entry = registry.get(config.model)
    try:
        return _LAYERS[entry.frontend](config) if entry.takes_waveforms else None
    except ValueError as error:
        raise UserError(f"front-end: {error}") from error


def features_of(
    config: RunConfig,
    extractor: Extractor,
    clips: Sequence[Clip],
    progress: Callable[[int], None] = lambda done: None,
    on_bad_clip: str = "fail",
) -> tuple[dict[str, Features], list[dict[str, str]]]:
    """Return the clips' features by name, from a configuration's cache or into it, and those left out.

    Raises as `extract` does.
    """
    return extract(
        clips,
        extractor.features,
        extractor.settings,
        cache_folder(config),
        rate_hz=extractor.rate_hz,
        max_seconds=config.max_clip_seconds,
        on_bad_clip=on_bad_clip,
        min_seconds=extractor.least_seconds,
        threads=extractor.threads,
        stored_as=extractor.stored_as,
        of_file=extractor.of_file,
        sources=extractor.sources,
        progress=progress,
    )


def extractor(config: RunConfig) -> Extractor:
    """Return how recordings become features before training.

    Behind an enhancer these are the MFCCs of every frame: the enhancer is another one in each fold.
    """
    if layer := enhancer.frames(config) if config.enhancer else frontend(config):
        return of_layer(layer)
    if registry.get(config.model).frontend == "acoustic":
        return of_clip_functionals(config.feature_set, config.functionals)
    return of_functionals(config.feature_set, config.functional_seconds, frame_seconds(config))


def has_random_weights(config: RunConfig) -> bool:
    """Return whether features come from a network or an encoder that nobody trained, to try the program."""
    if heeds(config.model, "encoder_layer"):
        return encoder_folder.is_random(Path(config.weights))
    return config.weights == "random"


def seen_by_encoder(config: RunConfig) -> list[str]:
    """Return what a result says of corpora that a published encoder is known to have been trained on itself."""
    if not heeds(config.model, "encoder_layer"):
        return []
    found = encoder_folder.describe(Path(config.weights))
    return [
        f"{corpus} is among the corpora that the encoder {found.folder.name} was trained on by its publishers"
        for corpus in found.trained_on
        if corpus in config.corpus.split("+")
    ]


def feature_model(config: RunConfig, fold: str) -> keras.Model | None:
    """Return the model between a front-end and a linear one, or None: a network, an enhancer, window statistics.

    It maps {"features": (batch, frames, n), "n_frames": (batch,)} to vectors (batch, width), or (batch, ratings, width)
    for ratings. `fold` names the fold of the network or enhancer.
    """
    entry = registry.get(config.model)
    if entry.frontend == "joint":
        return joint_vector.body(config, fold)
    if (entry.frontend, entry.task) != ("mfcc_frames", "continuous"):
        return None
    features = keras.Input((None, enhancer.frames(config).coefficients), name="features")
    n_frames = keras.Input((), dtype="int32", name="n_frames")
    inputs = {"features": features, "n_frames": n_frames}
    hop = steps_per_frame(config)
    if config.enhancer:
        features = enhancer.load(upstream_runs.folder_of("enhancer", config, fold))(inputs)
    window = round(config.functional_seconds / FRAME_SECONDS) * hop
    from zoo.layers.window_statistics import WindowStatistics

    statistics = WindowStatistics(window, hop, name="window_statistics")(features, n_frames)
    return keras.Model(inputs, statistics, name="statistics")


def cepstral(config: RunConfig) -> mfcc.CepstralStatistics:
    """Return the front-end of networks on statistics of MFCCs over the utterance."""
    names = ("rate_hz", "window_ms", "hop_ms", "coefficients", "mel_bands", "statistics")
    settings = {name: getattr(config, name) for name in names}
    return mfcc.CepstralStatistics(**settings, peak_normalize=config.amplitude == "peak", name="cepstral_statistics")


def _log_mel(config: RunConfig) -> log_mel.LogMel:
    names = ("window_ms", "hop_ms", "bands", "mel_scale", "floor", "trim_db", "clip_mean")
    return log_mel.LogMel(**{name: getattr(config, name) for name in names}, name="log_mel")


def _image(config: RunConfig) -> keras.layers.Layer:
    from zoo.frontends.deep_spectrum import DeepSpectrum  # its networks take seconds to import

    network = config.model.removesuffix("_svm")
    if not config.weights:
        raise UserError(
            f"--model {config.model} needs --weights FILE, those of {network} (docs/baselines.md), or random, "
            "to try the program: features of a random network, no baseline"
        )
    return DeepSpectrum(
        network,
        config.weights,
        colormap=config.colormap,
        seed=config.seed,
        picture={"bands": config.image_bands},
        name="deep_spectrum",
    )


def encoder_weights(config: RunConfig) -> Path:
    """Return the folder of the encoder. Raises UserError where none is named, or a published one, not yet converted."""
    if not config.weights:
        raise UserError(
            f"--model {config.model} needs --weights FOLDER, a published encoder as ser convert-weights writes it "
            "(docs/encoders.md)"
        )
    folder = Path(config.weights)
    if not is_converted(folder) and is_published(folder):
        raise unconverted(folder)
    return folder


def _encoder(config: RunConfig) -> keras.layers.Layer:
    """Return the encoder, or the waveform where the network holds the encoder itself."""
    from zoo.frontends.encoder_ratings import SpeechEncoderFrames
    from zoo.frontends.speech_encoder import SpeechEncoder

    encoder = encoder_folder.describe(encoder_weights(config)).config
    if registry.get(config.model).task == "continuous":
        return SpeechEncoderFrames(config.weights, layer=config.encoder_layer, name="speech_encoder")
    if config.model in families.FAMILIES and config.model != encoder.family:
        found = f"--weights {config.weights}: expected {config.model}, found {encoder.family}"
        raise UserError(f"{found}; give --model {encoder.family}, or other weights")
    if config.trains_encoder:
        return waveform.RawWaveform(encoder.rate_hz, name="waveform_frontend")
    return SpeechEncoder(
        config.weights, layer=config.encoder_layer, frames=config.encoder_frames, name="speech_encoder"
    )


_LAYERS: dict[str, Callable[[RunConfig], keras.layers.Layer]] = {
    "log_mel": _log_mel,
    "mfcc": cepstral,
    "mfcc_frames": lambda config: enhancer.frames(config),
    "waveform": lambda config: waveform.StandardWaveform(name="waveform_frontend"),
    "joint": joint_vector.frontend,
    "image": _image,
    "encoder": _encoder,
}
