"""Tables: reading files, standardising on training data, and models that keep both together."""

from __future__ import annotations

from pellucid.tables.read import read_table
from pellucid.tables.samples import SAMPLES, Sample, read_sample
from pellucid.tables.table import Table

__all__ = ["SAMPLES", "Sample", "Table", "read_sample", "read_table"]
