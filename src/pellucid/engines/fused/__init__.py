"""The fused engine: C++, one module for each SIMD level of the processor."""

from __future__ import annotations

import warnings

from pellucid.engines.contract import Engine, HasLayers, Job, Predictor, check_parameters
from pellucid.engines.fused.module import lacks
from pellucid.engines.fused.network import (
    FusedNetworkPredictor,
    FusedNetworkSession,
    flops_of,
)
from pellucid.engines.fused.plan import lacks_of_network
from pellucid.engines.fused.predictor import FusedPredictor
from pellucid.engines.fused.session import FusedSession
from pellucid.engines.threads import available_cpus, worthwhile


class FusedEngine(Engine):
    """Runs what the compiled module says it can: chains of Dense and Scale layer by layer over the
    whole mini-batch, any other network slice by slice.
    """

    name = "fused"

    def refuses(self, job: Job) -> str:
        loss, optimizer = job.objective.loss, job.optimizer
        if not lacks(job.network.layers, loss, optimizer):
            return ""
        return lacks_of_network(job.network.layers, loss, optimizer)

    def start(self, job: Job) -> FusedSession:
        layers = job.network.leaves
        check_parameters(layers, job.network.dtype, writing=True)
        asked, n_threads = job.n_threads or 1, job.n_threads
        if n_threads is None:
            n_threads = worthwhile(job.batch_size * flops_of(layers), available_cpus())
        kind = FusedNetworkSession if lacks(job.network.layers) else FusedSession
        session = kind(job, n_threads)
        if session.threads < asked:
            warnings.warn(
                f"{session.threads} of {asked} threads could be started, the system allows no "
                "more; the training goes on with these.",
                RuntimeWarning,
                stacklevel=2,
            )
        return session

    def predictor(self, network: HasLayers) -> Predictor | None:
        if lacks(network.layers):
            return None if lacks_of_network(network.layers) else FusedNetworkPredictor(network)
        arrays = [W for layer in network.layers for W in layer.parameters.values()]
        return FusedPredictor(network) if all(W.flags.f_contiguous for W in arrays) else None
