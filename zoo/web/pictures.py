"""Make the pictures of a recording once, and keep them in the project's cache."""

from pathlib import Path

from zoo.pages import audio_views
from zoo.utils.atomic_files import write_json, written_aside
from zoo.web.project import Project

PEAKS, WIDTH, HEIGHT = 3_000, 1_600, 160  # spans of the waveform; pixels of a spectrogram


def view(project: Project, file: str) -> Path:
    """Return the JSON of a recording's waveform: seconds, rate_hz, top_hz, and the peaks of each channel.

    The spectrogram of channel n lies beside it as n.png. Raises BadClip.
    """
    folder = project.cache / "pictures" / file
    path = folder / "view.json"
    source = project.path(file)
    if path.exists() and path.stat().st_mtime_ns >= source.stat().st_mtime_ns:
        return path
    found = audio_views.view(source, PEAKS, WIDTH, HEIGHT)
    for number, channel in enumerate(found.channels):
        with written_aside(folder / f"{number}.png") as aside:
            aside.write_bytes(channel.spectrogram)
    peaks = [[[round(low, 4), round(high, 4)] for low, high in channel.peaks] for channel in found.channels]
    facts = {"seconds": found.seconds, "rate_hz": found.rate_hz, "top_hz": audio_views.top_hz(found.rate_hz)}
    write_json(path, {**facts, "peaks": peaks})  # last: with it, the pictures are complete
    return path
