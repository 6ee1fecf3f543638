"""Estimate how much each hyper-parameter matters to the score, from the trials of a search."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tuning.trials import Trial

RUNG = "epochs (rung)"  # Hyperband's: no hyper-parameter, but what scores differ by
_LEAST_TRIALS = 10
_TREES = 100
Shares = dict[str, float]
_DRAWS = 2048  # pairs of configurations: the standard error of a share is about 0.02


def importance_of(space: Mapping[str, Any], trials: Sequence[Trial]) -> tuple[list[dict[str, Any]], str]:
    """Estimate each hyper-parameter's share of the variance of the score.

    Returns the rows of importance.csv, largest share first, and how far they can be trusted; or none, and why.

    A random forest is fitted to the completed trials, and the variance of its prediction divided among the
    hyper-parameters as in functional ANOVA (Hutter, Hoos, Leyton-Brown 2014): "importance" is the first-order
    Sobol index, "with_interactions" the total one (Saltelli et al. 2010, table 2, Jansen's formulas), both 0..1.
    Each hyper-parameter is drawn independently from the values that trials had. Numbers are one column,
    logarithms where sampled so; other values are one-hot columns, changed together.
    """
    from sklearn.ensemble import RandomForestRegressor

    done = [trial for trial in trials if trial.status == "completed"]
    if len(done) < _LEAST_TRIALS:
        return [], f"expected at least {_LEAST_TRIALS} completed trials, found {len(done)}"
    scores = np.array([trial.score for trial in done])
    columns = _columns(space, done)
    if not columns:
        return [], "all completed trials have the same values"
    if np.ptp(scores) == 0:
        return [], "all completed trials score the same"
    forest = RandomForestRegressor(_TREES, oob_score=True, random_state=0)
    forest.fit(np.hstack(list(columns.values())), scores)
    main, total = sobol(forest.predict, columns, np.random.default_rng(0))
    r2, n = float(forest.oob_score_), len(done)
    rows = [
        {"parameter": name, "importance": main[name], "with_interactions": share, "forest_r2": r2, "trials": n}
        for name, share in sorted(total.items(), key=lambda item: -item[1])
    ]
    doubt = "" if r2 >= 0.25 else ": too little for these shares to mean much"
    trust = f"the forest explains {100 * max(r2, 0):.0f} % of the variance between {n} trials"
    return rows, f"{trust} (out-of-bag R² {r2:.2f}){doubt}"


def sobol(
    predict: Callable[[np.ndarray], np.ndarray], columns: Mapping[str, np.ndarray], rng: np.random.Generator
) -> tuple[dict[str, float], dict[str, float]]:
    """Return first-order and total Sobol indices of a function, its inputs drawn independently from `columns`.

    `columns` are (n, width) per input; `predict` takes (draws, sum of widths). Zeros where it is constant.
    """
    first, second = ({name: rng.choice(values, _DRAWS) for name, values in columns.items()} for _ in range(2))
    at_first, at_second = (predict(np.hstack(list(drawn.values()))) for drawn in (first, second))
    variance = np.concatenate([at_first, at_second]).var()
    main, total = dict.fromkeys(columns, 0.0), dict.fromkeys(columns, 0.0)
    if variance == 0:
        return main, total
    for name in columns:
        changed = predict(np.hstack([(second if key == name else first)[key] for key in columns]))
        main[name] = 1 - np.mean((at_second - changed) ** 2) / (2 * variance)
        total[name] = np.mean((at_first - changed) ** 2) / (2 * variance)
    return _possible(main, total)


def _possible(main: Shares, total: Shares) -> tuple[Shares, Shares]:
    """Return estimated indices within the bounds that true ones have, which estimates from draws may cross.

    A share is in 0..1, with interactions no less than alone, and those alone sum to 1 at most (Saltelli et al. 2010).
    """
    total = {name: float(np.clip(share, 0, 1)) for name, share in total.items()}
    main = {name: float(np.clip(share, 0, total[name])) for name, share in main.items()}
    whole = max(1.0, sum(main.values()))
    return {name: share / whole for name, share in main.items()}, total


def _columns(space: Mapping[str, Any], trials: Sequence[Trial]) -> dict[str, np.ndarray]:
    """Return numbers for what varies between trials, (trials, width) each."""
    found = {name: _encoded(space[name], [trial.values[name] for trial in trials]) for name in space}
    rungs = [trial.epochs for trial in trials]
    if None not in rungs:
        found[RUNG] = _encoded({}, rungs)
    return {name: values for name, values in found.items() if np.ptp(values, axis=0).any()}


def _encoded(wanted: Any, values: Sequence[Any]) -> np.ndarray:
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        texts = [json.dumps(value) for value in values]
        return (np.array(texts)[:, None] == np.unique(texts)).astype(float)
    numbers = np.array(values, dtype=float)[:, None]
    return np.log(numbers) if isinstance(wanted, Mapping) and wanted.get("sampling") == "log" else numbers
