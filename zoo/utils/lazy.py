"""Import modules when something of theirs is first used: Keras takes seconds, and linear models need none of it."""

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
