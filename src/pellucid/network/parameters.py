"""The arrays of a network by the lectures' numbers: ``net.W[1]``."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.layers import Layer


class ParametersByLayer(MutableMapping[int, NDArray[Any]]):
    """The arrays of one letter by the lectures' numbers: ``net.W[1]`` is W[1].

    The arrays are the network's own, so writing into them counts; assigning to an entry copies
    the values in, whatever their type, and checks that they are real numbers of the right shape.
    """

    def __init__(self, letter: str, layers: Sequence[Layer]) -> None:
        self._letter = letter
        self._arrays: dict[int, NDArray[Any]] = {
            layer.number: layer.parameters[letter] for layer in layers if letter in layer.parameters
        }

    def __getitem__(self, number: int) -> NDArray[Any]:
        if number not in self._arrays:
            known = ", ".join(map(str, self._arrays)) or "none"
            raise KeyError(
                f"no {self._letter}[{number}] in this network; layers with {self._letter}: "
                f"{known}. The lectures count layers from 1; layer 0 is the input."
            )
        return self._arrays[number]

    def __setitem__(self, number: int, values: Any) -> None:
        put(f"{self._letter}[{number}]", self[number], values)

    def __delitem__(self, number: int) -> None:
        raise TypeError(f"{self._letter}[{number}] cannot be deleted; make a new Network instead.")

    def __iter__(self) -> Iterator[int]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{number}: {W.shape}" for number, W in self._arrays.items())
        return f"<{self._letter} of layers {{{shapes}}}>"


def put(name: str, array: NDArray[Any], values: Any) -> None:
    """Copy values into a parameter; refuse what are no real numbers of its shape."""
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers; got the dtype {values.dtype}.")
    if values.shape != array.shape:
        raise ValueError(
            f"{name} has shape {array.shape}; got {values.shape}."
            + (" Pass the transpose." if values.shape == array.shape[::-1] else "")
        )
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only: {name}.flags.writeable = True lets it be written.")
    try:
        with np.errstate(over="raise"):
            array[...] = values.astype(array.dtype)
    except FloatingPointError:
        raise ValueError(
            f"{name} is {array.dtype}; got {np.abs(values).max():.3g}, which it cannot hold."
        ) from None
