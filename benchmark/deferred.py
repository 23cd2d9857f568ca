"""Packages whose own `__init__` runs when it is needed, while their modules can be imported at once."""

import importlib.util
import sys
from threading import RLock
from types import ModuleType
from typing import Any

_ONE_AT_A_TIME = RLock()
_WAITS = "_waits_for_its_init"


class Deferred(ModuleType):
    """A package that has not run its `__init__`: it does when it is asked for anything that it lacks."""

    def __getattr__(self, name: str) -> Any:
        asked_by_imports = name.startswith("__") and name not in ("__all__", "__version__")
        with _ONE_AT_A_TIME:  # another thread finds all of it
            if self.__dict__.get(_WAITS) and not asked_by_imports:
                self.__dict__[_WAITS] = False  # the package imports from itself
                try:
                    self.__spec__.loader.exec_module(self)  # type: ignore[union-attr]  # `defer` looked for it
                except BaseException:
                    self.__dict__[_WAITS] = True
                    raise
            if name in self.__dict__:
                return self.__dict__[name]
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)


def defer(package: str, **known: Any) -> None:
    """From now on `import package.module` runs that module alone, until something of the package itself is used.

    known: attributes that it has until then, and that its `__init__` replaces by its own. A package that is there
    already, that is not installed, or that is no ordinary one stays as it is.
    """
    if package in sys.modules:
        return
    spec = importlib.util.find_spec(package)
    if spec is None or spec.loader is None or spec.submodule_search_locations is None:
        return
    module = importlib.util.module_from_spec(spec)
    if type(module) is ModuleType:
        module.__class__ = Deferred
        module.__dict__.update(known)
        module.__dict__[_WAITS] = True
        sys.modules[package] = module
