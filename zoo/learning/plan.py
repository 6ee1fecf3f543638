"""Define and check the settings of simulated labelling, and what each strategy does: who labels which clips."""

from dataclasses import dataclass, field
from typing import NamedTuple

from zoo.errors import UserError, unknown
from zoo.learning.semi_supervised import Sure
from zoo.learning.strategies import STRATEGIES as QUERIES


class Way(NamedTuple):
    """What a strategy does: `asks` people about clips of its query or random ones; what the `machine` labels."""

    asks: bool
    machine: str  # "", "self-training" or "co-training"


STRATEGIES = {
    "random": Way(asks=False, machine=""),
    "active": Way(asks=True, machine=""),
    "semi-supervised": Way(asks=False, machine="self-training"),
    "co-training": Way(asks=False, machine="co-training"),
    "cooperative": Way(asks=True, machine="self-training"),
}
QUERY = "least-certain"
SECOND_VIEW = "egemaps_svm"


@dataclass(frozen=True)
class Plan:
    """How labels are given: people label `initial` clips of every class first, then `batch` at a time up to `budget`.

    `query` chooses the clips people are asked about, with strategies that ask; `sure` says what the machine labels.
    """

    strategy: str = "cooperative"
    query: str = QUERY
    budget: int = 400
    initial: int = 2
    batch: int = 16
    sure: Sure = field(default_factory=Sure)
    second_view: str = SECOND_VIEW

    @property
    def way(self) -> Way:
        return STRATEGIES[self.strategy]

    @property
    def asks_for(self) -> str:
        """Return the name of the query that chooses clips."""
        return self.query if self.way.asks else "random"

    def counts(self, n_classes: int) -> list[int]:
        """Return the numbers of labels by people at which the curve has its points."""
        return [*range(self.initial * n_classes, self.budget, self.batch), self.budget]


def check(plan: Plan) -> None:
    """Raise UserError for names and numbers that cannot be, before anything is read."""
    if plan.strategy not in STRATEGIES:
        raise unknown("--strategy", plan.strategy, STRATEGIES)
    if plan.query not in QUERIES:
        raise unknown("--query", plan.query, QUERIES)
    if plan.query != QUERY and not plan.way.asks:
        raise UserError(
            f"--query {plan.query} has no effect on --strategy {plan.strategy}, which asks about random clips; leave "
            "it out, or choose active or cooperative"
        )
    if plan.second_view != SECOND_VIEW and plan.way.machine != "co-training":
        raise UserError(f"--second-view {plan.second_view} has no effect on --strategy {plan.strategy}; leave it out")
    for flag, value, least in (("--initial", plan.initial, 1), ("--batch", plan.batch, 1)):
        if value < least:
            raise UserError(f"{flag} is {value}, expected {least} or more")
    sure = plan.sure
    if not 0 <= sure.confidence <= 1:
        raise UserError(f"--confidence is {sure.confidence:g}, expected a probability, 0 to 1")
    if sure.balance <= 0:
        raise UserError(f"--balance is {sure.balance:g}, expected more than 0")
    if sure.rounds < 1:
        raise UserError(f"--rounds is {sure.rounds}, expected 1 or more")


def check_pool(plan: Plan, fold: str, counts: dict[str, int]) -> None:
    """Raise UserError where the budget does not fit a fold's pool, `counts` clips of each class."""
    n_classes, size = len(counts), sum(counts.values())
    if plan.budget < plan.initial * n_classes:
        raise UserError(
            f"--budget is {plan.budget}, fewer than the first labels: --initial {plan.initial} of each of {n_classes} "
            f"classes is {plan.initial * n_classes}. Give a larger budget or fewer first labels"
        )
    if plan.budget > size:
        raise UserError(
            f"--budget is {plan.budget}, and fold {fold} has {size} clips to label (its training side). Give a "
            f"budget of at most {size}"
        )
    if n_classes < 2:
        raise UserError(f"fold {fold}: all clips to label are {next(iter(counts), 'absent')}, expected several classes")
    few = {name: count for name, count in counts.items() if count < plan.initial}
    if few:
        name, count = next(iter(few.items()))
        raise UserError(
            f"--initial is {plan.initial}, and fold {fold} has {count} clips of {name} to label. Give at most {count}"
        )
