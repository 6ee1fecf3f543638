"""Name the ingredients of a recipe, and make the runs of an ablation: each left out of it, and each alone.

The plain training that an ingredient is added to alone has the recipe's length, rate and batches, and the defaults of
RunConfig for all that is an ingredient.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.config.flags import from_flags
from zoo.config.run_config import RunConfig
from zoo.config.validation import as_flag
from zoo.errors import UserError, unknown
from zoo.utils.json_files import read_json

RECIPE, PLAIN = "recipe", "plain"
# Fields that are no ingredients: what is trained on what, how long, and where.
_GROUPS_LEFT_OUT = ("run", "data", "running", "network", "spectrum")
_LEFT_OUT = (
    *("epochs", "batch_size", "learning_rate", "optimizer", "momentum", "decay", "patience", "keep"),
    *("mel_scale", "floor", "crop_seconds"),
    *("init_from", "init_fold", "fine_tune", "freeze_epochs", "fine_tune_rate", "init_normalization"),
)
# Fields, and groups of fields, that mean nothing without another one, and go with it.
_GO_WITH = {"copies": "augment_waveforms", "augment_noise": "augment_waveforms", "noise": "augment_waveforms"}
_GO_WITH |= dict.fromkeys(("target_weights", "number_loss"), "also")
_GO_WITH |= {"teacher_weight": "teacher", "temperature": "teacher", "contrastive_temperature": "contrastive"}

Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Variant:
    """A run of an ablation: the settings that differ from the command's, and the variant it is compared with."""

    name: str
    changes: Changes
    against: str = ""

    @property
    def file(self) -> str:
        """The name as part of a file's."""
        return self.name.replace(" ", "-")


def ingredients(base: RunConfig) -> dict[str, dict[str, Any]]:
    """Return what a configuration has beyond plain training: by name, its settings other than RunConfig's defaults."""
    found: dict[str, dict[str, Any]] = {}
    for item in dataclasses.fields(base):
        value = getattr(base, item.name)
        group = item.metadata["group"]
        if group in _GROUPS_LEFT_OUT or item.name in _LEFT_OUT or value == item.default:
            continue
        name = _GO_WITH.get(item.name, _GO_WITH.get(group, item.name))
        found.setdefault(as_flag(name)[2:], {})[item.name] = value
    return found


def read_further(path: Path) -> dict[str, dict[str, Any]]:
    """Read further ingredients, JSON of the form {NAME: {FIELD: VALUE}}, with fields as a run's config.json has them.

    Raises UserError for a file that is absent or holds something else, and for unknown fields.
    """
    content = read_json(path, "ingredients", {str: {str: object}}, "Correct --ingredients")
    fields = {item.name for item in dataclasses.fields(RunConfig)}
    found: dict[str, dict[str, Any]] = {}
    for name, table in content.items():
        if not table or not re.fullmatch(r"[\w.-]+", name):
            expected = "expected a name of letters, digits, - and _, with settings"
            raise UserError(f"--ingredients {path}: {name!r}: {expected}. Correct it")
        for field in table:
            if field not in fields:
                raise unknown(f"setting of {name} in {path}", field, fields)
        found[name] = {field: tuple(value) if isinstance(value, list) else value for field, value in table.items()}
    return found


def variants(base: RunConfig, further: Mapping[str, Changes], only: Iterable[str] = ()) -> list[Variant]:
    """Return the runs: the recipe, without each ingredient, plain training, and each ingredient alone.

    An ingredient of `further` that the recipe has already is left out of it like its own; one that it has not is added.
    `only` names the ingredients that are studied; the recipe and the plain training are always there. Raises UserError
    for an unknown one.
    """
    own = ingredients(base)
    off = {field: _default(field) for fields in own.values() for field in fields}
    both = {**own, **further}
    chosen = list(dict.fromkeys(only)) or list(both)
    for name in chosen:
        if name not in both:
            raise unknown("ingredient", name, both)
    held = [name for name in chosen if all(_has(base, field, value) for field, value in both[name].items())]
    without = [
        Variant(f"without {name}", {field: _default(field) for field in both[name]}, RECIPE)
        if name in held
        else Variant(f"with {name}", both[name], RECIPE)
        for name in chosen
    ]
    alone = [Variant(f"{name} alone", {**_without_fields(off, both[name]), **both[name]}, PLAIN) for name in chosen]
    return [Variant(RECIPE, {}), *without, Variant(PLAIN, off), *alone]


def settings(given: Mapping[str, Any], variant: Variant, **more: Any) -> RunConfig:
    """Return the configuration of a variant: flags `given`, changed. Raises UserError where it cannot be."""
    options = {**given.get("option", {}), **variant.changes.get("option", {})}
    try:
        return from_flags({**given, **variant.changes, **more, **({"option": options} if options else {})})
    except UserError as error:
        said = f"{variant.name}: {error.message}. Change --ingredients, or name those to study with --only"
        raise UserError(said, error.lines) from error


def _has(base: RunConfig, field: str, value: Any) -> bool:
    if field == "option":
        return all(name in base.option and base.option[name] == one for name, one in value.items())
    return bool(getattr(base, field) == value)


def _default(field: str) -> Any:
    return RunConfig.__dataclass_fields__[field].default


def _without_fields(off: Changes, own: Changes) -> dict[str, Any]:
    return {field: value for field, value in off.items() if field not in own}
