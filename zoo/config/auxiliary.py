"""Define the settings of what a network learns beside its labels, a teacher, contrast and adversaries, and of what its
history holds beside the loss.
"""

from dataclasses import dataclass

from zoo.config.fields import flag as _flag


@dataclass(frozen=True)
class Auxiliary:
    """Fields of RunConfig, each a flag; networks of emotions that are trained by gradient heed them."""

    teacher: str = _flag(
        "",
        "soft_labels",
        "runs or exports, A,B,..., whose mean probabilities are learnt beside labels, and in place of missing ones "
        "(Hinton et al. 2015)",
        later=True,
    )
    teacher_weight: float = _flag(0.5, "soft_labels", "share of --teacher in the loss", least=0.0, most=1.0, later=True)
    temperature: float = _flag(
        2.0, "soft_labels", "softens the probabilities of --teacher and network", least=1.0, most=100.0, later=True
    )
    contrastive: float = _flag(
        0.0,
        "soft_labels",
        "weight of the supervised contrastive loss (Khosla et al. 2020); 0: none",
        least=0.0,
        most=1000.0,
        later=True,
    )
    contrastive_temperature: float = _flag(
        0.1, "soft_labels", "of the contrastive loss", least=0.01, most=100.0, later=True
    )
    adversarial: str = _flag(
        "",
        "soft_labels",
        "what to unlearn, and the scale of the reversed gradient (Ganin and Lempitsky 2015): speaker=0.1,corpus=0.05",
        later=True,
    )
    record_accuracy: bool = _flag(
        False,
        "soft_labels",
        "accuracy on training and test clips after each epoch, in history.csv; nothing is chosen by it",
        later=True,
    )
