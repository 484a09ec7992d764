"""Engines: who computes the steps of an epoch.

One contract, :mod:`pellucid.engines.contract`, and one table, :data:`ENGINES`.
``fused`` is C++ and fast; ``reference`` is the lectures' equations (:mod:`pellucid.propagation`)
and runs anything, layers and functions of your own too.
"""

from __future__ import annotations

from pellucid._catalogue import did_you_mean
from pellucid.engines.contract import (
    Engine,
    Examples,
    HasLayers,
    Job,
    Objective,
    Predictor,
    Session,
    check_parameters,
)
from pellucid.engines.fused import FusedEngine
from pellucid.engines.orders import permutation
from pellucid.engines.reference import ReferenceEngine

__all__ = [
    "ENGINES",
    "Engine",
    "Examples",
    "Job",
    "Objective",
    "Predictor",
    "Session",
    "choose_engine",
    "permutation",
    "predictor_of",
]

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (FusedEngine(), ReferenceEngine())}
"""Every engine by its name, the fastest first."""


def choose_engine(name: str, job: Job) -> tuple[Engine, str]:
    """Return the engine of this name, or for ``"auto"`` the fastest that can do the job.

    The second value says why a faster engine did not take it, empty where none stood back.

    >>> from pellucid import Dense, Network
    >>> from pellucid.losses import loss
    >>> from pellucid.optimizers import optimizer
    >>> net = Network([Dense(1, "sigmoid")], n_inputs=2, seed=0)
    >>> choose_engine("reference", Job(net, Objective(loss("bce")), optimizer("adam")))[0].name
    'reference'
    """
    if name != "auto" and name not in ENGINES:
        known = ", ".join(["auto", *ENGINES])
        raise ValueError(
            f"unknown engine {name!r}{did_you_mean(name, ENGINES)}. Known are: {known}."
        )
    reasons: list[str] = []
    for engine in ENGINES.values() if name == "auto" else [ENGINES[name]]:
        reason = engine.refuses(job)
        if not reason:
            return engine, "; ".join(reasons)
        reasons.append(f"{engine.name}: {reason}")
    raise ValueError(f"no engine can do this job: {'; '.join(reasons)}.")


def predictor_of(network: HasLayers) -> Predictor:
    """Return the fastest predictor of a network's present arrays; refuse arrays that are odd."""
    check_parameters(network.leaves, network.dtype, writing=False)
    made = (engine.predictor(network) for engine in ENGINES.values())
    return next(each for each in made if each is not None)
