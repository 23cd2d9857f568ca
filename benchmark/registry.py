"""Names to things, found only when asked for: entries are "module:attribute" strings, imported on first use.

That keeps `python -m benchmark list` free of torch. The shape follows lm-evaluation-harness, `lm_eval/api/registry.py`.
"""

import difflib
import importlib
from collections.abc import Iterator
from typing import Any

from benchmark.errors import UsageError


class Registry:
    """A typed table of lazy entries.

    kind: what the entries are, for messages ("codec", "data set", "metric").
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, tuple[str, str]] = {}

    def add(self, name: str, target: str, summary: str) -> None:
        """Enters `name`, whose value is the attribute that `target` ("module:attribute") names.

        Raises ValueError if another target has that name already.
        """
        known = self._entries.get(name)
        if known is not None and known[0] != target:
            raise ValueError(f"two {self.kind}s are named {name!r}: {known[0]} and {target}")
        self._entries[name] = (target, summary)

    def load(self, name: str) -> Any:
        """The thing itself; imports its module. Raises UsageError with the nearest names if there is none."""
        if name not in self._entries:
            near = difflib.get_close_matches(name, self._entries, n=3)
            hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(self._entries)}"
            raise UsageError(f"no {self.kind} is named {name!r}; {hint}")
        module, _, attribute = self._entries[name][0].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def module(self, name: str) -> str:
        """Where the thing called `name` is; imports nothing."""
        return self._entries[name][0].partition(":")[0]

    def summary(self, name: str) -> str:
        """The line that `list` prints for `name`; imports nothing."""
        return self._entries[name][1]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)
