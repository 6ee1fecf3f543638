"""Define the settings of recording conditions; zoo.config.run_config has the others."""

from dataclasses import dataclass

from zoo.config.fields import flag as _flag


@dataclass(frozen=True)
class ConditionFields:
    """Settings that RunConfig takes over."""

    conditions: tuple[str, ...] = _flag(
        (),
        "pairs",
        "to train and test in: clean, 6dB, telephone, telephone+hall+6dB; responses are files of --responses, or "
        "computed: telephone, classroom, hall (default: each ratio)",
        words=True,
        later=True,
    )
    detector: str = _flag(
        "fitted",
        "pairs",
        "of clean speech, which it leaves as it is; the published enhancement has none",
        choices=("fitted", "none"),
        later=True,
    )


def divided_noise(noise: str) -> tuple[str, str]:
    """Split a value of --noise, DIR, time:DIR or joined:DIR, into the folder and how it is divided (DIR: "files")."""
    for split in ("time", "joined"):
        if noise.startswith(f"{split}:"):
            return noise.removeprefix(f"{split}:"), split
    return noise, "files"
