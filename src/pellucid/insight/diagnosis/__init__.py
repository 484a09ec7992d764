"""Diagnosis: what is wrong with a training, a network or its data, and what to change."""

from __future__ import annotations

from pellucid.insight.diagnosis.finding import Diagnosis, Finding
from pellucid.insight.diagnosis.watch import Watch

__all__ = ["Diagnosis", "Finding", "Watch"]
