"""Import modules when something of theirs is first used: Keras with TensorFlow takes seconds, linear models need none."""

from importlib import import_module
from types import ModuleType
from typing import Any


class _Lazy(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


def lazy(name: str) -> Any:
    """Return a stand-in for a module, which imports it when an attribute is first read.

    For modules of functions: what has classes of Keras's is itself imported by functions only.
    """
    return _Lazy(name)
