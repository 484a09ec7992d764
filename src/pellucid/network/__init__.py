"""Networks: a chain of layers, their parameters and their dimensions."""

from pellucid.network.network import Network
from pellucid.network.parameters import ParametersByLayer

__all__ = ["Network", "ParametersByLayer"]
