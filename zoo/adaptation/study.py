"""Score speakers whom a run was not trained on as strangers, and adapted to clips of their own.

Figures of adapted speakers are no figures of strangers, and stand beside those of the same clips without adaptation.
"transductive": adapted on all of a speaker's clips, without labels, and scored on them. "inductive": adapted on some,
scored on the speaker's others. "few_shot": a head of some labelled clips, scored on the others. Draws of clips depend
on seed, speaker, number and draw alone, so that all methods are compared on the same clips.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from zoo.adaptation import class_means, few_shot, prior
from zoo.adaptation.methods import METHODS, Plan
from zoo.adaptation.network import ADAPT, as_trained
from zoo.adaptation.speakers import Speaker, collect
from zoo.errors import UserError
from zoo.metrics.bootstrap import Parts, bootstrap_interval, figures
from zoo.metrics.classification import accuracies, confusion_matrix, unweighted_accuracy
from zoo.metrics.undefined import number, with_interval
from zoo.runs.confidence_file import checksum
from zoo.runs.open_run import OpenedRun, open_run
from zoo.utils.progress import Progress

ALL = "all"
FIGURES = ("wa", "ua")
_LEAST = 1e-7  # of a probability of a head
KINDS = ("stranger", "adapted", "change")


@dataclass(frozen=True)
class Amount:
    """How many clips of a speaker are taken: `n`, or `n` of every class with labels; 0 is all, then scored too."""

    n: int
    per_class: bool = False

    @property
    def name(self) -> str:
        return f"{self.n} per class" if self.per_class else str(self.n) if self.n else ALL

    @property
    def setting(self) -> str:
        return "few-shot" if self.per_class else "inductive" if self.n else "transductive"


@dataclass(frozen=True)
class Outcome:
    """A speaker's clips of one draw that were scored: positions, and probabilities (m, classes) without and with.

    `own` are the positions of the clips adapted to.
    """

    scored: np.ndarray
    own: np.ndarray
    stranger: np.ndarray
    adapted: np.ndarray


# Of each of a speaker's networks: vectors (n, width) and probabilities (n, classes) of all clips.
Answers = Sequence[tuple[np.ndarray, np.ndarray]]


def answers_of(speaker: Speaker, plan: Plan, own: np.ndarray) -> Answers:
    """Return the answers of a speaker's networks to all clips, each adapted to the unlabelled clips at `own`."""
    method = ADAPT[plan.network] if plan.network else as_trained
    return [
        method(network, [features[position] for position in own], plan.network_strength).outputs(features)
        for network, features in zip(speaker.networks, speaker.features, strict=True)
    ]


def behind(answers: Answers, plan: Plan, trained: np.ndarray, own: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return probabilities (n, classes) by the plan's method behind the networks, whose mean probabilities it changes.

    `own` are positions of the speaker's clips, `labels` theirs where the plan takes some, `trained` the shares
    of classes in training, which methods with "prior" assume and "prior_estimated" begins with.
    """
    given = np.mean([probabilities for _, probabilities in answers], axis=0)
    vectors, strength = np.concatenate([vectors for vectors, _ in answers], axis=1), plan.answers_strength
    if plan.answers == "few_shot_logistic":
        head = few_shot.logistic(vectors[own], labels, vectors, len(trained), strength)
        return prior.reweighted(given * np.maximum(head, _LEAST), np.ones(len(trained)))
    if plan.answers == "few_shot":
        return class_means.fit_labelled(vectors[own], labels, len(trained), strength).probabilities(vectors, given)
    if plan.answers in ("class_means", "class_means_prior"):
        shares = trained if METHODS[plan.answers].assumes else None
        return class_means.fit(vectors[own], given[own], strength, shares).probabilities(vectors, given)
    if plan.answers == "prior":
        return prior.reweighted(given, prior.weights_for(given[own], trained) ** strength)
    if plan.answers == "prior_estimated":
        return prior.reweighted(given, (prior.estimate_prior(given[own], trained) / trained) ** strength)
    return given


def as_stranger(speaker: Speaker) -> Answers:
    """Return the answers of a speaker's networks as training left them."""
    return answers_of(speaker, Plan(), np.arange(len(speaker.clips)))


def score(speaker: Speaker, stranger: Answers, plan: Plan, amount: Amount, draws: int, seed: int) -> list[Outcome]:
    """Return the outcome of every draw of a speaker's clips; of all clips there is one. `stranger`: `as_stranger`."""
    every, of_name = np.arange(len(speaker.clips)), zlib.crc32(speaker.name.encode())
    nothing = np.zeros(0, int)  # labels
    probabilities = behind(stranger, Plan(), speaker.trained, every, nothing)
    beforehand = answers_of(speaker, plan, every) if plan.network and amount.per_class else stranger
    outcomes = []
    for draw in range(draws if amount.n else 1):
        own, labels, answers = every, nothing, beforehand
        rng = np.random.default_rng([seed, of_name, amount.n, draw])
        if amount.per_class:
            own = few_shot.draw(speaker.truth, amount.n, rng)
            labels = speaker.truth[own]
        elif amount.n:
            own = np.sort(rng.choice(every, amount.n, replace=False))
        if plan.network and not amount.per_class:
            answers = answers_of(speaker, plan, own)
        scored = np.setdiff1d(every, own) if amount.n else every
        found = behind(answers, plan, speaker.trained, own, labels)
        outcomes.append(Outcome(scored, own, probabilities[scored], found[scored]))
    return outcomes


def check_amounts(speakers: Sequence[Speaker], amounts: Sequence[Amount]) -> None:
    """Raise UserError where a speaker has too few clips for an amount."""
    for amount, speaker in product(amounts, speakers):
        per_class = np.unique(speaker.truth, return_counts=True)[1].min()
        fewest = int(per_class) if amount.per_class else len(speaker.clips)
        if amount.n >= fewest:
            raise UserError(
                f"--clips {amount.n}: expected less than speaker {speaker.name} has, {fewest} clips"
                f"{' of a class' * amount.per_class}, so that some are left to score. Give a smaller number"
            )


def summary(speakers: Sequence[Speaker], outcomes: Sequence[Sequence[Outcome]], amount: Amount) -> dict[str, Any]:
    """Return the figures of one amount for strict JSON; `outcomes` are by speaker and draw.

    "stranger" and "adapted" have "wa" and "ua" in 0..1, "change" is the difference; each is a mean over draws, with
    its 95 % interval over speakers and draws. `clips` counts those scored in a draw.
    """
    n_classes, pairs = len(speakers[0].trained), list(zip(speakers, outcomes, strict=True))
    runs = [
        [_confusions(speaker.truth, of_speaker[draw], n_classes) for speaker, of_speaker in pairs]
        for draw in range(len(outcomes[0]))
    ]
    values = figures(runs, _pool)
    scores = zip(values.mean(axis=0), *bootstrap_interval(runs, _pool), strict=True)
    found: dict[str, Any] = {"setting": amount.setting, "adapted_on": amount.name, "draws": len(runs)}
    found["clips"] = round(float(np.mean([np.sum(run) / 2 for run in runs])))
    found |= {kind: {} for kind in KINDS}
    for (kind, figure), score_of in zip(product(KINDS, FIGURES), scores, strict=True):
        found[kind][figure] = with_interval(*score_of)
    by_draw = np.array([[unweighted_accuracy(part) for part in run] for run in runs])  # (draws, speakers, 2)
    found["per_speaker"] = {
        speaker.name: {kind: number(value) for kind, value in zip(KINDS[:2], of_speaker, strict=True)}
        for speaker, of_speaker in zip(speakers, by_draw.mean(axis=0), strict=True)
    }
    return found


def _confusions(truth: np.ndarray, outcome: Outcome, n_classes: int) -> np.ndarray:
    """Return the confusion matrices (2, classes, classes) of one speaker and draw, without and with adaptation."""
    sides = (outcome.stranger, outcome.adapted)
    return np.stack([confusion_matrix(truth[outcome.scored], side.argmax(axis=1), n_classes) for side in sides])


def _pool(parts: Parts, counts: np.ndarray) -> np.ndarray:
    """Pool the speakers' pairs of matrices: WA and UA of strangers, of adapted ones, and their differences, (n, 6)."""
    stranger, own = (accuracies([part[side] for part in parts], counts) for side in (0, 1))
    return np.concatenate([stranger, own, own - stranger], axis=1)


@dataclass(frozen=True)
class Asked:
    """What is scored: speakers of a side, and how many clips they give, in how many draws by which seed."""

    side: str
    clips: str
    draws: int
    seed: int


def amounts_of(clips: str, plan: Plan) -> list[Amount]:
    """Read --clips, "5,10,all" or "" for the default of a plan. Raises UserError for another text."""
    found = []
    for text in (clips or ("1,2,3" if plan.takes_labels else ALL)).split(","):
        if text == ALL and not plan.takes_labels:
            found.append(Amount(0))
        elif text.isascii() and text.isdigit() and int(text):
            found.append(Amount(int(text), plan.takes_labels))
        else:
            expected = "numbers from 1, such as 1,2,3" if plan.takes_labels else "numbers from 1 and all, such as 5,all"
            raise UserError(f"--clips {clips}: found {text!r}, expected for {plan.name} {expected}")
    return found


def measure(
    folders: Sequence[Path], plans: Sequence[Plan], asked: Asked, data_root: str, progress: Progress
) -> dict[str, Any]:
    """Return the record of all plans on the speakers of finished runs, for strict JSON.

    Raises UserError as `speakers.collect`, and for more clips than a speaker has.
    """
    runs = [open_run(folder) for folder in folders]
    amounts = {plan: amounts_of(asked.clips, plan) for plan in plans}
    speakers = collect(runs, asked.side, data_root, progress)
    for of_plan in amounts.values():
        check_amounts(speakers, of_plan)
    strangers = [as_stranger(speaker) for speaker in speakers]
    methods, done = {}, 0
    with progress.task("speakers", len(speakers) * sum(map(len, amounts.values()))) as advance:
        for plan, of_plan in amounts.items():
            found = []
            for amount in of_plan:
                outcomes = []
                for speaker, stranger in zip(speakers, strangers, strict=True):
                    outcomes.append(score(speaker, stranger, plan, amount, asked.draws, asked.seed))
                    advance(done := done + 1)
                found.append(summary(speakers, outcomes, amount))
            methods[plan.name] = {"done": plan.done, "assumes": plan.assumes, "figures": found}
    return {**_facts(runs, speakers, asked), "methods": methods}


def _facts(runs: Sequence[OpenedRun], speakers: Sequence[Speaker], asked: Asked) -> dict[str, Any]:
    """Return what a record says of runs and speakers."""
    first = runs[0]
    return {
        **{name: first.record[name] for name in ("model", "corpus", "protocol", "synthetic")},
        "recipe": first.settings.recipe,
        "runs": [str(run.folder) for run in runs],
        "seeds": [run.settings.seed for run in runs],
        "models_sha256": [checksum(folder) for run in runs for folder in run.fold_folders],
        "warnings": list(dict.fromkeys(text for run in runs for text in run.record.get("warnings", ()))),
        "side": asked.side,
        "seed": asked.seed,
        "folds": list(dict.fromkeys(speaker.fold for speaker in speakers)),
        "n_speakers": len({speaker.name for speaker in speakers}),
        "clips": sum(len(speaker.clips) for speaker in speakers),
        "classes": list(first.protocol.classes),
    }
