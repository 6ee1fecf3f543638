"""Save figures as PNG files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.utils.atomic_files import written_aside

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Figures are made without pyplot: it keeps global state and may ask for a screen. Matplotlib takes half a second to
# import, so it is imported by the functions that draw.


def save_png(figure: Figure, path: str | os.PathLike) -> None:
    with written_aside(Path(path)) as aside:
        figure.savefig(aside, format="png", dpi=120)
