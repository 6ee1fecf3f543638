"""List the methods of adaptation by name: what each changes, and what it needs of the speaker."""

from collections.abc import Mapping
from dataclasses import dataclass

from zoo.errors import UserError, unknown

_ASSUMED = (
    "ASSUMES that the speaker's clips have training's shares of classes. In acted corpora such as RAVDESS every "
    "speaker has as many clips of each emotion, so that the assumption holds by design and favours this method; "
    "speech as people use it is not like that"
)


@dataclass(frozen=True)
class Method:
    """A row of `METHODS`. `of_network` says that it changes a network, and not the probabilities behind it.

    `strength` is the default, and `strength_is` what the number means.
    """

    title: str
    of_network: bool
    strength: float
    strength_is: str
    assumes: str = ""
    takes_labels: bool = False


METHODS: Mapping[str, Method] = {
    "statistics": Method(
        "features standardised by the speaker's mean and variance of each band", True, 1.0, "share of the speaker's"
    ),
    "batch_norm": Method(
        "statistics of batch normalisation from the speaker's clips", True, 0.5, "share of the speaker's"
    ),
    "entropy": Method(
        "entropy of the answers lowered by scale and shift of batch normalisation (Tent)",
        True,
        0.5,
        "share of the speaker's statistics",
    ),
    "prior": Method(
        "probabilities weighted until the speaker's clips have the training's shares of classes",
        False,
        1.0,
        "share of the correction",
        _ASSUMED,
    ),
    "prior_estimated": Method(
        "probabilities weighted by shares of classes estimated from the speaker's clips (EM)",
        False,
        1.0,
        "share of the correction",
    ),
    "class_means": Method(
        "probabilities times the nearness to the mean vector of each class, found from the speaker's own answers",
        False,
        5.0,
        "weight of the cosine",
    ),
    "class_means_prior": Method(
        "class_means, with probabilities weighted until the clips have the training's shares of classes",
        False,
        5.0,
        "weight of the cosine",
        _ASSUMED,
    ),
    "few_shot": Method(
        "probabilities times the nearness to the mean vector of each class, of labelled clips of the speaker",
        False,
        5.0,
        "weight of the cosine",
        takes_labels=True,
    ),
    "few_shot_logistic": Method(
        "probabilities times those of a logistic regression on the vectors of labelled clips of the speaker",
        False,
        0.1,
        "C of the regression",
        takes_labels=True,
    ),
}


@dataclass(frozen=True)
class Plan:
    """What is done: a method of the network or none, then one of the probabilities or none, each with its strength."""

    network: str = ""
    network_strength: float = 0.0
    answers: str = ""
    answers_strength: float = 0.0

    @property
    def parts(self) -> list[tuple[str, float]]:
        """Methods with their strengths, in the order in which they are done."""
        chosen = ((self.network, self.network_strength), (self.answers, self.answers_strength))
        return [(name, strength) for name, strength in chosen if name]

    @property
    def name(self) -> str:
        """The text that `plan_of` reads, without strengths that are the default."""
        return "+".join(
            name if strength == METHODS[name].strength else f"{name}:{strength:g}" for name, strength in self.parts
        )

    @property
    def takes_labels(self) -> bool:
        return bool(self.answers) and METHODS[self.answers].takes_labels

    @property
    def done(self) -> str:
        """What is done, in words."""
        rows = [(METHODS[name], strength) for name, strength in self.parts]
        return ", then ".join(f"{row.title} ({row.strength_is} {strength:g})" for row, strength in rows)

    @property
    def assumes(self) -> str:
        """What is assumed of the speaker's clips, "" where nothing is."""
        return "".join(METHODS[name].assumes for name, _ in self.parts)


def plan_of(text: str) -> Plan:
    """Read "batch_norm", "batch_norm:0.25" or "batch_norm:0.25+prior": methods, each with an optional strength.

    Raises UserError for an unknown method, two of one kind, one of the network behind another kind, or a strength that
    is out of its range.
    """
    found: list[tuple[str, float]] = []
    for part in text.split("+"):
        name, _, given = part.partition(":")
        if name not in METHODS:
            raise unknown("--method", name, METHODS)
        found.append((name, _strength(name, given)))
    kinds = [METHODS[name].of_network for name, _ in found]
    if kinds not in ([True], [False], [True, False]):
        raise UserError(
            f"--method {text}: expected one method, or one of the network ({_names(True)}) and then one of its answers "
            f"({_names(False)})"
        )
    first, last = found[0], found[-1]
    nothing = ("", 0.0)
    return Plan(*(first if kinds[0] else nothing), *(nothing if kinds[-1] else last))


def _strength(name: str, given: str) -> float:
    if not given:
        return METHODS[name].strength
    try:
        value = float(given)
    except ValueError:
        value = float("nan")
    highest = 1.0 if METHODS[name].strength_is.startswith("share") else 1000.0
    if not 0 < value <= highest:
        raise UserError(
            f"--method {name}:{given}: expected {METHODS[name].strength_is} above 0, at most {highest:g}, such as "
            f"{name}:{METHODS[name].strength:g}"
        )
    return value


def _names(of_network: bool) -> str:
    return ", ".join(name for name, row in METHODS.items() if row.of_network == of_network)
