"""Insight: looking into a network. Nothing in training imports it."""

from __future__ import annotations

from pellucid.insight.gradient_check import GradientCheck, check_gradients

__all__ = ["GradientCheck", "check_gradients"]
