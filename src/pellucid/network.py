"""Network: a chain of layers, their parameters and their dimensions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from html import escape
from typing import Any, Literal, cast, overload

import numpy as np
from numpy.typing import NDArray

from pellucid import philox, propagation
from pellucid._shown import plain
from pellucid.checks import is_whole
from pellucid.engines import predictor_of
from pellucid.engines.contract import Data, Predictor
from pellucid.initializers import Initializer
from pellucid.initializers import initializer as find_initializer
from pellucid.layers import Layer, layer_from_dict
from pellucid.losses import Loss, check_targets, check_weights, one_hot
from pellucid.losses import loss as find_loss
from pellucid.propagation import Cache, Gradients
from pellucid.tasks import task_of


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
        _put(f"{self._letter}[{number}]", self[number], values)

    def __delitem__(self, number: int) -> None:
        raise TypeError(f"{self._letter}[{number}] cannot be deleted; make a new Network instead.")

    def __iter__(self) -> Iterator[int]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{number}: {W.shape}" for number, W in self._arrays.items())
        return f"<{self._letter} of layers {{{shapes}}}>"


class Network:
    """A[L] = g[L](W[L] ... g[1](W[1] X + b[1]) ... + b[L]): a chain of layers.

    X is (n[0], m): a column is an example. W[l] is (n[l], n[l-1]), b[l] is (n[l], 1), Z[l] and
    A[l] are (n[l], m) (lecture 002, 4.1). Layers are counted from 1 to L, the output layer
    included; layers that compute no Z (Scale) belong to the layer before them.

    Parameters
    ----------
    layers : list of Layer
        From the first hidden layer to the output layer. They are copied: a network shares nothing.
    n_inputs : int
        n[0].
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
        n_inputs: int,
        initializer: Any = None,
        seed: int | None = None,
        dtype: Any = "float32",
    ) -> None:
        self.layers = [layer.unbuilt() for layer in _checked_layers(layers)]
        if not is_whole(n_inputs, 1):
            raise ValueError(
                f"Network: n_inputs must be an integer of 1 or more; got {plain(n_inputs)!r}."
            )
        self.n_inputs = int(n_inputs)
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
        plain = initializer is None or own is not None or _is_function(initializer)
        start = None if plain else find_initializer(initializer)
        shape: tuple[int, ...] = (self.n_inputs,)
        number = 0
        for layer in self.layers:
            number += layer.computes_Z
            layer.build(shape, number=number, seed=self.seed, dtype=self.dtype, initializer=start)
            shape = layer.output_shape
        _check_names(self.layers)
        if own is not None:
            self.set_parameters(own)
        elif _is_function(initializer):
            draw = cast(Callable[[tuple[int, ...]], Any], initializer)
            for layer in self.layers:
                if "W" in layer.parameters and getattr(layer, "initializer", None) is None:
                    self.W[layer.number] = draw(layer.parameters["W"].shape)

    @classmethod
    def _around(
        cls,
        layers: Iterable[Layer],
        parameters: Sequence[dict[str, Any]],
        n_inputs: int | None = None,
        seed: int = 0,
        dtype: Any = None,
    ) -> Network:
        """Return a network on these very arrays, a dict a layer: nothing is drawn or copied."""
        made = cls.__new__(cls)
        made.layers = [layer.unbuilt() for layer in _checked_layers(layers)]
        made.n_inputs = parameters[0]["W"].shape[1] if n_inputs is None else n_inputs
        made.seed = seed
        made.dtype = parameters[0]["W"].dtype if dtype is None else np.dtype(dtype)
        made._predictor = None
        shape: tuple[int, ...] = (made.n_inputs,)
        number = 0
        for layer, arrays in zip(made.layers, parameters, strict=True):
            number += layer.computes_Z
            layer.number, layer.input_shape, layer.parameters = number, shape, arrays
            layer.output_shape = shape = layer.output_shape_for(shape)
            layer._check_factor_letters()
        return made

    @property
    def L(self) -> int:
        """The number of layers that compute a Z, the output layer included."""
        return self.layers[-1].number

    @property
    def n(self) -> list[int]:
        """[n[0], n[1], ..., n[L]], the units of each layer."""
        return [self.n_inputs, *(k.output_shape[0] for k in self.layers if k.computes_Z)]

    @property
    def W(self) -> ParametersByLayer:
        """W[l] for l = 1 ... L, writable."""
        return ParametersByLayer("W", self.layers)

    @property
    def b(self) -> ParametersByLayer:
        """b[l] for l = 1 ... L, writable."""
        return ParametersByLayer("b", self.layers)

    @property
    def s(self) -> ParametersByLayer:
        """s[l] of the Scale that follows layer l (0: the inputs), writable."""
        return ParametersByLayer("s", self.layers)

    @property
    def parameters(self) -> dict[str, NDArray[Any]]:
        """Every parameter by its name, ``W1``, ``b1``, ...: the network's own arrays."""
        return {
            f"{letter}{layer.number}": array
            for layer in self.layers
            for letter, array in layer.parameters.items()
        }

    @property
    def n_parameters(self) -> int:
        """How many numbers the network learns."""
        return sum(layer.n_parameters for layer in self.layers)

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
        """Return a copy of every parameter by its name, ``W1``, ``b1``, ..."""
        return {name: array.copy("K") for name, array in self.parameters.items()}

    def put_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Write what :meth:`copy_parameters` returned, or another network's, into the arrays."""
        for name, array in self.parameters.items():
            _put(name, array, parameters[name])

    @overload
    def forward(self, X: Data, *, cache: Literal[False] = False) -> NDArray[Any]: ...
    @overload
    def forward(self, X: Data, *, cache: Literal[True]) -> Cache: ...

    def forward(self, X: Data, *, cache: bool = False) -> NDArray[Any] | Cache:
        """Return A[L] = (n[L], m) for X = (n[0], m), or with ``cache=True`` what every layer keeps.

        No unit is dropped here: dropout is for training.
        """
        if self._predictor is None or not self._predictor.holds():
            self._predictor = predictor_of(self)
        if not cache and self._is_plain(X):
            return self._predictor(X)
        X = self.checked_X(X)
        if cache:
            return propagation.forward(self.layers, self._dense(X))
        self._check_cast(X)
        return self._predictor(X)

    def _is_plain(self, X: Any) -> bool:
        """Whether X is so plain that nothing need be checked or converted."""
        return (
            type(X) is np.ndarray
            and X.ndim == 2
            and X.dtype == self.dtype
            and X.shape[0] == self.n_inputs
        )

    def _check_cast(self, X: Data) -> None:
        """Refuse numbers that the network's dtype cannot hold."""
        values = X.data if hasattr(X, "toarray") else X
        if values.dtype.itemsize > self.dtype.itemsize and values.dtype.kind == "f" and values.size:
            largest = max(abs(float(values.min())), abs(float(values.max())))
            if float(np.finfo(self.dtype).max) < largest < np.inf:
                raise ValueError(
                    f"X holds numbers that {self.dtype} cannot: the largest is {largest:.3g}. "
                    "Scale X, or make the network with dtype='float64'."
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
        loss, Y, w = self._checked_targets(cache.X.shape[1], Y, loss, sample_weight)
        return propagation.backward(cache, Y, loss, w, l1=l1, l2=l2, inputs=inputs)

    def loss(
        self,
        X: Data,
        Y: Any,
        loss: str | Loss,
        *,
        sample_weight: Any = None,
        l1: float = 0.0,
        l2: float = 0.0,
    ) -> float:
        """Return J, the number that :meth:`backward` differentiates."""
        cache = self.forward(X, cache=True)
        loss, Y, w = self._checked_targets(cache.X.shape[1], Y, loss, sample_weight)
        return propagation.cost(cache, Y, loss, w, l1=l1, l2=l2)

    def predict(self, X: Data) -> NDArray[Any]:
        """Return the classes or numbers that A[L] stands for, as a column for each example.

        Sigmoid outputs: 1 where a >= 0.5, else 0 (lecture 001), (n[L], m). Softmax: the number of
        the largest output, (m,). Anything else: A[L] itself. A ValueError where A[L] holds NaN.
        """
        A = self.forward(X)
        if not np.isfinite(A).all():
            raise ValueError(
                "A[L] is not finite: X holds NaN or infinity, or the parameters do. Fill the "
                "missing values in, or remove those examples; net.forward(X) shows which."
            )
        return task_of(self.layers[-1].activation, len(A)).answers(A)

    def summary(self) -> str:
        """Return the lectures' dimension table with the parameter count."""
        return _table(*self._dimensions(), right=(2, 7))

    def _repr_html_(self) -> str:
        """The dimension table, for a notebook."""
        header, rows = self._dimensions()
        lines = [
            f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in row)}</tr>"
            for tag, row in (("th", header), *(("td", row) for row in rows))
        ]
        return f"<table><caption>{escape(repr(self))}</caption>{''.join(lines)}</table>"

    def _dimensions(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """The head and the rows of the dimension table."""
        header = ("layer", "kind", "units", "g", "W[l]", "b[l]", "Z[l], A[l]", "parameters")
        rows: list[tuple[str, ...]] = [
            ("0", "input", str(self.n_inputs), "", "", "", f"({self.n_inputs}, m)", "0")
        ]
        for layer in self.layers:
            n = layer.output_shape[0]
            shapes = {letter: str(array.shape) for letter, array in layer.parameters.items()}
            g = layer.activation.name if layer.activation else ""
            g += f", dropout {layer.dropout:g}" if layer.dropout else ""
            weights = [
                each if name == "W" else f"{name} {each}"
                for name, each in shapes.items()
                if name != "b"
            ]
            rows.append(
                (
                    str(layer.number),
                    layer.name,
                    str(n),
                    g,
                    ", ".join(weights),
                    shapes.get("b", ""),
                    f"({n}, m)",
                    str(layer.n_parameters),
                )
            )
        rows.append(("total", *[""] * 6, str(self.n_parameters)))
        return header, rows

    def copy(self) -> Network:
        """Return a network with the same layers and a copy of the parameters."""
        made = Network(self.layers, self.n_inputs, "zeros", self.seed, self.dtype)
        made.put_parameters(self.parameters)
        return made

    def to_dict(self) -> dict[str, Any]:
        """Return the architecture, without parameters, for a model file."""
        return {
            "n_inputs": self.n_inputs,
            "dtype": self.dtype.name,
            "seed": self.seed,
            "layers": [layer.to_dict() for layer in self.layers],
        }

    @classmethod
    def from_dict(cls, description: Mapping[str, Any]) -> Network:
        """Return the network that :meth:`to_dict` described, its weights yet to be filled in."""
        layers = [layer_from_dict(entry) for entry in description["layers"]]
        return cls(
            layers, description["n_inputs"], "zeros", description["seed"], description["dtype"]
        )

    def __repr__(self) -> str:
        sizes = "-".join(map(str, self.n))
        return f"<Network {sizes}, {self.n_parameters:,} parameters, {self.dtype.name}>"

    def checked_X(self, X: Data) -> Data:
        """Return X as an array or sparse matrix of shape (n[0], m); refuse anything else."""
        if hasattr(X, "tocsc"):
            X = X.tocsc()  # columns, the examples, are what is taken
        else:
            X = np.asarray(X)
            if X.dtype.kind not in "biuf":
                raise TypeError(f"X must hold numbers; got dtype {X.dtype}.")
        n = self.n_inputs
        if X.ndim == 2 and X.shape[0] == n:
            return X
        hint = ""
        if X.ndim == 2 and X.shape[1] == n:
            hint = " An example is a column here: pass the transpose, X.T."
        elif X.ndim == 1 and X.shape == (n,):
            hint = " For one example pass X.reshape(-1, 1)."
        raise ValueError(
            f"{self.layers[0].where()} expects X of shape (n[0], m) = ({n}, m); "
            f"got {X.shape}.{hint}"
        )

    def _dense(self, X: Data) -> NDArray[Any]:
        X = X.toarray(order="F") if hasattr(X, "toarray") else X
        self._check_cast(np.asarray(X))
        return np.asarray(X, dtype=self.dtype)

    def _checked_targets(
        self, m: int, Y: Any, loss: str | Loss, sample_weight: Any
    ) -> tuple[Loss, NDArray[Any], NDArray[Any] | None]:
        loss = find_loss(loss)
        if m == 0:
            raise ValueError("X holds no examples: J is a mean over at least one.")
        Y = check_targets(Y, loss, self.n[-1], m)
        Y = one_hot(Y, self.n[-1], self.dtype) if Y.ndim == 1 else Y.astype(self.dtype, copy=False)
        return loss, Y, check_weights(sample_weight, m, self.dtype)


def _put(name: str, array: NDArray[Any], values: Any) -> None:
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


def _checked_layers(layers: Iterable[Layer]) -> list[Layer]:
    layers = list(layers)
    if not layers:
        raise ValueError("a Network needs at least one layer, such as Dense(1, 'sigmoid').")
    for position, layer in enumerate(layers, start=1):
        if not isinstance(layer, Layer):
            raise TypeError(
                f"layers must be a list of layers such as Dense(4, 'tanh'); entry {position} is "
                f"{layer!r}."
            )
        if position > 1 and not layer.computes_Z and not layers[position - 2].computes_Z:
            raise ValueError(f"entry {position}, {layer!r}, follows another layer without a Z.")
    for position, layer in enumerate(layers[:-1], start=1):
        if layer.activation is not None and layer.activation.output_only:
            raise ValueError(
                f"entry {position}, {layer!r}: {layer.activation.name} is for the output layer."
            )
    if not layers[-1].computes_Z:
        raise ValueError(f"the last layer must compute a Z, such as Dense; got {layers[-1]!r}.")
    if layers[-1].dropout:
        raise ValueError(f"the output layer cannot drop units; got {layers[-1]!r}.")
    return layers


def _check_names(layers: Iterable[Layer]) -> None:
    """Refuse parameters of one name: a layer without a Z has the number of the one before."""
    of: dict[str, Layer] = {}
    for layer in layers:
        for letter in layer.parameters:
            name = f"{letter}{layer.number}"
            if name in of:
                raise ValueError(
                    f"{of[name].where()} and {layer.where()} both have a parameter {name}. Take "
                    f"another letter, or let {type(layer).__name__} count as a layer l: "
                    "computes_Z = True."
                )
            of[name] = layer


def _is_function(initializer: Any) -> bool:
    return callable(initializer) and not isinstance(initializer, (Initializer, type))


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> str:
    """Lay out a text table; the columns named in ``right`` are right-aligned."""
    widths = [max(len(row[k]) for row in [header, *rows]) for k in range(len(header))]
    lines = []
    for row in [header, *rows]:
        cells = [
            cell.rjust(width) if k in right and row is not header else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
