"""Insight: looking into a network. Nothing in training imports it."""

from __future__ import annotations

from pellucid.insight.gradient_check import GradientCheck, check_gradients
from pellucid.insight.jacobian import input_gradients, integrated_gradients, jacobian
from pellucid.insight.trace import Trace, trace

__all__ = [
    "GradientCheck",
    "Trace",
    "check_gradients",
    "input_gradients",
    "integrated_gradients",
    "jacobian",
    "trace",
]
