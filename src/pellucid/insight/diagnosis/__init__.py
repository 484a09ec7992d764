"""Diagnosis: what is wrong with a training, a network or its data, and what to change.

:mod:`evidence` gathers plain numbers, :mod:`rules` reads them, :func:`diagnose` is both.
"""

from __future__ import annotations

from pellucid.insight.diagnosis.diagnose import diagnose
from pellucid.insight.diagnosis.finding import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]
