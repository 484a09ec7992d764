"""The contract between training and whoever computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pellucid.layers import Layer
from pellucid.losses import Loss
from pellucid.optimizers import Optimizer
from pellucid.propagation import Gradients

Data = Any
"""X as (n[0], m): a NumPy array of any memory order, or a scipy sparse matrix."""


@dataclass(frozen=True)
class Objective:
    """What is minimised: J = weighted mean of the loss + l2/2 sum W^2 + l1 sum |W|.

    Attributes
    ----------
    loss : Loss
    l1, l2 : float
        The penalties.
    label_smoothing : float
        The share of a label that is spread over all classes.
    penalty_per_weight : bool
        Divide l1 and l2 by the total weight of the mini-batch, as scikit-learn does with alpha.
    clip_value, clip_norm : float or None
        Bounds on each entry of the gradient, or on its norm over all parameters (Pascanu et al.
        2013).
    """

    loss: Loss
    l1: float = 0.0
    l2: float = 0.0
    label_smoothing: float = 0.0
    penalty_per_weight: bool = False
    clip_value: float | None = None
    clip_norm: float | None = None

    def penalties(self, weight: float) -> dict[str, float]:
        """Return l1 and l2 for a mini-batch of this total weight."""
        divisor = weight if self.penalty_per_weight else 1.0
        return {"l1": self.l1 / divisor, "l2": self.l2 / divisor}


@dataclass
class State:
    """What an optimizer remembers between steps, in the lectures' layout.

    ``step`` counts the steps done; ``slots`` holds arrays by name, such as ``v_W1`` beside W1.
    """

    step: int = 0
    slots: dict[str, NDArray[Any]] = field(default_factory=dict)


class HasLayers(Protocol):
    """What an engine needs of a network."""

    layers: list[Layer]
    dtype: np.dtype[Any]
    seed: int


class Session(Protocol):
    """One training under way; until ``close`` it alone may change the network's parameters.

    Whoever does so all the same, between :meth:`sync` and the next steps, calls :meth:`take`.
    """

    def run(
        self,
        X: Data,
        Y: NDArray[Any],
        order: NDArray[np.integer[Any]] | None,
        first: int,
        last: int,
        *,
        learning_rate: NDArray[np.float64],
        sample_weight: NDArray[Any] | None = None,
    ) -> NDArray[np.float64]:
        """Do steps first ... last - 1 of an epoch and return each one's J, before its update.

        Step k takes the examples ``order[k B : (k + 1) B]`` (k B ... themselves where order is
        None); an order may leave examples out. ``learning_rate`` has one entry a step. A step whose
        weights sum to 0 is skipped and counted, its J is NaN. After a J that is not finite the run
        ends, without that step's update; the last entry is then inf. It also ends when the user
        interrupts.
        """
        ...

    def loss_and_gradients(
        self,
        X: Data,
        Y: NDArray[Any],
        sample_weight: NDArray[Any] | None = None,
        rows: NDArray[np.integer[Any]] | None = None,
    ) -> tuple[float, Gradients]:
        """Return J and its gradients, without dropout or an update.

        Over the examples with the numbers ``rows``, in that order; None: over all.
        """
        ...

    def evaluate(
        self,
        X: Data,
        Y: NDArray[Any],
        sample_weight: NDArray[Any] | None = None,
        rows: NDArray[np.integer[Any]] | None = None,
    ) -> tuple[float, NDArray[Any]]:
        """Return the mean loss, without penalties or dropout, and A[L]; ``rows`` as above."""
        ...

    def finite(self) -> bool:
        """Whether all parameters are finite numbers."""
        ...

    def sync(self) -> None:
        """Write the parameters back to the network."""
        ...

    def undo(self) -> None:
        """Put the parameters back to where the last sync left them, or the start."""
        ...

    def take(self) -> None:
        """Go on from the network's arrays: after a sync, other code may have written into them."""
        ...

    def state(self) -> State:
        """Return the optimizer's state: a copy."""
        ...

    def close(self) -> None:
        """Sync and end; the session is of no use afterwards."""
        ...


def never() -> bool:
    """Never interrupts."""
    return False


class Engine(Protocol):
    """Starts sessions."""

    name: str

    def refuses(self, *job: Any) -> str:
        """Return why this engine cannot do the job (network, objective, optimizer), or ""."""
        ...

    def start(
        self,
        network: HasLayers,
        objective: Objective,
        optimizer: Optimizer,
        *,
        batch_size: int,
        seed: int = 0,
        state: State | None = None,
        n_threads: int | None = None,
        interrupted: Callable[[], bool] = never,
    ) -> Session:
        """Open a session; ``seed`` is the key of its dropout draws.

        ``interrupted`` is asked between steps, some fifty times a second, whether the user wants
        an end.
        """
        ...


def slot_name(slot: str, letter: str, layer: Layer) -> str:
    """Return the name of an optimizer's array: v of W[1] is ``v_W1``."""
    return f"{slot}_{letter}{layer.number}"


def check_parameters(layers: list[Layer], dtype: np.dtype[Any], *, writing: bool) -> None:
    """Refuse arrays put into the layers from outside that an engine cannot work on.

    They must be of the network's dtype and of the layers' shapes; a session writes into them too.
    """
    for layer in layers:
        for letter, shape in layer.parameter_shapes(layer.input_shape).items():
            array = layer.parameters[letter]
            fits = type(array) is np.ndarray or isinstance(array, np.memmap)
            fits = fits and (array.dtype, array.shape) == (dtype, shape) and array.flags.aligned
            if fits and (array.flags.writeable or not writing):
                continue
            name = f"{letter}[{layer.number}]"
            if fits:
                raise ValueError(f"{name} is read-only; training writes into it. Put a copy there.")
            got = f"{getattr(array, 'dtype', type(array).__name__)} {np.shape(array)}"
            raise ValueError(
                f"{name} must be an array of {dtype}, {shape}; got {got}. Assign to "
                f"net.{name}, which converts."
            )


def check_state(layers: list[Layer], optimizer: Optimizer, slots: Mapping[str, Any]) -> None:
    """Refuse optimizer arrays that do not belong to these layers."""
    expected = {
        slot_name(slot, letter, layer): W.shape
        for layer in layers
        for letter, W in layer.parameters.items()
        for slot in optimizer.slots
    }
    found = {name: array.shape for name, array in slots.items()}
    if found != expected:
        wrong = sorted(name for name in expected | found if expected.get(name) != found.get(name))
        raise ValueError(
            f"the optimizer state does not belong to this network and {optimizer.name}: "
            f"{wrong[0]} should be {expected.get(wrong[0], 'absent')}, "
            f"is {found.get(wrong[0], 'absent')}."
        )
