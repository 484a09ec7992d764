"""What a training leaves to be looked at: the way of its parameters, and three costs by step.

Both only look: the training is the same to the bit with and without them. Both have a bounded
memory, and look seldom enough that training does not wait for them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Path:
    """Where all parameters were, from the first step to now, every ``stride`` steps.

    When it is full every second point is dropped and the stride doubles, so a training of any
    length has between half of ``most`` and ``most`` points.

    >>> path = Path(n_parameters=2)
    >>> for step in range(1000):
    ...     if path.wait(step) == 0:
    ...         path.add(step, {"W1": np.array([[step, -step]])})
    >>> path.stride, len(path.steps), path.steps[-1]
    (2, 500, 998)
    >>> path.of([1])[-1]
    array([-998.], dtype=float32)
    """

    MOST, MOST_NUMBERS = 512, 4_000_000

    def __init__(self, n_parameters: int) -> None:
        self.most = max(16, min(self.MOST, self.MOST_NUMBERS // n_parameters))
        self.restart()

    def restart(self) -> None:
        """Forget all: the parameters were moved by hand."""
        self.stride = 1
        self.steps: list[int] = []
        self._points: list[NDArray[np.float32]] = []

    def wait(self, step: int) -> int:
        """Return how many steps after this one the next point is due; 0: now."""
        return max(0, self.steps[-1] + self.stride - step) if self.steps else 0

    def add(self, step: int, parameters: Mapping[str, NDArray[Any]]) -> None:
        """Take a point."""
        if len(self.steps) == self.most:
            self.steps, self._points, self.stride = (
                self.steps[::2],
                self._points[::2],
                2 * self.stride,
            )
            if self.wait(step):
                return
        self.steps.append(step)
        parts = [array.ravel() for array in parameters.values()]
        self._points.append(np.concatenate(parts, dtype=np.float32))

    def of(self, numbers: list[int]) -> NDArray[np.float32]:
        """Return (points, parameters): those parameters alone, counted through all arrays."""
        return np.array([point[numbers] for point in self._points], dtype=np.float32).reshape(
            len(self._points), len(numbers)
        )


class Costs:
    """The cost of one example, of a mini-batch and of all, at the same parameters: the last ones.

    Taken at each of the first steps and then every ``every`` steps, so that the passes over all
    examples are about a twentieth of the work of training; ``closely``, at each step, where
    somebody steps by hand.
    """

    MOST, FIRST, CLOSELY_UP_TO = 256, 256, 4096

    def __init__(self, m: int, batch_size: int) -> None:
        # A step costs a pass forward, one backward and an update; a look is one forward over all.
        self.every = max(128, -(-20 * (m + batch_size) // (3 * batch_size)))
        self.closely = m <= self.CLOSELY_UP_TO
        self._early = max(1, self.every // 256)
        self.rows: deque[tuple[int, float, float, float]] = deque(maxlen=self.MOST)

    def wait(self, step: int, closely: bool) -> int:
        """Return how many steps after this one the costs are due; 0: now."""
        if closely and self.closely:
            return 0
        return -step % (self._early if step < self.FIRST else self.every)

    def add(self, step: int, one: float, batch: float, full: float) -> None:
        """Take the costs before a step, once."""
        if not self.rows or self.rows[-1][0] < step:
            self.rows.append((step, one, batch, full))

    def summary(self) -> dict[str, Any]:
        """Return the costs by step, and of each its mean, its deviation and how far it strays.

        It strays by the root of the mean square of its distance from the cost of all.
        """
        table = np.array(self.rows, dtype=np.float64).reshape(len(self.rows), 4)
        found: dict[str, Any] = {"steps": [row[0] for row in self.rows]}
        finite = table[np.isfinite(table).all(axis=1)]
        for k, name in enumerate(("one", "batch", "full"), start=1):
            away = finite[:, k] - finite[:, 3]
            found[name] = {"J": table[:, k]} | (
                {
                    "mean": finite[:, k].mean(),
                    "deviation": finite[:, k].std(),
                    "strays": np.sqrt((away**2).mean()),
                }
                if len(finite)
                else {"mean": None, "deviation": None, "strays": None}
            )
        return found
