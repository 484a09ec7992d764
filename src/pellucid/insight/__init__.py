"""Insight: looking into a network. Nothing in training imports it."""

from __future__ import annotations

from pellucid.insight.diagnosis import Diagnosis, Finding, diagnose
from pellucid.insight.explain import Explanation, explain
from pellucid.insight.gradient_check import GradientCheck, check_gradients
from pellucid.insight.jacobian import input_gradients, integrated_gradients, jacobian, saliency
from pellucid.insight.recording import Recording, record_training
from pellucid.insight.responds import Response, responds_to
from pellucid.insight.trace import Trace, trace
from pellucid.training import StatisticsCallback

Watch = StatisticsCallback
"""Its name before every training had one."""

__all__ = [
    "Diagnosis",
    "Explanation",
    "Finding",
    "GradientCheck",
    "Recording",
    "Response",
    "StatisticsCallback",
    "Trace",
    "Watch",
    "check_gradients",
    "diagnose",
    "explain",
    "input_gradients",
    "integrated_gradients",
    "jacobian",
    "record_training",
    "responds_to",
    "saliency",
    "trace",
]
