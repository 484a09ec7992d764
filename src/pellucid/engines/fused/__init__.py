"""The fused engine: C++, one module for each SIMD level of the processor."""

from __future__ import annotations

import math
import warnings

from pellucid.engines.contract import Engine, HasLayers, Job, check_parameters
from pellucid.engines.fused.module import lacks, weights_of
from pellucid.engines.fused.predictor import FusedPredictor
from pellucid.engines.fused.session import FusedSession
from pellucid.engines.threads import available_cpus, worthwhile


class FusedEngine(Engine):
    """Runs what the compiled module says it can."""

    name = "fused"

    def refuses(self, job: Job) -> str:
        return lacks(job.network.layers, job.objective.loss, job.optimizer)

    def start(self, job: Job) -> FusedSession:
        layers = job.network.layers
        check_parameters(layers, job.network.dtype, writing=True)
        asked, n_threads = job.n_threads or 1, job.n_threads
        if n_threads is None:
            flops = 6.0 * job.batch_size * sum(math.prod(weights_of(k).shape) for k in layers)
            n_threads = worthwhile(flops, available_cpus())
        session = FusedSession(job, n_threads)
        if session.threads < asked:
            warnings.warn(
                f"{session.threads} of {asked} threads could be started, the system allows no "
                "more; the training goes on with these.",
                RuntimeWarning,
                stacklevel=2,
            )
        return session

    def predictor(self, network: HasLayers) -> FusedPredictor | None:
        arrays = [W for layer in network.layers for W in layer.parameters.values()]
        if lacks(network.layers) or not all(W.flags.f_contiguous for W in arrays):
            return None
        return FusedPredictor(network)
