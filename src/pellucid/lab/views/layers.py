"""Activations and gradients by layer: what comes forward and what goes back, as histograms."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import propagation
from pellucid.insight.diagnosis.evidence import Evidence
from pellucid.insight.diagnosis.rules.rule import step_sizes
from pellucid.lab.session.experiment import Experiment
from pellucid.lab.views.diagnosis import training_settings
from pellucid.training.measure import norm, of_pass, one_thread

MOST, FEWEST = 200, 32
"""Training examples that are looked at, evenly spaced: as many as ``WORK`` allows."""
WORK = 20_000_000
"""Parameters times examples of a pass of some milliseconds."""
BINS = 40
GRADIENTS = ("dZ", "dW")
DECADES = 8.0
"""How far below the largest gradient the axis reaches; what is smaller counts as the smallest."""


def layers(experiment: Experiment, gradient: str = "dZ") -> dict[str, Any]:
    """Return for each layer the histograms of A[l] and of dZ[l] or dW[l], and their statistics.

    One pass of the reference, without dropout; dW with the penalties, as an update takes it. All
    layers share an axis: from the least to the largest A, and of gradients log10 of their size.
    Values that are exactly 0 are counted apart.

    Raises
    ------
    ValueError
        For a gradient that is neither "dZ" nor "dW".
    """
    if gradient not in GRADIENTS:
        raise ValueError(f"gradient must be {' or '.join(GRADIENTS)}; got {gradient!r:.40}.")
    e, s = experiment, experiment.settings
    rows = examples(e)
    with one_thread():
        cache = propagation.forward(e.network.layers, e.X[:, rows])
        found = propagation.backward(cache, e.Y[:, rows], e.loss, l1=s.l1, l2=s.l2)
    measured = of_pass(cache, found)
    sizes = step_sizes(
        Evidence(settings=training_settings(e)), {"layers": measured, "epoch": e.epoch}
    )
    A = {l: cache.A[l] for l in found.dZ}
    back = found.dZ if gradient == "dZ" else found.dW
    logs = {l: np.log10(np.abs(values[values != 0])) for l, values in back.items()}
    ends, decades = _ends(A.values()), _decades(logs.values())
    return {
        "examples": len(rows),
        "of": len(e.training),
        "gradient": gradient,
        "A": {"low": ends[0], "high": ends[1]},
        "log": {"low": decades[0], "high": decades[1]},
        "layers": [
            {
                "layer": (l := k["layer"]),
                "g": k["g"],
                "units": k["units"],
                "dead": k["dead"],
                "saturated": k["saturated"],
                "A": _described(A[l]) | {"counts": _counts(A[l][A[l] != 0], ends)},
                "gradient": _described(back[l]) | {"counts": _counts(logs[l], decades)},
                "dW_rms": norm(found.dW[l]) / math.sqrt(found.dW[l].size),
                "W_norm": k["W_norm"],
                "step": step,
            }
            for k, step in zip(measured, sizes, strict=True)
        ],
    }


def examples(e: Experiment) -> NDArray[np.int64]:
    """Return which training examples are looked at."""
    count = min(len(e.training), max(FEWEST, min(MOST, WORK // e.network.n_parameters)))
    places = np.linspace(0, len(e.training) - 1, count).astype(np.int64)
    return np.asarray(e.training[places])


def _described(values: NDArray[Any]) -> dict[str, float]:
    return {
        "size": values.size,
        "mean": float(values.mean(dtype=np.float64)),
        "std": float(values.std(dtype=np.float64)),
        "zero": float(np.mean(values == 0)),
    }


def _ends(arrays: Iterable[NDArray[Any]]) -> tuple[float, float]:
    """The least and the largest finite number, a little apart."""
    finite = [each[np.isfinite(each)] for each in arrays]
    numbers = np.concatenate([each.ravel() for each in finite])
    low, high = (float(numbers.min()), float(numbers.max())) if len(numbers) else (0.0, 0.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _decades(logs: Iterable[NDArray[Any]]) -> tuple[float, float]:
    """Whole powers of ten around all gradients, at most DECADES of them."""
    low, high = _ends(logs)
    top = math.ceil(high)
    return max(float(math.floor(low)), top - DECADES), float(top)


def _counts(values: NDArray[Any], ends: tuple[float, float]) -> list[int]:
    """How many finite values lie in each of the bins; those beyond the ends in the last ones."""
    finite = values[np.isfinite(values)]
    counts: list[int] = np.histogram(np.clip(finite, *ends), BINS, ends)[0].tolist()
    return counts
