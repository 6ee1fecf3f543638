"""Say which clips of labelled data a model was trained or validated on: by their audio, or by corpus and name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.config.run_config import RunConfig
from zoo.data import clip_hashes
from zoo.data.clip_hashes import SIDES, ClipHashes
from zoo.data.corpora import registry
from zoo.runs import training_clips
from zoo.runs.labelled import Part
from zoo.runs.open_run import OpenedRun
from zoo.training import seen_before


@dataclass(frozen=True)
class Known:
    """What a model says of its clips: hashes of their audio, and sides by (corpus, name).

    `checked_by` is some of "audio", "names" and "corpus", or empty where nothing can be checked; `said` is that in a
    sentence.
    """

    hashes: ClipHashes | None
    names: Mapping[tuple[str, str], str]
    checked_by: tuple[str, ...]
    said: str

    def side_of(self, corpus: str, name: str, audio_sha256: str) -> str:
        """Return the side of `clip_hashes.SIDES` that a clip was on, "" where it was on none or that is unknown."""
        found = {self.names.get((corpus, name), ""), self.hashes.side_of(audio_sha256) if self.hashes else ""}
        return next((side for side in SIDES if side in found), "")


def of_run(run: OpenedRun, parts: Sequence[Part]) -> Known:
    """Return what the folds of a run, as it is opened, were trained on."""
    about = {"protocol": run.record["protocol"], "model": run.settings.model}
    folds = [folder.name.removeprefix("fold-") for folder in run.fold_folders]
    hashes = training_clips.of_folds(run.fold_folders)
    return _known(run.corpus, hashes, folds, {**run.record, **about}, parts, run.settings)


def of_export(description: Mapping[str, Any], parts: Sequence[Part]) -> Known:
    """Return what an export was trained on."""
    content = description.get("clips")
    hashes = clip_hashes.from_content(content) if content else None
    return _known(description["trained_on"], hashes, description.get("folds", ()), description, parts, None)


def of_elsewhere(trained_on: str) -> Known:
    """Return what is known of weights from elsewhere: nothing."""
    said = (
        f"Whether it was trained on these clips cannot be checked: it has {trained_on}, which hold no hashes of audio."
    )
    return Known(None, {}, (), said)


def _known(
    corpus: str,
    hashes: ClipHashes | None,
    folds: Iterable[str],
    about: Mapping[str, Any],
    parts: Sequence[Part],
    settings: RunConfig | None,
) -> Known:
    names: dict[tuple[str, str], str] = {}
    by_name = [part for part in parts if part.name == corpus and part.kind in registry.CORPORA]
    reasons = []
    for part in by_name:
        found, reason = _sides(part, folds, about, settings)
        names |= {(part.name, name): side for name, side in found.items()}
        reasons += [reason] * bool(reason)
    checked = ["audio"] * bool(hashes) + ["names"] * bool(names)
    if not checked and corpus.removeprefix("synthetic ") in registry.CORPORA:
        checked = ["corpus"] * all(part.kind in registry.CORPORA and part.name != corpus for part in parts)
    return Known(hashes, names, tuple(checked), _said(corpus, checked, reasons, about))


def _sides(
    part: Part, folds: Iterable[str], about: Mapping[str, Any], settings: RunConfig | None
) -> tuple[dict[str, str], str]:
    """Return the side of each clip of a corpus by its name, by the folds of the protocol; or why it is unknown."""
    ours = RunConfig(model=about["model"], corpus=part.kind, data_root=str(part.root))
    sides: dict[str, str] = {}
    for fold in folds:
        said = {"kind": "run" if settings else "export", "corpus": part.name.removeprefix("synthetic "), "fold": fold}
        seen = seen_before.of({**said, "protocol": about["protocol"]}, ours, settings)
        if seen.clips is None:
            return {}, seen.reason
        sides |= {clip.name: "validation" for clip in seen.clips if clip.name not in sides}
        sides |= {clip.name: "train" for clip in seen.trained}
    return sides, ""


def _said(corpus: str, checked: Sequence[str], reasons: Sequence[str], about: Mapping[str, Any]) -> str:
    how = {
        ("audio", "names"): "Clips that it was trained on are recognised by their audio, and by corpus and name.",
        ("audio",): "Clips that it was trained on are recognised by their audio.",
        ("names",): "Clips that it was trained on are recognised by corpus and name: it holds no hashes of audio.",
        ("corpus",): f"It was trained on {corpus}, another corpus, and holds no hashes of audio to compare clips by.",
    }
    nothing = f"Whether it was trained on these clips cannot be checked: it was trained on {corpus} and holds no hashes"
    why = f" ({reasons[0]})" if reasons else ""
    said = how.get(tuple(checked), f"{nothing} of audio{why}. Runs and exports of this version hold them.")
    earlier = dict.fromkeys(one.get("name", "") for key in ("initial", "teachers") for one in about.get(key) or ())
    if earlier:
        said += f" Clips of the models that it learnt from ({', '.join(filter(None, earlier))}) are not recognised."
    return said
