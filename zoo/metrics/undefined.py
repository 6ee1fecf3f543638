"""Mark figures that have no value: NaN in arrays, None in records, which strict JSON can hold."""

import numpy as np


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide, with NaN where `whole` is not positive."""
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=np.asarray(whole) > 0)


def number(value: float | np.ndarray) -> float | None:
    """Convert a figure to a float, NaN to None."""
    return None if np.isnan(value) else float(value)


def with_interval(value: float, low: float, high: float) -> dict[str, float | None]:
    """Return a record of a figure and its interval."""
    return {"value": number(value), "low": number(low), "high": number(high)}
