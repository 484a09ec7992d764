"""LayerNorm and BatchNorm: A = gamma * (A_prev - mean) / sqrt(variance + epsilon) + beta."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pellucid._shown import plain
from pellucid.checks import is_number
from pellucid.initializers import Initializer
from pellucid.layers.base import Array, Layer, LayerCache
from pellucid.layers.chain import PREDICTING, Mode
from pellucid.layers.shapes import Places, by_place, held, unrolled, valid_steps

SMALLEST = 1e-30
"""An epsilon below that is lost in float32."""


class Normalization(Layer):
    """What LayerNorm and BatchNorm share: A = gamma * A_norm + beta.

    A_norm = (A_prev - mean) / sqrt(variance + epsilon); over what the mean and the variance are
    taken is the layer's own. gamma and beta are (n, 1), a number for each unit, channel or feature,
    1 and 0 at the start. Penalties leave them alone.
    """

    each_step = True

    def __init__(
        self,
        *,
        epsilon: float = 1e-5,
        learning_rate_factor: float | Mapping[str, float] = 1.0,
    ) -> None:
        super().__init__(learning_rate_factor=learning_rate_factor)
        name = type(self).__name__
        if not is_number(epsilon) or epsilon < SMALLEST:
            raise ValueError(
                f"{name}: epsilon must be {SMALLEST:g} or more; got {plain(epsilon)!r:.60}."
            )
        self.epsilon = float(epsilon)

    def parameter_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        return {"gamma": (input_shape[-1], 1), "beta": (input_shape[-1], 1)}

    def initial(self, letter: str, shape: tuple[int, int], start: Any, seed: int) -> np.ndarray:
        return np.ones(shape) if letter == "gamma" else np.zeros(shape)

    def field(self, places: Places) -> Places:
        return places

    def lengths_after(self, lengths: Array) -> Array:
        return lengths

    def normalized(self, A_prev: Array, mean: Array, variance: Array) -> tuple[Array, LayerCache]:
        """Return the output and the cache; mean and variance fit A_prev by place."""
        P, m = by_place(A_prev, self.input_shape[-1]), A_prev.shape[1]
        A_norm = unrolled((P - mean) / self.std(variance), m)
        P_norm = by_place(A_norm, self.input_shape[-1])
        output = unrolled(self.parameters["gamma"] * P_norm + self.parameters["beta"], m)
        kept = {"mean": mean, "variance": variance, "A_norm": A_norm}
        return output, LayerCache(A_prev, output, arrays=kept)

    def std(self, variance: Array) -> Array:
        """Return sqrt(variance + epsilon)."""
        xp = variance.__array_namespace__()
        return xp.sqrt(variance + self.epsilon)

    def gradients(
        self, dP: Array, cache: LayerCache, m: float | None
    ) -> tuple[Array, Array, dict[str, Array]]:
        """Return A_norm and dA_norm by place, and dgamma and dbeta."""
        P_norm = by_place(cache.arrays["A_norm"], self.input_shape[-1])
        m = cache.A_prev.shape[1] if m is None else m
        xp = dP.__array_namespace__()
        dgamma = xp.sum(dP * P_norm, axis=1, keepdims=True) / m
        dbeta = xp.sum(dP, axis=1, keepdims=True) / m
        return P_norm, self.parameters["gamma"] * dP, {"dgamma": dgamma, "dbeta": dbeta}


class LayerNorm(Normalization):
    """A = gamma * A_norm + beta, A_norm = (A_prev - mean) / sqrt(variance + epsilon), by example.

    Forward and backward, with a column for each example, or for each place (step, pixel) of each;
    the mean and the variance are those of the n features in a column::

        mean     = (1/n) sum of a                    dgamma  = (1/m) sum of dA * A_norm
        variance = (1/n) sum of (a - mean)^2         dbeta   = (1/m) sum of dA
        std      = sqrt(variance + epsilon)          dA_norm = gamma * dA
        A_norm   = (A_prev - mean) / std
        A        = gamma * A_norm + beta
        dA_prev  = (dA_norm - mean of dA_norm - A_norm * (mean of dA_norm * A_norm)) / std

    gamma and beta are (n, 1), a number for each feature or channel, 1 and 0 at the start; the sums
    of dgamma and dbeta go over places and examples. No example changes another's output, and
    training and predicting are the same. Ba et al. 2016. It computes no Z, so it belongs to the
    layer before it.

    Parameters
    ----------
    epsilon : float
        What keeps the square root from 0.
    learning_rate_factor : float or dict
        Multiplies the learning rate; ``{"gamma": 1, "beta": 0.1}`` tells the two apart.

    Raises
    ------
    ValueError
        Where there is one feature alone: it would be 0 always.

    Examples
    --------
    >>> layer = LayerNorm().build((2,))
    >>> layer.forward(np.array([[1.0, 30.0], [5.0, 10.0]]))[0].round(3)
    array([[-1.,  1.],
           [ 1., -1.]])
    """

    name = "layernorm"

    @classmethod
    def examples(cls) -> Iterator[tuple[LayerNorm, tuple[int, ...]]]:
        yield cls(), (4,)
        yield cls(epsilon=0.1, learning_rate_factor={"gamma": 1.0, "beta": 0.5}), (3, 2)
        yield cls(epsilon=0.01), (2, 2, 3)

    def output_shape_for(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        if input_shape[-1] < 2:
            raise ValueError(
                f"{self!r} takes the mean of the features of each place; there is one alone, in "
                f"{' x '.join(map(str, input_shape))}, and what is left of it is 0. Leave the "
                "layer out, or put it behind a layer with more units."
            )
        return input_shape

    def forward(self, A_prev: Array, mask: Array = None) -> tuple[Array, LayerCache]:
        self.check_input(A_prev)
        P = by_place(A_prev, self.input_shape[-1])
        xp = P.__array_namespace__()
        mean = xp.mean(P, axis=0, keepdims=True)
        variance = xp.mean((P - mean) ** 2, axis=0, keepdims=True)
        return self.normalized(A_prev, mean, variance)

    def backward(
        self,
        dA: Array,
        cache: LayerCache,
        *,
        dZ: Array = None,
        m: float | None = None,
        inputs: bool = True,
    ) -> tuple[Array, dict[str, Array]]:
        self.check_gradient(dA, cache)
        dP = by_place(dA, self.input_shape[-1])
        P_norm, dP_norm, found = self.gradients(dP, cache, m)
        if not inputs:
            return None, found
        xp = dP.__array_namespace__()
        mean = xp.mean(dP_norm, axis=0, keepdims=True)
        along = xp.mean(dP_norm * P_norm, axis=0, keepdims=True)
        dP = (dP_norm - mean - P_norm * along) / self.std(cache.arrays["variance"])
        return unrolled(dP, dA.shape[1]), found


class BatchNorm(Normalization):
    """A = gamma * A_norm + beta, A_norm = (A_prev - mean) / sqrt(variance + epsilon), by channel.

    Forward and backward of a step of training, with a row for each unit, channel or feature; the
    mean and the variance are those of the N numbers in a row, one of each place of each example
    in the mini-batch::

        mean     = (1/N) sum of a                    dgamma  = (1/m) sum of dA * A_norm
        variance = (1/N) sum of (a - mean)^2         dbeta   = (1/m) sum of dA
        std      = sqrt(variance + epsilon)          dA_norm = gamma * dA
        A_norm   = (A_prev - mean) / std
        A        = gamma * A_norm + beta
        dA_prev  = (dA_norm - mean of dA_norm - A_norm * (mean of dA_norm * A_norm)) / std

    gamma and beta are (n, 1), 1 and 0 at the start; the sums of dgamma and dbeta go over places and
    examples. Padded steps count nowhere. Ioffe and Szegedy 2015. It computes no Z, so it belongs to
    the layer before it.

    Each step of training moves ``statistics``: mean = momentum * mean + (1 - momentum) * (that of
    the step), and the variance so, with N / (N - 1) times that of the step. All passes that are
    none of training take these: predicting, validation, the loss of a network; then
    dA_prev = dA_norm / std. They are saved with the network, and go with its
    parameters wherever these go: into checkpoints, the best epoch of an early stopping, copies.

    The weight of an example counts in the loss, not in the mean and the variance: in them all
    examples of a mini-batch count alike, those of weight 0 too. A mini-batch of N = 1 becomes beta
    and leaves the statistics as they are.

    Parameters
    ----------
    momentum : float
        How much of the statistics a step leaves as it is, 0 to below 1.
    epsilon : float
        What keeps the square root from 0.
    learning_rate_factor : float or dict
        Multiplies the learning rate; ``{"gamma": 1, "beta": 0.1}`` tells the two apart.

    Examples
    --------
    >>> layer = BatchNorm().build((1,))
    >>> layer.forward(np.array([[1.0, 5.0]]), mode=Mode(training=True))[0].round(3)
    array([[-1.,  1.]])
    >>> layer.forward(np.array([[1.0, 5.0]]))[0].round(3)  # by mean 0 and variance 1 as yet
    array([[1., 5.]])
    """

    name = "batchnorm"
    needs = ("lengths", "mode")
    mixes_examples = True

    def __init__(
        self,
        *,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        learning_rate_factor: float | Mapping[str, float] = 1.0,
    ) -> None:
        super().__init__(epsilon=epsilon, learning_rate_factor=learning_rate_factor)
        if not is_number(momentum) or not 0 <= momentum < 1:
            raise ValueError(
                f"BatchNorm: momentum must be at least 0 and below 1; got {plain(momentum)!r:.60}."
            )
        self.momentum = float(momentum)

    @classmethod
    def examples(cls) -> Iterator[tuple[BatchNorm, tuple[int, ...]]]:
        yield cls(), (3,)
        yield cls(momentum=0.5, epsilon=0.1), (3, 2)
        yield cls(learning_rate_factor={"gamma": 0.5}), (2, 2, 2)

    def statistic_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, int]]:
        return {"mean": (input_shape[-1], 1), "variance": (input_shape[-1], 1)}

    def draw(self, seed: int, dtype: Any, initializer: Initializer | None = None) -> None:
        super().draw(seed, dtype, initializer)
        self.statistics["variance"][...] = 1

    @property
    def fan_in(self) -> int | None:
        return 1

    def forward(
        self, A_prev: Array, mask: Array = None, *, lengths: Array = None, mode: Mode = PREDICTING
    ) -> tuple[Array, LayerCache]:
        self.check_input(A_prev)
        if not mode.training:
            return self.normalized(A_prev, self.statistics["mean"], self.statistics["variance"])
        P, there = by_place(A_prev, self.input_shape[-1]), self._there(lengths)
        N = P.shape[1] if there is None else int(there.sum())
        mean = _mean(P, N)  # padded steps are 0
        apart = P - mean if there is None else held(P - mean, there)
        variance = _mean(apart**2, N)
        output, cache = self.normalized(A_prev, mean, variance)
        cache.arrays["N"] = N
        return output, cache

    def _there(self, lengths: Array) -> Array:
        """Whether each place of each example is no padding, (1, m places); None: all are there."""
        if lengths is None:
            return None
        return by_place(valid_steps(lengths, (*self.input_shape[:-1], 1)), 1)

    def learn_statistics(self, cache: LayerCache) -> None:
        N = cache.arrays.get("N", 0)
        if N < 2:
            return
        learned = {"mean": 1.0, "variance": N / (N - 1)}
        for name, factor in learned.items():
            kept, found = self.statistics[name], cache.arrays[name]
            kept[...] = self.momentum * kept + (1 - self.momentum) * factor * found

    def backward(
        self,
        dA: Array,
        cache: LayerCache,
        *,
        dZ: Array = None,
        m: float | None = None,
        inputs: bool = True,
    ) -> tuple[Array, dict[str, Array]]:
        self.check_gradient(dA, cache)
        dP, N = by_place(dA, self.input_shape[-1]), cache.arrays.get("N")
        P_norm, dP_norm, found = self.gradients(dP, cache, m)
        if not inputs:
            return None, found
        if N is not None:  # the mean and the variance depend on every example
            along = P_norm * _mean(dP_norm * P_norm, N)
            dP_norm = dP_norm - _mean(dP_norm, N) - along
        return unrolled(dP_norm / self.std(cache.arrays["variance"]), dA.shape[1]), found


def _mean(P: Array, N: int) -> Array:
    """The sum of each row by N, (n, 1), added up in float64."""
    xp = P.__array_namespace__()
    return xp.astype(xp.sum(P, axis=1, keepdims=True, dtype=xp.float64) / N, P.dtype)
