"""What every layer is: settings, parameters once built, forward, backward."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np

from pellucid._shown import plain
from pellucid.activations import Activation
from pellucid.checks import is_number, is_whole
from pellucid.initializers import Initializer
from pellucid.initializers import initializer as find_initializer
from pellucid.layers.shapes import Places

Array = Any


@dataclass
class LayerCache:
    """What a layer's forward keeps for its backward (the lecture's cache).

    ``A_prev`` is what came in, ``Z`` and ``A = g(Z)`` what was computed (None where the layer
    computes none), ``mask`` the dropout mask, ``output`` what went on to the next layer.

    ``steps`` holds what a recurrent layer computes at each step, by its letter: ``steps["Z"][2]``
    is Z<3>. ``arrays`` holds what else a layer keeps, by its letter. ``inner`` are the caches of
    the layers inside. Of padded sequences ``lengths`` are the steps of each example that came in,
    and ``valid`` tells which entries of the output are there.
    """

    A_prev: Array
    output: Array
    Z: Array = None
    A: Array = None
    mask: Array = None
    steps: dict[str, list[Array]] = field(default_factory=dict)
    arrays: dict[str, Array] = field(default_factory=dict)
    inner: list[LayerCache] = field(default_factory=list)
    valid: Array = None
    lengths: Array = None


class Layer:
    """Base of all layers: a chain of them is a network.

    A layer is made with its settings alone (``Dense(4, "tanh")``); ``build`` gives it its shapes
    and parameters. A layer of your own needs ``forward`` and ``backward``, and what differs from
    the base: ``parameter_shapes``, ``output_shape_for``, ``initial``. It keeps each argument of
    its ``__init__`` under the argument's name. Its arrays may be any that follow the array API:
    then it is also traced by what it computes, and exported.

    Class attributes, which others go by: ``name``, the class's own in lower case unless given;
    ``computes_Z``, True where the layer counts as a layer l of the lectures; ``penalised``, the
    weights: what L1, L2 and AdamW's decay act on, and what a diagnosis looks at, the first of them
    with a row for each unit; ``needs``, what its forward takes besides: "lengths", the steps of
    each example, (m,) or None, and "mode", the :class:`~pellucid.layers.chain.Mode` of the pass;
    ``mixes_examples``, True where an example's output depends on the others in its mini-batch;
    ``unit``, what a row of Z by place is called: a convolution has filters; ``takes``, "words"
    where what enters are numbers of words, of which none is more than another;
    ``each_step``, True where a step of the output comes from that step alone, or from it and what
    is ``carried`` from step to step, letters of the cache's ``steps``: such a layer can be run a
    step at a time, by ``net.step``.

    Attributes: ``activation``, g where it has one; ``dropout``. After ``build``: ``number``, its l;
    ``input_shape`` and ``output_shape``, tuples without the examples; ``parameters``, its arrays
    by the lectures' letters; ``statistics``, arrays that it keeps but does not learn by gradients.
    ``inner`` are the layers inside of it, which then have the parameters; they stand among its
    arguments. ``variant`` names the option by which it computes otherwise than its name says,
    which an engine may lack.

    Examples
    --------
    >>> class Square(Layer):
    ...     def forward(self, A_prev, mask=None):
    ...         A = A_prev**2
    ...         return A, LayerCache(A_prev, A)
    ...
    ...     def backward(self, dA, cache, *, dZ=None, m=None, inputs=True):
    ...         return 2 * cache.A_prev * dA, {}
    >>> layer = Square().build((2,))
    >>> layer.forward(np.array([[3.0], [4.0]]))[0]
    array([[ 9.],
           [16.]])
    """

    name: ClassVar[str]
    computes_Z: ClassVar[bool] = False
    penalised: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ()
    mixes_examples: ClassVar[bool] = False
    unit: ClassVar[str] = "unit"
    takes: ClassVar[str] = "numbers"
    each_step: bool = False
    carried: ClassVar[tuple[str, ...]] = ()
    activation: Activation | None = None
    dropout: float = 0.0
    inner: Sequence[Layer] = ()
    variant: str = ""

    def __init_subclass__(cls) -> None:
        if "name" not in vars(cls):  # a name that is inherited would be another layer's
            cls.name = cls.__name__.lower()

    def __init__(
        self,
        *,
        learning_rate_factor: float | Mapping[str, float] = 1.0,
        weight_decay_factor: float = 1.0,
    ) -> None:
        factors = (
            dict(learning_rate_factor)
            if isinstance(learning_rate_factor, Mapping)
            else learning_rate_factor
        )
        for factor in factors.values() if isinstance(factors, dict) else [factors]:
            self._check_factor("learning_rate_factor", factor)
        self._check_factor("weight_decay_factor", weight_decay_factor)
        self.learning_rate_factor = factors
        self.weight_decay_factor = weight_decay_factor
        self.number = 0
        self.input_shape: tuple[int, ...] = ()
        self.output_shape: tuple[int, ...] = ()
        self.parameters: dict[str, Array] = {}
        self.statistics: dict[str, Array] = {}

    @classmethod
    def examples(cls) -> Iterator[tuple[Self, tuple[int, ...]]]:
        """Yield a few layers, each with the shape of what enters it: the tests run them all.

        >>> from pellucid.layers import Scale
        >>> list(Scale.examples())[0]
        (Scale(), (3,))
        """
        raise NotImplementedError(f"{cls.__name__} has no examples(); tests need some.")

    def example_inputs(self, m: int, rng: np.random.Generator) -> np.ndarray:
        """Return m inputs that suit the layer once it is built, (n[l-1], m), for tests."""
        return rng.normal(size=(math.prod(self.input_shape), m))

    def parameter_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        """Return the shape of each parameter, by its letter; unless overridden there are none."""
        return {}

    def statistic_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        """Return the shape of each array of ``statistics``; unless overridden there are none."""
        return {}

    def output_shape_for(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of one example's output; unless overridden that of its input."""
        return input_shape

    def lengths_after(self, lengths: Array) -> Array:
        """Return how many steps of each example are left, (m,); None where none are kept apart.

        Unless overridden: all of them where the layer keeps the shape, else none.
        """
        return lengths if self.output_shape == self.input_shape else None

    def field(self, places: Places) -> Places:
        """Return the places of what enters on which these places of the output depend.

        (first, last + 1) along each axis but the last, of (rows, columns, channels) or (steps,
        features). Unless overridden it is all of them.

        >>> from pellucid.layers import Conv1D
        >>> Conv1D(1, 3, stride=2).build((9, 1)).field(((1, 2),))
        ((2, 5),)
        """
        return tuple((0, n) for n in self.input_shape[:-1])

    def learn_statistics(self, cache: LayerCache) -> None:
        """Change ``statistics`` after a step of training; unless overridden there are none."""

    def marks(self) -> list[str]:
        """Return what stands before each layer of ``inner`` in a table; unless overridden, ""."""
        return [""] * len(self.inner)

    @property
    def numbers(self) -> int:
        """How many numbers a pass makes of one example at most: engines take fewer examples then.

        Unless overridden, those of the input or of the output.
        """
        return max(math.prod(self.input_shape), math.prod(self.output_shape))

    @property
    def fan_in(self) -> int | None:
        """How many inputs a unit adds up, z = w a_prev + b; None where it computes otherwise.

        The size that suits the weights at the start follows from it, and that the layer bends
        nothing but by g; without it, neither does.
        """
        return None

    def initial(self, letter: str, shape: tuple[int, int], start: Any, seed: int) -> np.ndarray:
        """Return the start of a parameter in float64; ``start`` is the network's initializer.

        Unless overridden, weights (``penalised``) are drawn by the layer's ``initializer`` if it
        has one, else the network's, else what suits g; all else is 0.
        """
        if letter not in self.penalised:
            return np.zeros(shape)
        suits = "glorot_uniform" if self.activation is None else self.activation.initializer
        chosen = getattr(self, "initializer", None) or start or find_initializer(suits)
        drawn: np.ndarray = chosen.draw(shape, seed=seed, layer=self.number)
        return drawn

    def forward(self, A_prev: Array, mask: Array = None) -> tuple[Array, LayerCache]:
        """Return the output and the cache; ``mask`` is 0 or 1 / (1 - rate) for each unit."""
        raise NotImplementedError

    def backward(
        self,
        dA: Array,
        cache: LayerCache,
        *,
        dZ: Array = None,
        m: float | None = None,
        inputs: bool = True,
    ) -> tuple[Array, Any]:
        """Return dA_prev and the gradients by name (dW, db, ...).

        ``dZ`` is given instead of dA by a fused pair of output activation and loss; ``m`` is what
        the sums over examples are divided by, their number unless weights say otherwise; with
        ``inputs=False`` dA_prev is not computed (None).
        """
        raise NotImplementedError

    def settings(self) -> dict[str, Any]:
        """Return the arguments that make this layer again, as plain data.

        Unless overridden they are the attributes that are called as the arguments are; layers
        among them are described as :meth:`to_dict` does.
        """
        found = {}
        for name, value in self._arguments():
            value = _each_layer(value, Layer.to_dict) if self.inner else value
            found[name] = value.spec() if hasattr(value, "spec") else value
        return found

    def _arguments(self) -> Iterator[tuple[str, Any]]:
        """Each argument of ``__init__`` by its name, and what was given."""
        for name in inspect.signature(type(self)).parameters:
            if not hasattr(self, name):
                raise TypeError(
                    f"{type(self).__name__}: keep the argument {name!r} as self.{name}, or "
                    "define settings()."
                )
            yield name, getattr(self, name)

    def place(self, input_shape: tuple[int, ...], number: int) -> None:
        """Give the layer its number and its shapes."""
        self.number, self.input_shape = number, tuple(input_shape)
        self.output_shape = self.output_shape_for(self.input_shape)
        self._check_factor_letters()

    def draw(self, seed: int, dtype: Any, initializer: Initializer | None = None) -> None:
        """Give the layer, and those inside, its initial parameters."""
        for layer in self.inner:
            layer.draw(seed, dtype, initializer)
        self.parameters = {}
        for letter, shape in self.parameter_shapes(self.input_shape).items():
            drawn = self.initial(letter, shape, initializer, seed)
            self.parameters[letter] = np.asfortranarray(drawn, dtype=dtype)
        shapes = self.statistic_shapes(self.input_shape)
        self.statistics = {k: np.zeros(shape, dtype, order="F") for k, shape in shapes.items()}

    def build(
        self,
        input_shape: tuple[int, ...],
        *,
        number: int = 1,
        seed: int = 0,
        dtype: Any = np.float64,
        initializer: Initializer | None = None,
    ) -> Layer:
        """Give the layer its number, shapes and initial parameters; return it."""
        self.place(input_shape, number)
        self.draw(seed, dtype, initializer)
        return self

    def with_inner(self, do: Callable[[Layer], Any]) -> Self:
        """Return a copy in which each layer inside is what ``do`` makes of it."""
        made = copy.copy(self)
        for name, value in self._arguments() if self.inner else ():
            setattr(made, name, _each_layer(value, do))
        return made

    def unbuilt(self) -> Layer:
        """Return a copy with the settings alone, and such copies of the layers inside."""
        made = self.with_inner(Layer.unbuilt)
        made.number, made.input_shape, made.output_shape = 0, (), ()
        made.parameters, made.statistics = {}, {}
        made.learning_rate_factor = copy.copy(self.learning_rate_factor)
        return made

    def rate_factor(self, letter: str) -> float:
        """Return what multiplies the learning rate for this parameter."""
        if isinstance(self.learning_rate_factor, dict):
            return float(self.learning_rate_factor.get(letter, 1.0))
        return float(self.learning_rate_factor)

    @property
    def n_parameters(self) -> int:
        """How many numbers the layer learns, and those inside."""
        own: int = sum(math.prod(value.shape) for value in self.parameters.values())
        return own + sum(layer.n_parameters for layer in self.inner)

    def to_dict(self) -> dict[str, Any]:
        """Return the layer's name and settings, for a model file."""
        return {"layer": self.name, **self.settings()}

    def where(self) -> str:
        """Return how messages name this layer: ``layer 2 (Dense 3 -> 4)``."""
        sizes = (" x ".join(map(str, shape)) for shape in (self.input_shape, self.output_shape))
        return f"layer {self.number} ({type(self).__name__} {' -> '.join(sizes)})"

    def check_input(self, A_prev: Array) -> None:
        """Refuse an input that is not (n[l-1], m), before any arithmetic."""
        if not self.output_shape:
            raise ValueError(f"{self!r} has no parameters yet; put it in a Network or build it.")
        if not hasattr(A_prev, "shape"):
            raise TypeError(f"{self.where()} expects A_prev as an array; got {A_prev!r}.")
        shape, n = tuple(A_prev.shape), math.prod(self.input_shape)
        if len(shape) == 2 and shape[0] == n:
            return
        expected = f"({n}, m)"
        hint = ""
        if len(shape) == 2 and shape[1] == n:
            hint = " An example is a column here: pass the transpose, A.T."
        elif shape == (n,):
            hint = " For one example pass A.reshape(-1, 1)."
        raise ValueError(f"{self.where()} expects A_prev of shape {expected}; got {shape}.{hint}")

    def check_gradient(self, d: Array, cache: LayerCache) -> None:
        """Refuse a dA or dZ that has not the shape of the layer's output."""
        expected, got = tuple(cache.output.shape), tuple(getattr(d, "shape", ()))
        if got != expected:
            raise ValueError(
                f"{self.where()} expects dA of the shape of its output, {expected}; got {got}."
            )

    def _check_factor_letters(self) -> None:
        known = list(self.parameter_shapes(self.input_shape))
        factors = self.learning_rate_factor
        for letter in factors if isinstance(factors, dict) else ():
            if letter not in known:
                raise ValueError(
                    f"{self!r}: learning_rate_factor names {letter!r}; the parameters are "
                    f"{', '.join(known)}."
                )

    def _checked_whole(self, argument: str, value: Any) -> int:
        if not is_whole(value, 1):
            raise ValueError(
                f"{type(self).__name__}: {argument} must be an integer of 1 or more; got "
                f"{plain(value)!r}."
            )
        return int(value)

    def _checked_dropout(self, value: Any) -> float:
        if not is_number(value) or not 0 <= value < 1:
            raise ValueError(
                f"{type(self).__name__}: dropout must be at least 0 and below 1; got "
                f"{plain(value)!r}."
            )
        return float(value)

    def _check_factor(self, name: str, value: Any) -> None:
        if not is_number(value) or value < 0:
            raise ValueError(f"{type(self).__name__}: {name} must be 0 or more; got {value!r}.")

    def __repr__(self) -> str:
        shown, settings = [], self.settings()
        for key, parameter in inspect.signature(type(self)).parameters.items():
            value = settings.get(key, parameter.default)
            value = getattr(self, key, value) if self.inner else value
            if parameter.kind is not parameter.KEYWORD_ONLY:
                shown.append(repr(value))
            elif value != parameter.default:
                shown.append(f"{key}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _each_layer(value: Any, do: Callable[[Layer], Any]) -> Any:
    """An argument in which each layer, those in lists too, is what ``do`` makes of it."""
    if isinstance(value, Layer):
        return do(value)
    return [_each_layer(each, do) for each in value] if isinstance(value, list) else value
