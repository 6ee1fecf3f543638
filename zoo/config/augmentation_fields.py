"""Define settings of a run that make more of few recordings; zoo.config.run_config has the others."""

from dataclasses import dataclass

from zoo.config.fields import flag as _flag

# Of waveforms, as zoo.data.augmentation.conditions makes them.
AUGMENTATIONS = ("noise", "room", "speed", "pitch", "vocal_tract")
# Settings of --augment-waveforms, and the kind each is of.
RANGES = {"speed_range": "speed", "pitch_range": "pitch", "vocal_tract_range": "vocal_tract"}


@dataclass(frozen=True)
class AugmentationFields:
    """Settings that RunConfig takes over."""

    augment_waveforms: str = _flag(
        "none",
        "copies",
        "train on altered copies too: noise, room, speed, pitch, vocal_tract, or several: noise,pitch",
        later=True,
    )
    copies: int = _flag(3, "copies", "per clip; an epoch takes one of them or the clip itself", least=1, later=True)
    responses: str = _flag("", "responses", "folder of impulse responses (default: computed ones)", later=True)
    augment_snr: tuple[float, ...] = _flag(
        (0.0, 15.0), "augment_noise", "lowest and highest ratio in dB", least=-30.0, most=60.0, pair=True, later=True
    )
    speed_range: tuple[float, ...] = _flag(
        (0.9, 1.1), "copies", "of tempo and pitch together (Ko et al. 2015)", least=0.5, most=2.0, pair=True, later=True
    )
    pitch_range: tuple[float, ...] = _flag(
        (0.84, 1.19),
        "copies",
        "range of the fundamental frequency alone, formants kept (Roebel and Rodet 2005)",
        least=0.5,
        most=2.0,
        pair=True,
        later=True,
    )
    vocal_tract_range: tuple[float, ...] = _flag(
        (0.9, 1.1),
        "copies",
        "range of formants alone, pitch kept (Jaitly and Hinton 2013)",
        least=0.7,
        most=1.4,
        pair=True,
        later=True,
    )
    band_warp: float = _flag(
        0.0,
        "crops",
        "frequencies warped by up to this share, as vocal tracts differ (Jaitly and Hinton 2013)",
        least=0.0,
        most=0.5,
        later=True,
    )
    snapshots: int = _flag(
        1,
        "soft_labels",
        "cycles of the schedule, all run to their ends; their last networks' answers are averaged (Huang et al. 2017)",
        least=1,
        most=20,
        later=True,
    )
    sampling: str = _flag(
        "clips",
        "soft_labels",
        "an epoch has each clip once, or as many clips drawn: classes alike, by the root of their numbers, or corpora "
        "and in each its classes alike (Kang et al. 2020)",
        choices=("clips", "balanced", "square_root", "corpora"),
        later=True,
    )
