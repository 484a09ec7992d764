"""Augmentations: what chance may do to an example without changing what it shows.

One table, :data:`AUGMENTATIONS`. An entry gets pictures, (m, rows, columns, channels), and four
random 32-bit words for each, and returns pictures of the same shape; it is a pure function of both.

>>> pictures = np.array([[1.0, 2, 3], [4, 5, 6]]).reshape(1, 2, 3, 1)
>>> Flip().change(pictures, np.full((4, 1), 2**32 - 1, dtype=np.uint32))[0, :, :, 0]
array([[3., 2., 1.],
       [6., 5., 4.]])
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pellucid._catalogue import Entry, lookup
from pellucid.checks import is_whole

Pictures = NDArray[Any]
Words = NDArray[np.uint32]


@dataclass(frozen=True)
class Augmentation(Entry):
    """What is done to pictures; one entry of :data:`AUGMENTATIONS`."""

    kind: ClassVar[str] = "augmentation"

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse examples of a shape that it cannot be done to."""
        if len(shape) != 3:
            raise ValueError(
                f"{self.name} is for pictures, (rows, columns, channels); this network takes "
                f"{' x '.join(map(str, shape))} numbers."
            )

    def change(self, X: Pictures, words: Words) -> Pictures:
        """Return the pictures as these random words, (4, m), want them."""
        raise NotImplementedError


@dataclass(frozen=True)
class Shift(Augmentation):
    """A[i + dy, j + dx] = X[i, j], 0 where nothing comes from.

    dy and dx are whole numbers from -pixels to pixels, each as likely. Simard, Steinkraus, Platt
    2003.

    >>> picture = np.array([[1.0, 2], [3, 4]]).reshape(1, 2, 2, 1)
    >>> Shift(1).change(picture, np.array([[2**32 - 1], [0], [0], [0]], np.uint32))[0, :, :, 0]
    array([[0., 0.],
           [2., 0.]])
    """

    pixels: int = 2

    name = "shift"
    formula = "A[i + dy, j + dx] = X[i, j]; |dy|, |dx| <= pixels"

    def __post_init__(self) -> None:
        self._require(is_whole(self.pixels, 1), "pixels", "a whole number of 1 or more")

    def check_shape(self, shape: tuple[int, ...]) -> None:
        super().check_shape(shape)
        if self.pixels >= min(shape[:2]):
            raise ValueError(
                f"shift by up to {self.pixels} pixels can leave nothing of a picture of "
                f"{shape[0]} x {shape[1]}; take fewer: Shift({min(shape[:2]) - 1})."
            )

    def change(self, X: Pictures, words: Words) -> Pictures:
        p, count = self.pixels, np.uint64(2 * self.pixels + 1)
        draws = (words[:2].astype(np.uint64) * count >> np.uint64(32)).astype(np.intp)  # 0 to 2p
        row, column = 2 * p - draws  # dy = draw - p: the window of the wide picture at p - dy
        wide = np.pad(X, ((0, 0), (p, p), (p, p), (0, 0)))
        windows = sliding_window_view(wide, X.shape[1:3], axis=(1, 2))
        return np.moveaxis(windows[np.arange(len(X)), row, column], 1, -1)


@dataclass(frozen=True)
class Flip(Augmentation):
    """A[i, j] = X[i, columns - 1 - j] for one picture in two: left and right change sides."""

    name = "flip"
    formula = "A[i, j] = X[i, columns - 1 - j] or X[i, j]"

    def change(self, X: Pictures, words: Words) -> Pictures:
        turned = words[0] >= 2**31
        changed: Pictures = np.where(turned[:, None, None, None], X[:, :, ::-1], X)
        return changed


AUGMENTATIONS: dict[str, type[Augmentation]] = {entry.name: entry for entry in (Shift, Flip)}
"""Every augmentation by its name. A new one is a class here and a word in this table."""


def augmentation(spec: str | Augmentation | type[Augmentation] | dict[str, Any]) -> Augmentation:
    """Return the augmentation that a name, an object or a dict stands for.

    >>> augmentation("shift")
    Shift(pixels=2)
    """
    return lookup(AUGMENTATIONS, spec, Augmentation)
