"""Activations: A = g(Z), and dZ from dA.

One table, :data:`ACTIVATIONS`. An entry is a frozen dataclass whose fields are the parameters of
g; its two methods are the whole mathematics::

    A  = g(Z)                      activation(Z)
    dZ = dA * g'(Z)                activation.backward(dA, Z, A)

``backward`` takes dA and not only g', because softmax mixes the units of an example. Both are pure
(they write into nothing) and run on any array library that follows the Python array API standard.
The identity returns Z itself. ``Z``, ``A``, ``dA``, ``dZ`` have the shape (n[l], m): a column is an
example.

>>> import numpy as np
>>> relu = activation("relu")
>>> relu(np.array([[-2.0, 0.0, 3.0]]))
array([[0., 0., 3.]])
>>> activation(LeakyReLU(slope=0.1))(np.array([[-2.0]]))
array([[-0.2]])
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pellucid._catalogue import Entry, lookup
from pellucid._whole import one_operation

Array = Any  # an array of any library that follows the array API standard; see propagation.py


@dataclass(frozen=True)
class Interval:
    """lower <= g(z) <= upper; ``closed`` says which of the two ends is a value of g.

    >>> print(Interval(0, 1), Interval(0, math.inf, "lower"), Interval(-1, 1, "both"))
    (0, 1) [0, inf) [-1, 1]
    """

    lower: float
    upper: float
    closed: Literal["neither", "lower", "both"] = "neither"

    @property
    def bounded(self) -> bool:
        """Whether both ends are finite."""
        return math.isfinite(self.lower) and math.isfinite(self.upper)

    def __str__(self) -> str:
        left = "(" if self.closed == "neither" else "["
        right = "]" if self.closed == "both" else ")"
        return f"{left}{self.lower:.5g}, {self.upper:.5g}{right}"


_FACTS = {"range": None, "steepest": None, "dies": False, "c_form": None}
"""What is known of g, and what stands where nothing is."""


@dataclass(frozen=True)
class Activation(Entry):
    """A = g(Z), one entry of :data:`ACTIVATIONS`.

    Class attributes: ``name``; ``formula`` of g and ``derivative`` g', in plain text; ``advice``,
    the lectures' word on when to use it; ``initializer``, the start that suits it, whose gain keeps
    the size of a signal; ``kinks``, the z at which g' does not exist (gradient checks keep away
    from them); ``output_only``, True where it makes sense in the last layer alone; ``needs_Z``,
    True where g' cannot be had from A.

    And what others go by; each may be left out, and then nothing is concluded from it:

    ``range``
        The :class:`Interval` of g's values.
    ``steepest``
        The largest size of g'(z); ``math.inf`` where there is none. None for a g that mixes units.
    ``dies``
        True where g and g' are 0 for every z < 0: such a unit may never learn again.
    ``c_form``
        g in C, for :func:`pellucid.export.export`: an expression of z, or statements, indented,
        that turn the n numbers of ``a`` from Z[l] into A[l]. ``real`` is float or double, and for
        float the functions and numbers get their f; ``{slope}`` stands for the parameter of that
        name.

    A subclass that defines another g, ``__call__``, says these anew: what was true of its parent's
    g need not be true of its own.
    """

    kind: ClassVar[str] = "activation"
    formula: ClassVar[str] = "g(z)"
    derivative: ClassVar[str] = "g'(z)"
    initializer: ClassVar[str] = "glorot_uniform"
    kinks: ClassVar[tuple[float, ...]] = ()
    output_only: ClassVar[bool] = False
    needs_Z: ClassVar[bool] = False
    dies: ClassVar[bool] = False
    c_form: ClassVar[str | None] = None

    def __init_subclass__(cls) -> None:
        own = vars(cls)
        if isinstance(own.get("range"), str):
            raise TypeError(
                f"{cls.__name__}.range must be an Interval, such as Interval(-1, 1), or be left "
                f"out; got {own['range']!r}."
            )
        if "__call__" in own:
            for fact, unknown in _FACTS.items():
                if fact not in own:
                    setattr(cls, fact, unknown)

    @property
    def range(self) -> Interval | None:
        """Where g's values lie; None where that is not known."""
        return None

    @property
    def steepest(self) -> float | None:
        """The largest |g'(z)|; None where that is not known, or g mixes units."""
        return None

    def __call__(self, Z: Array) -> Array:
        """Return A = g(Z), an array of the shape and dtype of Z."""
        raise NotImplementedError

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        """Return dZ, given dA, Z and A = g(Z), all of one shape (n[l], m)."""
        raise NotImplementedError


_SIGMOID_IN_C = "z < 0 ? exp(z) / (1 + exp(z)) : 1 / (1 + exp(-z))"
_SOFTPLUS_IN_C = "(z < 0 ? 0 : z) + log1p(exp(-fabs(z)))"
_SOFTMAX_IN_C = """\
    real largest = a[0], sum = 0;
    int i;
    for (i = 1; i < n; i++) if (a[i] > largest) largest = a[i];
    for (i = 0; i < n; i++) sum += a[i] = exp(a[i] - largest);
    for (i = 0; i < n; i++) a[i] /= sum;"""


@dataclass(frozen=True)
class Identity(Activation):
    """g(z) = z."""

    name = "identity"
    formula = "z"
    derivative = "1"
    range = Interval(-math.inf, math.inf)
    steepest = 1.0
    c_form = "z"
    advice = (
        "For the output of a regression. In hidden layers it makes the whole network "
        "one linear map (lecture 002, 3.3)."
    )

    def __call__(self, Z: Array) -> Array:
        return Z

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        return dA


@dataclass(frozen=True)
class Sigmoid(Activation):
    """g(z) = 1 / (1 + e^-z)."""

    name = "sigmoid"
    aliases = ("logistic",)
    formula = "1 / (1 + e^-z)"
    derivative = "a (1 - a)"
    range = Interval(0, 1)
    steepest = 0.25
    c_form = _SIGMOID_IN_C
    advice = (
        "For the output of a binary classification. In hidden layers tanh is better: its "
        "values are centred on 0 (lecture 002, 3.2)."
    )

    def __call__(self, Z: Array) -> Array:
        return _sigmoid(Z)

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        return dA * (A * (1 - A))


@dataclass(frozen=True)
class Tanh(Activation):
    """g(z) = (e^z - e^-z) / (e^z + e^-z)."""

    name = "tanh"
    formula = "(e^z - e^-z) / (e^z + e^-z)"
    derivative = "1 - a^2"
    range = Interval(-1, 1)
    steepest = 1.0
    c_form = "tanh(z)"
    advice = (
        "Better than sigmoid in hidden layers (mean 0). For large |z| the slope vanishes "
        "and learning is slow."
    )

    def __call__(self, Z: Array) -> Array:
        return _xp(Z).tanh(Z)

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        return dA * (1 - A * A)


@dataclass(frozen=True)
class ReLU(Activation):
    """g(z) = max(z, 0); the derivative at 0 is 0."""

    name = "relu"
    formula = "max(z, 0)"
    derivative = "1 if z > 0 else 0"
    range = Interval(0, math.inf, "lower")
    steepest = 1.0
    dies = True
    c_form = "z < 0 ? 0 : z"
    initializer = "he_normal"
    kinks = (0.0,)
    advice = (
        "The default for hidden layers: easy to train, no vanishing slope for z > 0. A unit "
        "that is never positive is dead and stays so."
    )

    def __call__(self, Z: Array) -> Array:
        xp = _xp(Z)
        return xp.maximum(Z, xp.zeros((), dtype=Z.dtype))

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        return dA * _xp(A).astype(A > 0, A.dtype)


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """g(z) = z for z > 0, slope * z otherwise; the derivative at 0 is the slope."""

    slope: float = 0.01

    name = "leaky_relu"
    formula = "z if z > 0 else slope z"
    derivative = "1 if z > 0 else slope"
    range = Interval(-math.inf, math.inf)
    steepest = 1.0
    c_form = "z < 0 ? {slope} * z : z"
    initializer = "he_normal"
    kinks = (0.0,)
    advice = "ReLU whose units cannot die: a little gradient flows for z < 0."

    def __post_init__(self) -> None:
        self._require(0 < self.slope < 1, "slope", "a number between 0 and 1, such as 0.01")

    def __call__(self, Z: Array) -> Array:
        return _xp(Z).where(Z > 0, Z, self.slope * Z)

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        return _xp(A).where(A > 0, dA, self.slope * dA)


@dataclass(frozen=True)
class ELU(Activation):
    """g(z) = z for z > 0, a (e^z - 1) otherwise; the derivative at 0 is a.

    Clevert, Unterthiner, Hochreiter 2016, arXiv:1511.07289.
    """

    a: float = 1.0

    name = "elu"
    formula = "z if z > 0 else a (e^z - 1)"
    derivative = "1 if z > 0 else a e^z"
    c_form = "z < 0 ? {a} * expm1(z) : z"
    initializer = "he_normal"
    kinks = (0.0,)
    advice = "A smooth leaky ReLU; costs an exponential."

    def __post_init__(self) -> None:
        self._require(0 < self.a < math.inf, "a", "a positive number, such as 1.0")

    @property
    def range(self) -> Interval:
        """(-a, inf)."""
        return Interval(-self.a, math.inf)

    @property
    def steepest(self) -> float:
        """g'(0) = a, or 1 on the right of it."""
        return max(1.0, self.a)

    def __call__(self, Z: Array) -> Array:
        return _elu(Z, 1.0, self.a)

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        return dA * _xp(A).where(A > 0, _one(A), A + self.a)


_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_A = 1.6732632423543772848170429916717


@dataclass(frozen=True)
class SELU(Activation):
    """g(z) = s z for z > 0, s a (e^z - 1) otherwise, s = 1.0507..., a = 1.6733...

    Klambauer et al. 2017, arXiv:1706.02515.
    """

    name = "selu"
    formula = "s z if z > 0 else s a (e^z - 1), s = 1.0507, a = 1.6733"
    derivative = "s if z > 0 else s a e^z"
    range = Interval(-_SELU_SCALE * _SELU_A, math.inf)
    steepest = _SELU_SCALE * _SELU_A
    c_form = "z < 0 ? 1.7580993408473766 * expm1(z) : 1.0507009873554805 * z"
    initializer = "lecun_normal"
    kinks = (0.0,)
    advice = "Keeps mean 0 and variance 1 through many layers when started with lecun_normal."

    def __call__(self, Z: Array) -> Array:
        return _elu(Z, _SELU_SCALE, _SELU_SCALE * _SELU_A)

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        scale = _SELU_SCALE * _one(A)
        return dA * _xp(A).where(A > 0, scale, A + _SELU_SCALE * _SELU_A)


_GELU_C = math.sqrt(2 / math.pi)


@dataclass(frozen=True)
class GELU(Activation):
    """g(z) = z/2 (1 + tanh(c (z + 0.044715 z^3))), c = sqrt(2/pi).

    The tanh form, in every engine. Hendrycks, Gimpel 2016, arXiv:1606.08415.
    """

    name = "gelu"
    formula = "z/2 (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3)))"
    derivative = "(1 + t)/2 + z/2 (1 - t^2) sqrt(2/pi) (1 + 0.134145 z^2), t the tanh"
    range = Interval(-0.17004075057125412, math.inf, "lower")
    steepest = 1.1289930686587720
    c_form = "0.5 * z * (1 + tanh(0.7978845608028654 * (z + 0.044715 * z * z * z)))"
    initializer = "he_normal"
    needs_Z = True
    advice = "A smooth ReLU, usual in transformers."

    def __call__(self, Z: Array) -> Array:
        return 0.5 * Z * (1 + self._tanh(Z))

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        t = self._tanh(Z)
        slope = _GELU_C * (1 + 3 * 0.044715 * Z * Z)
        return dA * (0.5 * (1 + t) + 0.5 * Z * (1 - t * t) * slope)

    @staticmethod
    def _tanh(Z: Array) -> Array:
        return _xp(Z).tanh(_GELU_C * (Z + 0.044715 * Z * Z * Z))


@dataclass(frozen=True)
class SiLU(Activation):
    """g(z) = z sigmoid(z)."""

    name = "silu"
    aliases = ("swish",)
    formula = "z / (1 + e^-z)"
    derivative = "s + a (1 - s), s = sigmoid(z)"
    range = Interval(-0.2784645427610738, math.inf, "lower")
    steepest = 1.0998393201288669
    c_form = f"z * ({_SIGMOID_IN_C})"
    initializer = "he_normal"
    needs_Z = True
    advice = "A smooth ReLU that dips below 0."

    def __call__(self, Z: Array) -> Array:
        return Z * _sigmoid(Z)

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        s = _sigmoid(Z)
        return dA * (s + A * (1 - s))


@dataclass(frozen=True)
class Mish(Activation):
    """g(z) = z tanh(softplus(z)). Misra 2020, arXiv:1908.08681."""

    name = "mish"
    formula = "z tanh(ln(1 + e^z))"
    derivative = "t + z (1 - t^2) sigmoid(z), t = tanh(ln(1 + e^z))"
    range = Interval(-0.3088434130172504, math.inf, "lower")
    steepest = 1.0884981612517281
    c_form = f"z * tanh({_SOFTPLUS_IN_C})"
    initializer = "he_normal"
    needs_Z = True
    advice = "Smooth; good for regression on tables."

    def __call__(self, Z: Array) -> Array:
        return Z * _xp(Z).tanh(_softplus(Z))

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        t = _xp(Z).tanh(_softplus(Z))
        return dA * (t + Z * (1 - t * t) * _sigmoid(Z))


@dataclass(frozen=True)
class Softplus(Activation):
    """g(z) = ln(1 + e^z)."""

    name = "softplus"
    formula = "ln(1 + e^z)"
    derivative = "1 - e^-a"
    range = Interval(0, math.inf)
    steepest = 1.0
    c_form = _SOFTPLUS_IN_C
    initializer = "he_normal"
    advice = "For an output that must be positive, such as a rate or a spread."

    def __call__(self, Z: Array) -> Array:
        return _softplus(Z)

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        return dA * -_xp(A).expm1(-A)


@dataclass(frozen=True)
class HardSigmoid(Activation):
    """g(z) = z/6 + 1/2 between -3 and 3, else 0 or 1; the derivative at +-3 is 0."""

    name = "hard_sigmoid"
    formula = "min(max(z/6 + 1/2, 0), 1)"
    derivative = "1/6 if -3 < z < 3 else 0"
    range = Interval(0, 1, "both")
    steepest = 1 / 6
    c_form = "z < -3 ? 0 : z > 3 ? 1 : z / 6 + 0.5"
    kinks = (-3.0, 3.0)
    advice = "Sigmoid without an exponential, for small processors."

    def __call__(self, Z: Array) -> Array:
        return _xp(Z).clip(Z / 6 + 0.5, 0.0, 1.0)

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        xp = _xp(A)
        return dA * xp.astype(xp.logical_and(A > 0, A < 1), A.dtype) / 6


@dataclass(frozen=True)
class HardTanh(Activation):
    """g(z) = z between -1 and 1, else -1 or 1; the derivative at +-1 is 0."""

    name = "hard_tanh"
    formula = "min(max(z, -1), 1)"
    derivative = "1 if -1 < z < 1 else 0"
    range = Interval(-1, 1, "both")
    steepest = 1.0
    c_form = "z < -1 ? -1 : z > 1 ? 1 : z"
    kinks = (-1.0, 1.0)
    advice = "Tanh without an exponential, for small processors."

    def __call__(self, Z: Array) -> Array:
        return _xp(Z).clip(Z, -1.0, 1.0)

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        xp = _xp(A)
        return dA * xp.astype(xp.logical_and(A > -1, A < 1), A.dtype)


@dataclass(frozen=True)
class Exp(Activation):
    """g(z) = e^z, held at e^70 (float32) or e^700 (float64), beyond which g' is 0."""

    name = "exp"
    formula = "e^z"
    derivative = "a"
    range = Interval(0, math.inf)
    steepest = math.inf
    c_form = "exp(z > EXP_LIMIT ? EXP_LIMIT : z)"
    output_only = True
    needs_Z = True
    advice = "For counts, with the Poisson loss: the network predicts the logarithm of a rate."

    def __call__(self, Z: Array) -> Array:
        xp = _xp(Z)
        return xp.exp(xp.minimum(Z, xp.asarray(exp_limit(Z), dtype=Z.dtype)))

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        return dA * A * _xp(A).astype(Z < exp_limit(Z), A.dtype)


@dataclass(frozen=True)
class Softmax(Activation):
    """g(z)_k = e^z_k / sum_j e^z_j, over the units of an example."""

    name = "softmax"
    formula = "e^z_k / sum_j e^z_j"
    derivative = "dz_k = a_k (da_k - sum_j a_j da_j)"
    range = Interval(0, 1)
    c_form = _SOFTMAX_IN_C
    output_only = True
    advice = "For the output of a classification with three classes or more: a column sums to 1."

    def __call__(self, Z: Array) -> Array:
        xp = _xp(Z)
        E = xp.exp(Z - xp.max(Z, axis=0, keepdims=True))
        return E / xp.sum(E, axis=0, keepdims=True)

    def backward(self, dA: Array, Z: Array, A: Array) -> Array:
        return A * (dA - _xp(A).sum(A * dA, axis=0, keepdims=True))


ACTIVATIONS: dict[str, type[Activation]] = {
    entry.name: entry
    for entry in (
        Identity,
        Sigmoid,
        Tanh,
        ReLU,
        LeakyReLU,
        ELU,
        SELU,
        GELU,
        SiLU,
        Mish,
        Softplus,
        HardSigmoid,
        HardTanh,
        Exp,
        Softmax,
    )
}
"""Every activation by its name. A new one is a class above and a line here."""


def activation(
    spec: str | Activation, own: Mapping[str, type[Activation]] | None = None
) -> Activation:
    """Return the activation that a name or an Activation stands for.

    ``own`` are classes of one's own by name, beside those of the table.

    >>> activation("logistic")
    Sigmoid()
    """
    return lookup({**own, **ACTIVATIONS} if own else ACTIVATIONS, spec, Activation)


def exp_limit(Z: Array) -> float:
    """Return the z beyond which e^z is held constant in the dtype of Z: 70 or 700."""
    return 70.0 if _xp(Z).finfo(Z.dtype).bits == 32 else 700.0


def _xp(array: Array) -> Any:
    return array.__array_namespace__()


def _one(array: Array) -> Array:
    return _xp(array).ones((), dtype=array.dtype)


@one_operation("sigmoid")
def _sigmoid(Z: Array) -> Array:
    """1 / (1 + e^-z) without overflow: as e^min(z, 0) / (1 + e^-|z|) no exponent is above 0."""
    xp = _xp(Z)
    return xp.exp(xp.minimum(Z, xp.zeros((), dtype=Z.dtype))) / (1 + xp.exp(-xp.abs(Z)))


def _softplus(Z: Array) -> Array:
    """ln(1 + e^z) = max(z, 0) + ln(1 + e^-|z|)."""
    xp = _xp(Z)
    return xp.maximum(Z, xp.zeros((), dtype=Z.dtype)) + xp.log1p(xp.exp(-xp.abs(Z)))


def _elu(Z: Array, scale: float, a: float) -> Array:
    xp = _xp(Z)
    negative = xp.minimum(Z, xp.zeros((), dtype=Z.dtype))
    return xp.where(Z > 0, scale * Z, a * xp.expm1(negative))
