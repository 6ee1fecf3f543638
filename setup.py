"""Puts the models of saved_models/ into the package; all else is in setup.cfg."""

import json
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

MODELS = Path("saved_models")


def shipped() -> list[Path]:
    """Return the files of the models that users get: none trained on synthetic sound, which only show that it works."""
    names = [path.parents[2].name for path in MODELS.glob("*/*/assets/description.json") if not is_synthetic(path)]
    files = [path for name in sorted(set(names)) for path in (MODELS / name).rglob("*")]
    return sorted(path for path in files if path.is_file() and path.suffix != ".lock")


def is_synthetic(description: Path) -> bool:
    return bool(json.loads(description.read_text(encoding="utf-8"))["synthetic"])


class BuildWithModels(build_py):
    """Build the package with the models as zoo/saved_models; an editable installation finds them beside it."""

    def run(self) -> None:
        super().run()
        for source, target in self._pairs():
            target.parent.mkdir(parents=True, exist_ok=True)
            self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *(str(target) for _, target in self._pairs())]

    def get_source_files(self) -> list[str]:
        """List what a source distribution takes as well."""
        return [*super().get_source_files(), *map(str, shipped())]

    def _pairs(self) -> list[tuple[Path, Path]]:
        return [] if self.editable_mode else [(path, Path(self.build_lib, "zoo", path)) for path in shipped()]


# The models keep the licence of what they were trained on (NOTICE). setup.cfg has no field for this expression.
setup(cmdclass={"build_py": BuildWithModels}, license_expression="Apache-2.0 AND CC-BY-NC-SA-4.0")
