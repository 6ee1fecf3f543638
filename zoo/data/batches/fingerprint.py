"""Notice that the arithmetic of a front-end has changed, so that features of the former one are not taken for new."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from zoo.utils.atomic_files import written_aside

_FINGERPRINTS: MutableMapping[Callable, dict[tuple[int, float], str]] = WeakKeyDictionary()


def fingerprint(features_of: Callable[[np.ndarray], np.ndarray], rate_hz: int, seconds: float) -> str:
    """Return a hash of an extractor's features of one generated signal, which changes when its arithmetic does.

    Not when the last bits do: it is of means over time and neighbouring bands, to three significant digits.
    """
    known = _FINGERPRINTS.setdefault(features_of, {})
    if (rate_hz, seconds) not in known:
        time = np.arange(round(seconds * rate_hz)) / rate_hz
        sawtooth = (120 * time + 40 * time**2) % 1 - 0.5  # of rising pitch, over noise: every band has energy
        signal = 0.5 * sawtooth + np.random.default_rng(0).uniform(-0.01, 0.01, len(time))
        signal[: len(time) // 10] = 0  # a pause, for what keeps logarithms and quotients finite
        features = np.asarray(features_of(signal.astype(np.float32)), np.float64)
        rising = np.linspace(0.5, 1.5, len(features))[:, None] / len(features)  # so that order in time matters
        bands = np.stack([(part(features, 0) * rising).sum(axis=0) for part in (np.maximum, np.minimum)])
        groups = np.array_split(bands, min(16, features.shape[1]), axis=1)
        means = np.stack([group.mean(axis=1) for group in groups])
        step = 10 ** (np.floor(np.log10(np.abs(means).max(axis=1, keepdims=True) + 1e-30)) - 2)
        content = f"{features.shape} {step.tolist()} {(np.round(means / step) + 0.0).tolist()}"  # no -0.0
        known[rate_hz, seconds] = hashlib.sha256(content.encode()).hexdigest()
    return known[rate_hz, seconds]


def kept(cache: Path, settings: Mapping[str, Any], sources: Sequence[Path], make: Callable[[], str]) -> str:
    """Return what `make` does, a fingerprint, from the cache where it is known; a front-end then need not be started.

    It is known where neither `settings`, which name the versions of packages, nor the front-end's code has changed:
    the content of `sources`. Without these it is always made.
    """
    if not sources:
        return make()
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for path in sources:
        digest.update(path.read_bytes())
    path = cache / "fingerprints" / digest.hexdigest()[:16]
    known = path.read_text(encoding="ascii", errors="replace") if path.is_file() else ""
    if re.fullmatch("[0-9a-f]{64}", known):
        return known
    found = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(path) as aside:
        aside.write_text(found, encoding="ascii")
    return found
