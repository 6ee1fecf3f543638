"""List named models: what they answer with, what they were trained on, and under which licence they are."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict

from zoo import registry
from zoo.data.corpora import names
from zoo.data.corpora import registry as corpora
from zoo.serving.description import outputs_of, read_description
from zoo.serving.versions import version_folder

OWN_LICENCE = "Apache 2.0"


class Listed(TypedDict):
    """A model that `zoo.load` takes by its name.

    `outputs` are the classes where `task` is "emotion", and the dimensions rated where it is "continuous"; `licence` is
    that of the data it was trained on; `megabytes` is the size of its files, 1,000,000 bytes each.
    """

    name: str
    title: str
    task: str
    outputs: list[str]
    trained_on: str
    licence: str
    megabytes: float


def listed(folders: Iterable[Path]) -> list[Listed]:
    """Describe the newest version of each model. Raises UserError for a damaged one."""
    return [_describe(folder) for folder in folders]


def _describe(folder: Path) -> Listed:
    version = version_folder(folder)
    assert version, folder
    description = read_description(version)
    model, paper = description["model"], description.get("paper", "")
    title = registry.MODELS[model].title if model in registry.MODELS else model
    short = re.match(r".*?\b\d{4}\b", paper)  # "Zhao et al. 2019"
    return Listed(
        name=folder.name,
        title=f"{title} ({short[0] if short else paper})" if paper else title,
        task=description["task"],
        outputs=list(outputs_of(description)),
        trained_on=description["trained_on"],
        licence=licence_of(description),
        megabytes=round(sum(path.stat().st_size for path in version.rglob("*") if path.is_file()) / 1e6, 1),
    )


def licence_of(description: Mapping[str, Any]) -> str:
    """Return the licences of the data that a model learnt from, its own and that of models it began with.

    `description` is its description.json. A synthetic twin has no owner but this project; of a stand-in for a corpus,
    "stand-in for A made from B", B's licence counts.
    """
    before = [one for key in ("initial", "teachers") for one in description.get(key, ())]
    own = [OWN_LICENCE] if description.get("synthetic") else map(_licence, description["trained_on"].split("+"))
    found = [*own, *(one["licence"] for one in before if one.get("licence") and not one.get("synthetic"))]
    return "; ".join(dict.fromkeys(found))


def _licence(trained_on: str) -> str:
    name = trained_on.rpartition(" ")[2].lower() if trained_on.startswith("stand-in") else trained_on
    return corpora.get(name).licence if name in corpora.CORPORA or names.is_table(name) else "unknown"
