"""Trace: one forward and backward pass of a network with its real numbers."""

from __future__ import annotations

from pellucid.insight.trace.check import TraceCheck
from pellucid.insight.trace.passes import Step
from pellucid.insight.trace.presets import PRESETS, Preset, preset
from pellucid.insight.trace.trace import Trace, trace
from pellucid.record import Cell, Factor, Matrix, Picture, Volume

__all__ = [
    "PRESETS",
    "Cell",
    "Factor",
    "Matrix",
    "Picture",
    "Preset",
    "Step",
    "Trace",
    "TraceCheck",
    "Volume",
    "preset",
    "trace",
]
