"""Insight: looking into a network. Nothing in training imports it."""

from __future__ import annotations

from pellucid.insight.gradient_check import GradientCheck, check_gradients
from pellucid.insight.jacobian import input_gradients, integrated_gradients, jacobian

__all__ = [
    "GradientCheck",
    "check_gradients",
    "input_gradients",
    "integrated_gradients",
    "jacobian",
]
