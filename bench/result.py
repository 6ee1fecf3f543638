"""Compare times by medians of turns taken in one run, so that only ratios count."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Result:
    """One measurement against its reference, both in `unit`.

    Args:
        target: what ours / reference must reach ("at least") or must not pass ("at most"), as `bound` says.
        note: what was measured, in few words.
    """

    name: str
    unit: str
    ours: float
    reference: float | None = None
    target: float | None = None
    bound: str = "at least"
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.reference is None else self.ours / self.reference

    @property
    def met(self) -> bool | None:
        """Say whether the target is reached; None without one."""
        if self.ratio is None or self.target is None:
            return None
        return self.ratio >= self.target if self.bound == "at least" else self.ratio <= self.target

    def line(self) -> str:
        parts = [f"{self.name:11} ours {self.ours:.4g} {self.unit}"]
        if self.ratio is not None:
            parts.append(f"reference {self.reference:.4g} {self.unit}, ratio {self.ratio:.3f}")
        if self.met is not None:
            parts.append(f"target {self.bound} {self.target:g}: {'met' if self.met else 'NOT MET'}")
        return "; ".join(parts) + (f" ({self.note})" if self.note else "")

    def record(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "met": self.met}


def median_seconds(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return each run's median wall time in seconds. They take turns, so that a busy machine slows them alike.

    Every run is called once untimed first: compilation is not what is measured.
    """
    for run in runs.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: median(taken) for name, taken in times.items()}
