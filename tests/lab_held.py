"""What the tests of the lab on one's own leave behind in this process, and how it is cleared."""

from __future__ import annotations

from pellucid.lab.datasets import DATASETS
from pellucid.lab.server import uploads
from pellucid.lab.session import user_data


def forget_data() -> None:
    """Let go of the user's own data alone."""
    for name in [name for name, entry in DATASETS.items() if entry.user_data]:
        del DATASETS[name]


def forget() -> None:
    """Let go of everything of the user's own, as in a new process."""
    user_data.WEIGHTS.clear()
    uploads.TABLES.clear()
    forget_data()
