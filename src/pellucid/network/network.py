"""Network: a chain of layers, their parameters and their dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, cast, overload

import numpy as np
from numpy.typing import NDArray

from pellucid import philox, propagation
from pellucid.engines import predictor_of
from pellucid.engines.contract import Data, Predictor
from pellucid.initializers import initializer as find_initializer
from pellucid.layers import Layer, layer_from_dict
from pellucid.layers.chain import leaves, lengths_after, place
from pellucid.layers.shapes import by_place, held, n_places, unrolled, valid_steps
from pellucid.losses import Loss, check_targets, check_weights, one_hot
from pellucid.losses import loss as find_loss
from pellucid.network.from_torch import read
from pellucid.network.generate import States, generated, one_step, stepped
from pellucid.network.given import (
    check_cast,
    check_names,
    checked_layers,
    checked_lengths,
    checked_shape,
    checked_X,
    is_function,
)
from pellucid.network.parameters import ParametersByLayer, put
from pellucid.network.table import as_html, as_text, dimensions
from pellucid.propagation import Cache, Gradients
from pellucid.tasks import task_of


class Network:
    """A[L] = g[L](W[L] ... g[1](W[1] X + b[1]) ... + b[L]): a chain of layers.

    X is (n[0], m): a column is an example. W[l] is (n[l], n[l-1]), b[l] is (n[l], 1), Z[l] and
    A[l] are (n[l], m) (lecture 002, 4.1). Layers are counted from 1 to L, the output layer
    included; layers that compute no Z (Scale, pooling, normalisation) belong to the layer before
    them. An example may have a shape: (rows, columns, channels) for pictures, (steps, features) for
    sequences. It is unrolled into a column, the last axis fastest, and n[l] is the product.

    Parameters
    ----------
    layers : list of Layer
        From the first hidden layer to the output layer. They are copied: a network shares nothing.
    input_shape : int or tuple of int
        n[0], or the shape of an example: 3, (28, 28, 1) or (150, 6). ``n_inputs`` is another name
        for a number.
    initializer : str, Initializer, callable, dict or None
        How every W starts. None takes what suits each layer's activation; a callable gets
        (n[l], n[l-1]) and returns W[l]; a dict ``{1: (W1, b1), ...}`` holds arrays of your own.
    seed : int or None
        Key of the random numbers, 0 to 2^64 - 1; None takes a fresh one (kept in ``net.seed``).
    dtype : str
        "float32" or "float64".

    Raises
    ------
    ValueError
        Where the layers do not fit together; the message names the layer.

    Examples
    --------
    The AND gate of lecture 003:

    >>> from pellucid import Dense
    >>> gate = Network([Dense(1, "sigmoid")], n_inputs=2, dtype="float64")
    >>> gate.set_parameters({1: ([[20, 20]], [[-30]])})
    >>> gate.predict([[0, 0, 1, 1], [0, 1, 0, 1]])
    array([[0, 0, 0, 1]])
    >>> print(gate.summary())
    layer  kind   units  g        W[l]    b[l]    Z[l], A[l]  parameters
    0      input      2                           (2, m)               0
    1      dense      1  sigmoid  (1, 2)  (1, 1)  (1, m)               3
    total                                                              3
    """

    def __init__(
        self,
        layers: Iterable[Layer],
        input_shape: int | tuple[int, ...] | None = None,
        initializer: Any = None,
        seed: int | None = None,
        dtype: Any = "float32",
        *,
        n_inputs: int | None = None,
    ) -> None:
        self.layers = [layer.unbuilt() for layer in checked_layers(layers)]
        self.input_shape = checked_shape(input_shape, n_inputs)
        self.seed = philox.check_seed(seed)
        if dtype not in ("float32", "float64", np.float32, np.float64):
            raise ValueError(f"Network: dtype must be 'float32' or 'float64'; got {dtype!r}.")
        self.dtype = np.dtype(dtype)
        self._predictor: Predictor | None = None
        self._build(initializer)

    def _build(self, initializer: Any) -> None:
        own = (
            initializer if isinstance(initializer, Mapping) and "name" not in initializer else None
        )
        plain = initializer is None or own is not None or is_function(initializer)
        start = None if plain else find_initializer(initializer)
        place(self.layers, self.input_shape)
        for layer in self.leaves:
            layer.draw(self.seed, self.dtype, start)
        check_names(self.leaves)
        if own is not None:
            self.set_parameters(own)
        elif is_function(initializer):
            draw = cast(Callable[[tuple[int, ...]], Any], initializer)
            for layer in self.leaves:
                if "W" in layer.parameters and getattr(layer, "initializer", None) is None:
                    self.W[layer.number] = draw(layer.parameters["W"].shape)

    @classmethod
    def _around(
        cls,
        layers: Iterable[Layer],
        parameters: Sequence[dict[str, Any]],
        input_shape: tuple[int, ...] | None = None,
        seed: int = 0,
        dtype: Any = None,
    ) -> Network:
        """Return a network on these very arrays, a dict a layer: nothing is drawn or copied.

        ``parameters`` follow :attr:`leaves`.
        """
        made = cls.__new__(cls)
        made.layers = [layer.unbuilt() for layer in checked_layers(layers)]
        first = parameters[0]
        made.input_shape = (first["W"].shape[1],) if input_shape is None else input_shape
        made.seed = seed
        made.dtype = first["W"].dtype if dtype is None else np.dtype(dtype)
        made._predictor = None
        place(made.layers, made.input_shape)
        for layer, arrays in zip(made.leaves, parameters, strict=True):
            layer.parameters = arrays
        check_names(made.leaves)
        return made

    @classmethod
    def from_torch(cls, module: Any, input_shape: int | tuple[int, ...]) -> Network:
        """Return the network that a PyTorch nn.Sequential is, with a copy of its weights.

        ``input_shape`` is that of an example here, channels last: (28, 28, 1) where PyTorch takes
        (m, 1, 28, 28). An activation becomes that of the Linear or convolution before it, a Dropout
        its share of units left out, a BatchNorm between a layer and its activation a part of the
        layer, as it predicts. Of what a recurrent module returns the outputs at each step go on.
        Weights come in our order, the columns of a Linear behind a Flatten too. What cannot be read
        is refused by name.

        >>> import torch  # doctest: +SKIP
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Sigmoid())  # doctest: +SKIP
        >>> Network.from_torch(model, 2)  # doctest: +SKIP
        <Network 2-1, 3 parameters, float32>
        """
        found = read(module, checked_shape(input_shape, None))
        dtype = "float64" if found.float64 else "float32"
        made = cls(found.layers, input_shape, "zeros", dtype=dtype)
        for layer, arrays in zip(made.leaves, found.arrays, strict=True):
            for letter, array in arrays.items():
                own = layer.parameters | layer.statistics
                put(f"{letter}[{layer.number}]", own[letter], array)
        return made

    @property
    def leaves(self) -> list[Layer]:
        """The layers; where one holds others, as Residual does, these in its place."""
        return leaves(self.layers)

    @property
    def n_inputs(self) -> int:
        """n[0], the numbers of an example."""
        return math.prod(self.input_shape)

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of an example's output: (10,), or (steps, n) where each step has outputs."""
        return self.layers[-1].output_shape

    @property
    def L(self) -> int:
        """The number of layers that compute a Z, the output layer included."""
        return self.layers[-1].number

    @property
    def n(self) -> list[int]:
        """[n[0], n[1], ..., n[L]], the units of each layer."""
        sizes = (math.prod(k.output_shape) for k in self.leaves if k.computes_Z)
        return [self.n_inputs, *sizes]

    @property
    def W(self) -> ParametersByLayer:
        """W[l] for l = 1 ... L, writable."""
        return ParametersByLayer("W", self.leaves)

    @property
    def b(self) -> ParametersByLayer:
        """b[l] for l = 1 ... L, writable."""
        return ParametersByLayer("b", self.leaves)

    @property
    def s(self) -> ParametersByLayer:
        """s[l] of the Scale that follows layer l (0: the inputs), writable."""
        return ParametersByLayer("s", self.leaves)

    @property
    def gamma(self) -> ParametersByLayer:
        """gamma[l] of the LayerNorm or BatchNorm that follows layer l (0: the inputs), writable."""
        return ParametersByLayer("gamma", self.leaves)

    @property
    def beta(self) -> ParametersByLayer:
        """beta[l] of the LayerNorm or BatchNorm that follows layer l (0: the inputs), writable."""
        return ParametersByLayer("beta", self.leaves)

    @property
    def parameters(self) -> dict[str, NDArray[Any]]:
        """Every parameter by its name, ``W1``, ``b1``, ...: the network's own arrays."""
        return {
            f"{letter}{layer.number}": array
            for layer in self.leaves
            for letter, array in layer.parameters.items()
        }

    @property
    def statistics(self) -> dict[str, NDArray[Any]]:
        """What layers keep besides, by name: ``mean1``, ``variance1`` of a BatchNorm."""
        return {
            f"{letter}{layer.number}": array
            for layer in self.leaves
            for letter, array in layer.statistics.items()
        }

    @property
    def n_parameters(self) -> int:
        """How many numbers the network learns."""
        return sum(layer.n_parameters for layer in self.leaves)

    def set_parameters(self, parameters: Mapping[int, tuple[Any, Any]]) -> None:
        """Set W[l] and b[l] of the layers named, ``{1: (W1, b1), ...}``; values are copied.

        Nothing is changed where any shape is wrong.
        """
        W, b = self.W, self.b
        before = {l: (W[l].copy(), b[l].copy()) for l in parameters}
        try:
            for l, (Wl, bl) in parameters.items():
                W[l] = Wl
                b[l] = np.reshape(bl, (-1, 1)) if np.ndim(bl) < 2 else bl
        except Exception:
            for l, (Wl, bl) in before.items():
                W[l], b[l] = Wl, bl
            raise

    def copy_parameters(self) -> dict[str, NDArray[Any]]:
        """Return a copy of every parameter by its name, ``W1``, ``b1``, ..., and of statistics."""
        arrays = self.parameters | self.statistics
        return {name: array.copy("K") for name, array in arrays.items()}

    def put_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Write what :meth:`copy_parameters` returned, or another network's, into the arrays."""
        for name, array in (self.parameters | self.statistics).items():
            put(name, array, parameters[name])

    @overload
    def forward(
        self, X: Data, *, cache: Literal[False] = False, lengths: Any = None, training: bool = False
    ) -> NDArray[Any]: ...
    @overload
    def forward(
        self, X: Data, *, cache: Literal[True], lengths: Any = None, training: bool = False
    ) -> Cache: ...

    def forward(
        self, X: Data, *, cache: bool = False, lengths: Any = None, training: bool = False
    ) -> NDArray[Any] | Cache:
        """Return A[L] = (n[L], m) for X = (n[0], m), or with ``cache=True`` what every layer keeps.

        X may also be (rows, columns, channels, m) or (steps, features, m), as the network's
        ``input_shape`` says. ``lengths``, (m,), are the steps that each example has; what stands
        behind them changes nothing. No unit is dropped here: dropout is for training. With
        ``training=True``, which needs ``cache=True``, a BatchNorm takes the statistics of X.
        """
        if self._predictor is None or not self._predictor.holds():
            self._predictor = predictor_of(self)
        if not cache and lengths is None and self._is_plain(X):
            return self._predictor(X)
        X = self.checked_X(X)
        if lengths is not None:
            lengths = self.checked_lengths(lengths, X.shape[1])
        if training and not cache:
            raise ValueError("forward: training=True is for cache=True, before a backward pass.")
        if cache:
            X = self._dense(X)
            return propagation.forward(self.layers, X, lengths=lengths, training=training)
        check_cast(X, self.dtype)
        return self._predictor(X) if lengths is None else self._predictor(X, lengths)

    def _is_plain(self, X: Any) -> bool:
        """Whether X is so plain that nothing need be checked or converted."""
        return (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype == self.dtype
            and X.shape[0] == self.n_inputs
        )

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_predictor": None}

    def backward(
        self,
        cache: Cache,
        Y: Any,
        loss: str | Loss,
        *,
        sample_weight: Any = None,
        l1: float = 0.0,
        l2: float = 0.0,
        inputs: bool = False,
    ) -> Gradients:
        """Return dW[l], db[l] of J, and dZ[l], dA[l] of each example's loss.

        ``cache`` is from ``forward(X, cache=True)``; ``inputs=True`` adds dA[0] and dX.
        """
        loss, Y, w = self._checked_targets(cache, Y, loss, sample_weight)
        return propagation.backward(cache, Y, loss, w, l1=l1, l2=l2, inputs=inputs)

    def learn_statistics(self, cache: Cache) -> None:
        """Let each BatchNorm learn the mean and variance of a pass with ``training=True``.

        For a loop of one's own, once a step; :func:`pellucid.train` does so itself.
        """
        propagation.learn_statistics(cache)

    def loss(
        self,
        X: Data,
        Y: Any,
        loss: str | Loss,
        *,
        sample_weight: Any = None,
        l1: float = 0.0,
        l2: float = 0.0,
        lengths: Any = None,
    ) -> float:
        """Return J, the number that :meth:`backward` differentiates."""
        cache = self.forward(X, cache=True, lengths=lengths)
        loss, Y, w = self._checked_targets(cache, Y, loss, sample_weight)
        return propagation.cost(cache, Y, loss, w, l1=l1, l2=l2)

    def predict(self, X: Data, *, lengths: Any = None) -> NDArray[Any]:
        """Return the classes or numbers that A[L] stands for, as a column for each example.

        Sigmoid outputs: 1 where a >= 0.5, else 0 (lecture 001), (n[L], m). Softmax: the number of
        the largest output, (m,). Anything else: A[L] itself. Where each step has outputs, so has
        the answer: (steps, m) for the last two. A ValueError where A[L] holds NaN.
        """
        A = self.forward(X, lengths=lengths)
        if not np.isfinite(A).all():
            raise ValueError(
                "A[L] is not finite: X holds NaN or infinity, or the parameters do. Fill the "
                "missing values in, or remove those examples; net.forward(X) shows which."
            )
        n = self.output_shape[-1]
        answers = task_of(self.layers[-1].activation, n).answers(by_place(A, n))
        return unrolled(np.atleast_2d(answers), A.shape[1]) if len(A) != n else answers

    def step(self, x: Any, states: States | None = None) -> tuple[NDArray[Any], States]:
        """Return A[L] for one step more, and the states of the recurrent layers to go on from.

        ``x`` is x<t>, (features, m), or (m,) word numbers; ``states`` is what the step before
        returned, {l: {"a": a<t-1>, ...}}, None at the beginning, where they are 0. A sequence gone
        through in this way gives what :meth:`forward` gives of the whole: sequences of any length,
        at the cost of one step each.

        >>> from pellucid.layers import Recurrent
        >>> net = Network([Recurrent(1, "identity", sequences=True)], (3, 1), dtype="float64")
        >>> net.W[1] = [[1, 1]]  # it adds up what it sees
        >>> A, states = net.step([[3.0]])
        >>> net.step([[4.0]], states)[0]
        array([[7.]])
        """
        return stepped(one_step(self), x, states)

    def generate(
        self, start: Any, n_steps: int, *, temperature: float = 1.0, seed: int | None = None
    ) -> NDArray[np.int64]:
        """Return ``n_steps`` new word numbers that go on from ``start``, drawn from A[L].

        For networks that begin with an Embedding and end with a softmax over its words, such as
        ``[Embedding(65, 32), LSTM(128, sequences=True), Dense(65, "softmax", each_step=True)]``.
        Each word drawn enters as the next step, with the states carried on.

        Parameters
        ----------
        start : array of int, (steps,) or (steps, m)
            The words so far; the answer is (n_steps,) or (n_steps, m).
        n_steps : int
            How many words to draw.
        temperature : float
            A word is drawn with probability a^(1/temperature), scaled to sum to 1: below 1 likely
            words become more so, at 0 the likeliest is taken.
        seed : int or None
            Key of the random numbers: the same words for the same seed; None takes a fresh one.
        """
        return generated(self, start, n_steps, temperature, seed)

    def summary(self) -> str:
        """Return the lectures' dimension table with the parameter count."""
        return as_text(self._dimensions())

    def _repr_html_(self) -> str:
        """The dimension table, for a notebook."""
        return as_html(self._dimensions(), repr(self))

    def _dimensions(self) -> list[tuple[str, ...]]:
        return dimensions(self.input_shape, self.layers, self.n_parameters)

    def copy(self) -> Network:
        """Return a network with the same layers and a copy of the parameters."""
        made = Network(self.layers, self.input_shape, "zeros", self.seed, self.dtype)
        made.put_parameters(self.parameters | self.statistics)
        return made

    def to_dict(self) -> dict[str, Any]:
        """Return the architecture, without parameters, for a model file."""
        return {
            "input_shape": list(self.input_shape),
            "dtype": self.dtype.name,
            "seed": self.seed,
            "layers": [layer.to_dict() for layer in self.layers],
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Network:
        """Return the network that :meth:`to_dict` described, its weights yet to be filled in."""
        layers = [layer_from_dict(entry) for entry in description["layers"]]
        shape = tuple(description["input_shape"])
        return cls(layers, shape, "zeros", description["seed"], description["dtype"])

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self.n))
        return f"<Network {sizes}, {self.n_parameters:,} parameters, {self.dtype.name}>"

    def checked_X(self, X: Data) -> Data:
        """Return X as an array or sparse matrix of shape (n[0], m); refuse anything else."""
        return checked_X(X, self.input_shape, self.layers[0].where)

    def checked_lengths(self, lengths: Any, m: int) -> NDArray[np.int64]:
        """Return the steps of each of m examples as an array; refuse what cannot be."""
        found = checked_lengths(lengths, self.input_shape, m)
        self.lengths_after(found)
        return found

    def lengths_after(self, lengths: Any) -> Any:
        """Return how many steps of each example the outputs have, (m,); None where it is one."""
        return lengths_after(self.layers, lengths)

    def _dense(self, X: Data) -> NDArray[Any]:
        X = X.toarray(order="F") if hasattr(X, "toarray") else X
        check_cast(np.asarray(X), self.dtype)
        return np.asarray(X, dtype=self.dtype)

    def checked_targets(
        self, Y: Any, loss: Loss, m: int, lengths: NDArray[np.int64] | None = None
    ) -> NDArray[Any]:
        """Return Y as an (n[L], m) array or as class numbers, (m,) or (steps, m); else refuse it.

        ``lengths`` are those of X: targets of steps that are not there become 0.
        """
        n, steps = self.output_shape[-1], n_places(self.output_shape)
        after = None if lengths is None else self.lengths_after(lengths)
        if after is not None and np.ndim(Y) == 2 and np.shape(Y)[1] == m and len(Y) % steps == 0:
            Y = held(np.asarray(Y), valid_steps(after, (steps, len(Y) // steps)))
        return check_targets(Y, loss, n, m, steps)

    def dense_targets(self, Y: NDArray[Any]) -> NDArray[Any]:
        """Return checked targets as an (n[L], m) array of the network's dtype."""
        if Y.ndim == 1 or len(Y) != math.prod(self.output_shape):
            return one_hot(Y, self.output_shape[-1], self.dtype)
        return Y.astype(self.dtype, copy=False)

    def _checked_targets(
        self, cache: Cache, Y: Any, loss: str | Loss, sample_weight: Any
    ) -> tuple[Loss, NDArray[Any], NDArray[Any] | None]:
        loss, m = find_loss(loss), cache.X.shape[1]
        if m == 0:
            raise ValueError("X holds no examples: J is a mean over at least one.")
        Y = self.dense_targets(self.checked_targets(Y, loss, m, cache.lengths))
        return loss, Y, check_weights(sample_weight, m, self.dtype)
