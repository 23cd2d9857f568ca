"""What several metrics need of one image is computed once: its luma, its tensor, its scales.

It is shared while one image is measured, inside `sharing()`, and nowhere else: a codec may hand out the same array
again with other samples in it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

Result = TypeVar("Result")

_SCOPE: ContextVar[dict[tuple[object, ...], tuple[object, Any]] | None] = ContextVar("shared", default=None)


@contextmanager
def sharing() -> Iterator[None]:
    """Inside, `once` remembers; afterwards all is forgotten. Of this thread alone."""
    token = _SCOPE.set({})
    try:
        yield
    finally:
        _SCOPE.reset(token)


def once(what: str, make: Callable[..., Result], *inputs: object) -> Result:
    """`make(*inputs)`, or what it returned for the same `what` and the same objects before.

    what: names what is made, settings included. Nobody may change what comes back.
    """
    scope = _SCOPE.get()
    if scope is None:
        return make(*inputs)
    key = (what, *map(id, inputs))
    if key not in scope:
        scope[key] = (inputs, make(*inputs))  # the inputs are held, so that no other object gets their id
    return scope[key][1]
