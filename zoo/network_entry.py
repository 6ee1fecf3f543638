"""Describe one network: its builder, its front-end and task, the settings that have an effect on it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from zoo.recipes import Presets

OUTSIDE_THE_GRAPH = ("functionals", "acoustic")  # openSMILE's: their models take features, not waveforms
_ALTERED_COPIES = frozenset({"copies", "responses", "augment_noise", "noise"})
# Groups of settings (zoo.config.run_config.GROUPS) that come with a front-end.
SETTINGS = {
    "log_mel": _ALTERED_COPIES | {"spectrum", "log_mel", "crop", "crops", "pools"},
    "mfcc": _ALTERED_COPIES | {"spectrum", "mfcc", "statistics", "enhancer"},
    "mfcc_frames": frozenset({"spectrum", "windows", "noise", "ratios", "enhancer", "enhanced"}),
    "waveform": frozenset({"augment_noise", "noise"}),
    "functionals": frozenset({"functionals", "windows", "steps"}),
    "acoustic": _ALTERED_COPIES | {"functionals", "clip", "pools"},
    "joint": frozenset({"joint"}),
    "image": frozenset({"image", "weights"}),
    "encoder": frozenset({"encoder", "weights"}),
}


@dataclass(frozen=True)
class Entry:
    """One network: where its builder is (module:function, imported when used), and what its paper fixes.

    parameters: number of weights for `shape`, (outputs, inputs): inputs are bands, channels or functionals.
    task: emotion (one of several per utterance), continuous (arousal and valence along a recording) or enhancement
        (MFCCs of clean speech from those of noisy speech).
    frontend: log_mel, mfcc (statistics of MFCCs and their deltas), mfcc_frames (MFCCs of every frame), waveform,
        functionals (openSMILE, in windows), acoustic (openSMILE, of the utterance), joint (vector of a run's network),
        image (an image network on the spectrogram), or encoder (hidden states of a frozen speech encoder).
    fitted: gradient (epoch by epoch) or linear (by scikit-learn).
    settings: groups of RunConfig's fields that have an effect, beyond those of every network.
    options: keywords of the builder.
    fine_tuned: builder (module:function) of the network with a front-end's encoder inside it, for --fine-tune.
    recipes: RunConfig's fields by preset; the first is the default, "quick" that of --synthetic.
    """

    builder: str
    title: str
    paper: str
    parameters: int
    shape: tuple[int, int] = (4, 40)
    task: str = "emotion"
    frontend: str = "log_mel"
    fitted: str = "gradient"
    settings: frozenset[str] = frozenset()
    options: Mapping[str, Any] = field(default_factory=dict)
    recipes: Presets = field(default_factory=dict)
    fine_tuned: str = ""

    @property
    def takes_waveforms(self) -> bool:
        """Whether a saved model of this row takes waveforms; else it takes features."""
        return self.frontend not in OUTSIDE_THE_GRAPH

    @property
    def trains_without_keras(self) -> bool:
        """Whether neither features nor model need Keras: a linear model of openSMILE's functionals of clips."""
        return self.frontend == "acoustic"


def network_row(
    builder: str,
    paper: str,
    frontend: str,
    presets: Presets,
    title: str,
    parameters: int,
    shape: tuple[int, int] = (4, 40),
    **options: Any,
) -> Entry:
    """Return the row of a network trained by gradient; `frontend` says whether for emotions or for ratings."""
    rated = frontend in ("waveform", "functionals")
    return Entry(
        f"zoo.models.{builder}:{builder}",
        title,
        paper,
        parameters,
        shape,
        task="continuous" if rated else "emotion",
        frontend=frontend,
        settings=SETTINGS[frontend]
        | {"training"}
        | ({"ratings", "segments", "reduction"} if rated else {"emotion", "soft_labels", "several"}),
        options=options,
        recipes=presets,
    )
