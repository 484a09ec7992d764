"""What is trained in the benchmarks, how many operations that is, and what is asked for."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from pellucid import Network
    from pellucid.layers import Layer

LEARNING_RATE = 1e-3
N_ORDERS = 4
"""Orders of the examples that are drawn before the clock starts; epochs take them in turn."""
AGREE = 1e-4
"""How far the outputs of two contestants, which are probabilities, may be from each other."""
AGREE_COSTS = 0.01
"""How far J of the first steps may be, as a share: the order of sums and Adam's epsilon differ."""
RECURRENT = ("lstm", "gru")


class Work:
    """Rows of data in mini-batches."""

    batch: int
    rows: int

    @property
    def steps(self) -> int:
        """Mini-batches of an epoch."""
        return -(-self.rows // self.batch)

    def with_steps(self, steps: int) -> Self:
        """Return the same work on fewer rows."""
        return replace(self, rows=self.batch * min(steps, self.steps))

    def orders(self) -> list[np.ndarray]:
        """Return the orders in which an epoch takes the rows."""
        random = np.random.default_rng(1)
        return [random.permutation(self.rows) for _ in range(N_ORDERS)]


@dataclass(frozen=True)
class Workload(Work):
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
    def flops(self) -> int:
        """Operations of a step: three products a layer, two in the first (no dX is needed)."""
        products = [a * b * (3 if l else 2) for l, (a, b) in enumerate(pairwise(self.sizes))]
        return 2 * self.batch * sum(products)

    @property
    def n_parameters(self) -> int:
        """W and b together."""
        return sum((a + 1) * b for a, b in pairwise(self.sizes))

    def data(self, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
        """Return the rows (m, n[0]) and m class numbers."""
        if self.sample:
            return _sample(self.sample, dtype)
        random = np.random.default_rng(0)
        X = random.standard_normal((self.rows, self.sizes[0]), dtype=np.float32)
        return X.astype(dtype, copy=False), random.integers(0, self.sizes[-1], self.rows)

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

    def network(self, dtype: str = "float32") -> Network:
        """Return pellucid's network with the parameters that all start from."""
        from pellucid import Dense, Network

        sizes = self.sizes
        layers = [*(Dense(n, "relu") for n in sizes[1:-1]), Dense(sizes[-1], "softmax")]
        network = Network(layers, n_inputs=sizes[0], seed=0, dtype=dtype)
        network.set_parameters(dict(enumerate(self.parameters(), start=1)))
        return network


@dataclass(frozen=True)
class Task(Work):
    """A convolutional or recurrent network of ``LAYERS``, softmax, with its data.

    ``words`` is how many words there are, where the input is word numbers. Asked for:
    ``over_frameworks``, how many times faster than the fastest framework a step is; ``of_peak``,
    the share of the products' peak on one thread; ``row_over_frameworks``, how many times faster
    one row is predicted.
    """

    name: str
    label: str
    input_shape: tuple[int, ...]
    n_classes: int
    rows: int
    over_frameworks: float
    of_peak: float | None = None
    row_over_frameworks: float | None = None
    words: int = 0
    batch: int = 64

    def network(self, dtype: str = "float32") -> Network:
        """Return pellucid's network with the parameters that all start from."""
        from pellucid import Network

        return Network(LAYERS[self.name](), self.input_shape, seed=0, dtype=dtype)

    @property
    def flops(self) -> int:
        """Operations of a step: three products a layer; no derivative by the data is needed."""
        layers = [layer for layer in self.network().layers if layer.parameters]
        products = [_multiplications(layer) for layer in layers]
        W, (*_, n) = layers[0].parameters["W"], layers[0].input_shape
        by_data = n / W.shape[1] if layers[0].name in RECURRENT else 1  # the others are the state's
        return round(2 * self.batch * (3 * sum(products) - products[0] * by_data))

    def data(self, dtype: str = "float32") -> tuple[np.ndarray, np.ndarray]:
        """Return the rows (m, *input_shape), and class numbers, (m,), or (m, steps) of words."""
        random = np.random.default_rng(0)
        if self.words:
            text = random.integers(0, self.words, (self.rows, self.input_shape[0] + 1))
            return text[:, :-1].astype(np.int32), text[:, 1:].copy()
        X = random.standard_normal((self.rows, *self.input_shape), dtype=np.float32)
        return X.astype(dtype, copy=False), random.integers(0, self.n_classes, self.rows)

    def check(self, X: np.ndarray, A: Any) -> None:
        """Refuse a contestant whose A[L], (m, ...), of these rows are not the reference engine's.

        Where they agree, so do the networks, their weights and what is done to the data.
        """
        from pellucid.engines import ENGINES

        expected = ENGINES["reference"].predictor(self.network())(columns(X)).T
        off = np.abs(np.asarray(A).reshape(expected.shape) - expected).max()
        if not off < AGREE:
            raise ValueError(f"outputs are {off:.1g} away from those of the reference engine")

    def check_costs(self, costs: list[float]) -> None:
        """Refuse a contestant whose first steps do not lower J as the reference engine's do.

        The second step's J tells whether the gradients and Adam's update were right.
        """
        expected = self._expected_costs()
        found = np.array(costs[: len(expected)])
        if not np.allclose(found, expected, rtol=AGREE_COSTS):
            raise ValueError(
                f"J of the first steps is {', '.join(f'{J:.4g}' for J in found)}, that of the "
                f"reference engine {', '.join(f'{J:.4g}' for J in expected)}"
            )

    def _expected_costs(self) -> np.ndarray:
        from pellucid.engines import ENGINES, Job, Objective
        from pellucid.losses import loss
        from pellucid.optimizers import optimizer
        from pellucid.training import examples

        J, steps, (X, y) = loss("categorical_cross_entropy"), min(3, self.steps), self.data()
        rows, network = self.orders()[0][: steps * self.batch], self.network()
        session = ENGINES["reference"].start(
            Job(network, Objective(J), optimizer("adam"), self.batch)
        )
        rates = np.full(steps, LEARNING_RATE)
        data = examples(network, columns(X[rows]), y[rows].T, J)
        return session.run(data, None, 0, steps, learning_rate=rates)


def _multiplications(layer: Layer) -> int:
    """Of one example's forward pass; an embedding is a look-up."""
    if layer.name == "embedding":
        return 0
    times = math.prod(layer.output_shape[:-1])
    if layer.name in RECURRENT:
        times = layer.input_shape[0]
    return layer.parameters["W"].size * times


def has_relu(layer: Layer) -> bool:
    """Whether ReLU follows."""
    activation = getattr(layer, "activation", None)
    return activation is not None and activation.name == "relu"


def columns(X: np.ndarray) -> np.ndarray:
    """Return (n[0], m) of (m, ...): pellucid's examples are columns."""
    return X.reshape(len(X), -1).T


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

    workload: Workload | Task
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
        workload = data["workload"]
        kind, shape = (Workload, "sizes") if "sizes" in workload else (Task, "input_shape")
        workload = kind(**workload | {shape: tuple(workload[shape])})
        return cls(**data | {"workload": workload})


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


def lenet() -> list[Layer]:
    """LeCun, Bottou, Bengio, Haffner 1998, with ReLU, max pools and a softmax."""
    from pellucid.layers import Conv2D, Dense, MaxPool

    return [
        *(Conv2D(6, 5, padding="same"), MaxPool(2)),
        *(Conv2D(16, 5), MaxPool(2)),
        *(Dense(120), Dense(84), Dense(10, "softmax")),
    ]


def vgg() -> list[Layer]:
    """Pairs of small filters, after Simonyan, Zisserman 2014."""
    from pellucid.layers import Conv2D, Dense, MaxPool

    pairs = [
        (Conv2D(n, 3, padding="same"), Conv2D(n, 3, padding="same"), MaxPool(2)) for n in (32, 64)
    ]
    return [*pairs[0], *pairs[1], Dense(256), Dense(10, "softmax")]


def conv1d() -> list[Layer]:
    """Filters along the steps, as sensors of movement are classified."""
    from pellucid.layers import Conv1D, Dense, GlobalPool, MaxPool

    convolutions = [(Conv1D(n, 5, padding="same"), MaxPool(2)) for n in (32, 64)]
    return [*convolutions[0], *convolutions[1], GlobalPool(), Dense(6, "softmax")]


def lstm() -> list[Layer]:
    """A picture row by row; the class is read from the last state."""
    from pellucid.layers import LSTM, Dense

    return [LSTM(64), Dense(10, "softmax")]


def gru() -> list[Layer]:
    """The reset gate stands where PyTorch and Keras have it."""
    from pellucid.layers import GRU, Dense

    return [GRU(128, reset="after"), Dense(10, "softmax")]


def characters() -> list[Layer]:
    """The next character after each."""
    from pellucid.layers import LSTM, Dense, Embedding

    return [
        Embedding(65, 32),
        LSTM(128, sequences=True),
        Dense(65, "softmax", each_step=True),
    ]


LAYERS = {
    "lenet": lenet,
    "vgg": vgg,
    "conv1d": conv1d,
    "lstm": lstm,
    "gru": gru,
    "characters": characters,
}

# Rows for an epoch of some 0.1 s: a network of this size would have more.
TASKS = {
    task.name: task
    for task in (
        Task("lenet", "LeNet-5, 28×28×1", (28, 28, 1), 10, 3840, 3.5, 0.75, 5),
        Task("vgg", "VGG-like, 32×32×3", (32, 32, 3), 10, 384, 1.1, 0.75),
        Task("conv1d", "Conv1D 6-32-64, 150 steps", (150, 6), 6, 3840, 1.7),
        Task("lstm", "LSTM 64, 28 steps of 28", (28, 28), 10, 2560, 1.8, 0.70, 5),
        Task("gru", "GRU 128, 100 steps of 16", (100, 16), 10, 640, 2.5),
        Task("characters", "characters, LSTM 128, 64 steps", (64,), 65, 640, 1.2, words=65),
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
