"""Give groups of weights learning rates of their own: a Keras optimizer has one for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.utils.lazy import lazy

if TYPE_CHECKING:
    import keras
else:
    keras = lazy("keras")


class _LayerRates:
    """Part of an optimizer's class: weights in `shares`, by path, are trained at a share of the learning rate.

    Weight decay, which is by the rate, follows it.
    """

    shares: Mapping[str, float] = {}
    _share = 1.0  # of the variables that weight decay is applied to

    def _get_current_learning_rate(self):
        rate = super()._get_current_learning_rate()  # type: ignore[misc]
        return rate if self._share == 1 else rate * self._share

    def _backend_update_step(self, grads, trainable_variables, learning_rate):
        for share, pairs in self._groups(zip(grads, trainable_variables, strict=True), 1):
            some, variables = zip(*pairs, strict=True)
            super()._backend_update_step(list(some), list(variables), learning_rate * share)  # type: ignore[misc]

    def _apply_weight_decay(self, variables):
        for share, some in self._groups(((one,) for one in variables), 0):
            self._share = share
            super()._apply_weight_decay([one for (one,) in some])  # type: ignore[misc]
        self._share = 1.0

    def _groups(self, items, place: int):
        """Return [(share, items)]; the variable is at `place` of each item."""
        found: dict[float, list] = {}
        for item in items:
            found.setdefault(self.shares.get(item[place].path, 1.0), []).append(item)
        return found.items()


def with_rates(kind: type[keras.optimizers.Optimizer], shares: Mapping[str, float]) -> Any:
    """Return an optimizer's class that trains weights, by path, at `shares` of the learning rate; `kind` for none."""
    return type(kind.__name__, (_LayerRates, kind), {"shares": dict(shares)}) if shares else kind
