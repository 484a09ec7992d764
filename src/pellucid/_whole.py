"""Functions that arrays which record keep as one operation, not as all that they are made of."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

Function = Callable[..., Any]


def one_operation(name: str) -> Callable[[Function], Function]:
    """Let an array that has a method ``whole`` take the function as the operation of this name.

    >>> @one_operation("twice")
    ... def twice(A, times=2):
    ...     return times * A
    >>> class Recorded:
    ...     def whole(self, name, **options):
    ...         return name, options
    >>> twice(4), twice(Recorded(), 3)
    (8, ('twice', {'times': 3}))
    """

    def decorated(function: Function) -> Function:
        options = list(inspect.signature(function).parameters)[1:]

        @functools.wraps(function)
        def call(A: Any, *given: Any, **named: Any) -> Any:
            whole = getattr(A, "whole", None)
            if whole is None:
                return function(A, *given, **named)
            return whole(name, **dict(zip(options, given, strict=False)), **named)

        return call

    return decorated
