"""Whether two networks are the same, bit for bit."""

from __future__ import annotations

from pellucid import Network


def same_parameters(one: Network, other: Network) -> bool:
    """Whether their parameters and statistics have the same names, dtypes and bits."""
    mine, theirs = one.copy_parameters(), other.copy_parameters()
    return list(mine) == list(theirs) and all(
        mine[name].dtype == theirs[name].dtype
        and mine[name].tobytes("F") == theirs[name].tobytes("F")
        for name in mine
    )


def same(one: Network, other: Network) -> bool:
    """Whether they have the same layers and settings, too."""
    return one.to_dict() == other.to_dict() and same_parameters(one, other)
