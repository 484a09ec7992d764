"""What is trained in the benchmark, how many operations that is, and what is asked for."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

LEARNING_RATE = 1e-3
N_ORDERS = 4
"""Orders of the examples that are drawn before the clock starts; epochs take them in turn."""


@dataclass(frozen=True)
class Workload:
    """A dense network, ReLU and softmax, with its data.

    ``over_frameworks`` and ``over_sklearn`` are how many times faster than the fastest framework
    and than scikit-learn a step is asked to be; ``libxsmm_us`` is a step of libxsmm-dnn's kernels
    with SGD on four threads of the machine in RESULTS.md, in microseconds; ``attainable`` is the
    share asked for at one thread; ``speedup`` what four threads are asked to gain over one. The
    data are drawn, or scikit-learn's of the name ``sample``, standardised.
    """

    name: str
    sizes: tuple[int, ...]
    batch: int
    rows: int
    over_frameworks: float | None = None
    over_sklearn: float | None = None
    libxsmm_us: float | None = None
    attainable: float | None = None
    speedup: float | None = None
    sample: str = ""

    @property
    def label(self) -> str:
        """784-100-10, 32."""
        return f"{'-'.join(map(str, self.sizes))}, {self.batch}"

    @property
    def steps(self) -> int:
        """Mini-batches of an epoch."""
        return -(-self.rows // self.batch)

    @property
    def flops(self) -> int:
        """Operations of a step: three products a layer, two in the first (no dX is needed)."""
        products = [a * b * (3 if l else 2) for l, (a, b) in enumerate(pairwise(self.sizes))]
        return 2 * self.batch * sum(products)

    @property
    def n_parameters(self) -> int:
        """W and b together."""
        return sum((a + 1) * b for a, b in pairwise(self.sizes))

    def with_steps(self, steps: int) -> Workload:
        """Return the same work on fewer rows."""
        return replace(self, rows=self.batch * min(steps, self.steps))

    def data(self, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
        """Return the rows (m, n[0]) and m class numbers."""
        if self.sample:
            return _sample(self.sample, dtype)
        random = np.random.default_rng(0)
        X = random.standard_normal((self.rows, self.sizes[0]), dtype=np.float32)
        return X.astype(dtype, copy=False), random.integers(0, self.sizes[-1], self.rows)

    def orders(self) -> list[np.ndarray]:
        """Return the orders in which an epoch takes the rows."""
        random = np.random.default_rng(1)
        return [random.permutation(self.rows) for _ in range(N_ORDERS)]

    def parameters(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return what every contestant starts from: W[l], (n[l], n[l-1]), and b[l], (n[l],)."""
        random = np.random.default_rng(2)
        return [
            (
                random.standard_normal((b, a), dtype=np.float32) * np.float32(math.sqrt(2 / a)),
                np.zeros(b, dtype=np.float32),
            )
            for a, b in pairwise(self.sizes)
        ]


def _sample(name: str, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn import datasets
    from sklearn.preprocessing import StandardScaler

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return StandardScaler().fit_transform(X).astype(dtype, copy=False), y


@dataclass(frozen=True)
class Job:
    """What a contestant is asked to do.

    ``threads`` 0 is the library's own choice: all cores; ``form`` is which of its forms a peer
    trains in, "" to find out which is the quickest; ``taken`` are CPUs that other processes keep
    busy meanwhile.
    """

    workload: Workload
    threads: int = 0
    dtype: str = "float32"
    optimizer: str = "adam"
    own_order: bool = False
    form: str = ""
    taken: tuple[int, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for the pipe."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Job:
        """Return the job that :meth:`to_dict` described."""
        workload = data["workload"] | {"sizes": tuple(data["workload"]["sizes"])}
        return cls(**data | {"workload": Workload(**workload)})


# Rows are whole mini-batches, so that no peer has to compile a second shape. The smallest network
# has more rows than such a network would have, so that a step is measured, not the call around it;
# the largest so few that an epoch is no longer than cores stay as they are.
WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("tiny", (2, 8, 2), 32, 16384, 5, 80),
        Workload("table", (20, 100, 2), 200, 20000, 4, 15),
        Workload("deep", (64, 128, 128, 128, 10), 128, 20480, 3, 8, 220, 0.85, 2.5),
        Workload("mnist", (784, 100, 10), 32, 20480, 3, 12, 65, 0.75, 2.5),
        Workload("wide", (784, 512, 512, 10), 128, 10240, 1.7, 5, 1513, 0.85, 3.2),
        Workload("xl", (1024, 2048, 2048, 10), 512, 1024, 1.1, 2.2, 59700, 0.80, 3.2),
    )
}

FITS = {
    "iris": Workload("iris", (4, 100, 3), 150, 150, sample="iris"),
    "wine": Workload("wine", (13, 100, 3), 178, 178, sample="wine"),
    "breast_cancer": Workload("breast_cancer", (30, 100, 1), 200, 569, sample="breast_cancer"),
    "digits": Workload("digits", (64, 100, 10), 200, 1797, sample="digits"),
    **{
        name: workload.with_steps({"wide": 5, "xl": 1}.get(name, 10))
        for name, workload in WORKLOADS.items()
    },
}
"""What is fitted whole: samples with the drop-ins' default network, and the six networks above on
few mini-batches, as 200 epochs of them are fitted."""
