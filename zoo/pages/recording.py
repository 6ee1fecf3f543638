"""Make the page of a recording: pictures, emotion along it, a player, summaries, a table, and the model's card."""

import base64
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UserError
from zoo.pages import recording_classes, recording_ratings
from zoo.pages.audio_views import FileView, top_hz, view
from zoo.pages.embedded_audio import data_address, mp3
from zoo.pages.model_facts import model_facts
from zoo.pages.page import clock, render
from zoo.pages.recording_classes import channel_names
from zoo.pretrained import Pretrained

EMBEDDED_SECONDS = 3600.0  # the longest recording that is put into its page unasked: 24 MB of it
_PER_SECOND, _MOST_PEAKS, _MOST_COLUMNS, _ROWS = 50, 40_000, 4096, 128  # of pictures
_WAVE_HEIGHT = 72  # pixels
_SCRIPTS = ("vendor/wavesurfer.min.js", "vendor/uPlot.iife.min.js", "templates/recording.js")


def page(model: Pretrained, path: Path, channels: str = "mix", audio: str = "auto") -> str:
    """Return the page of a recording.

    `channels` is as in `Pretrained.segments`. `audio` says whether the page has the sound: "embed", "none", or "auto",
    which has it unless the recording is longer than `EMBEDDED_SECONDS`.

    Raises BadClip for a file that cannot be used, UserError for channels of a model of ratings, which mixes them.
    """
    continuous = model.exported.continuous
    if continuous and channels != "mix":
        raise UserError(f"--channels {channels}: for models of classes; one of ratings mixes channels. Leave it out")
    pictures = _pictures(path)
    embedded = audio == "embed" or (audio == "auto" and pictures.seconds <= EMBEDDED_SECONDS)
    if continuous:
        shown = recording_ratings.shown(model, path, pictures)
    else:
        shown = recording_classes.shown(model, path, pictures, channels)
    sound = data_address(mp3(path, stereo=channels == "split"), "audio/mpeg") if embedded else ""
    warnings = [*shown.pop("warnings"), *_warnings(model, pictures, channels, audio == "auto" and not embedded)]
    facts, notes, card = model_facts(model)
    data = {"seconds": pictures.seconds, **_waves(pictures), "segments": shown.pop("places"), "charts": shown["charts"]}
    return render(
        shown.pop("template"),
        _SCRIPTS,
        data,
        name=path.name,
        about=_about(path, pictures, facts),
        warnings=warnings,
        audio=sound,
        view=pictures,
        top=f"{top_hz(pictures.rate_hz) / 1000:g} kHz",
        channel_names=channel_names(len(pictures.channels)),
        wave_height=_WAVE_HEIGHT,
        spectrograms=[data_address(one.spectrogram, "image/png") for one in pictures.channels],
        model_facts=facts,
        model_notes=notes,
        card=card,
        **shown,
    )


def _warnings(model: Pretrained, pictures: FileView, channels: str, left_out: bool) -> list[str]:
    found = []
    if left_out:
        longest = f"{EMBEDDED_SECONDS / 60:.0f} minutes"
        found.append(f"The sound is left out, since the recording is longer than {longest}; --audio embed puts it in.")
    if len(pictures.channels) > 1 and channels == "mix":
        more = "" if model.exported.continuous else "; --channels split gives each its own rows"
        found.append(f"Its {len(pictures.channels)} channels were mixed for the model{more}.")
    if model.description.get("synthetic"):
        found.append("The model was trained on synthetic speech: its answers show how the page works, nothing more.")
    return found


def _pictures(path: Path) -> FileView:
    from zoo.data.audio.blocks import seconds_of

    wanted = round(_PER_SECOND * seconds_of(path))
    return view(path, max(200, min(_MOST_PEAKS, wanted)), max(200, min(_MOST_COLUMNS, wanted)), _ROWS)


def _waves(pictures: FileView) -> dict[str, Any]:
    """Return each channel's peaks as bytes of 1/255 of full scale, base64, the loudest of all, and their height."""
    loudest = np.array([np.abs(one.peaks).max(axis=1).clip(0, 1) for one in pictures.channels])
    peaks = [base64.b64encode(np.rint(255 * one).astype(np.uint8).tobytes()).decode() for one in loudest]
    return {"waveHeight": _WAVE_HEIGHT, "peaks": peaks, "loudest": max(float(loudest.max(initial=0)), 1 / 255)}


def _about(path: Path, pictures: FileView, facts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    n = len(pictures.channels)
    of_model = [pair for pair in facts if pair[0] in ("Model", "Trained on", "Model's date")]
    return [
        ("Length", clock(pictures.seconds)),
        ("Sound", f"{n} channel{'s' * (n > 1)} at {pictures.rate_hz} Hz"),
        *of_model,
        ("File's date", datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).date().isoformat()),
    ]
