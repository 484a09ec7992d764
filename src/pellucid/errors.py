"""What Pellucid raises when a file, a folder or a missing package is at fault.

Each message says what is wrong, where, what was expected, what came, and how to mend it.
"""

from __future__ import annotations


class DataError(ValueError):
    """A data file or table that cannot be used as it is."""


class SettingsError(ValueError):
    """Settings that cannot be; ``faults`` are (name, what is wrong with it) for each of them.

    >>> str(SettingsError(("epochs", "must be 1 or more; got 0.")))
    'epochs must be 1 or more; got 0.'
    """

    def __init__(self, *faults: tuple[str, str]) -> None:
        super().__init__(" ".join(f"{name} {fault}".lstrip() for name, fault in faults))
        self.faults = faults


class ModelError(ValueError):
    """A model folder that cannot be read, or an object that cannot be saved as one."""


class BusyError(OSError):
    """A model folder that another process or thread is writing; nothing was written."""


class MissingPackageError(ImportError):
    """A package of one of the extras is needed and not installed."""


class DataWarning(UserWarning):
    """Something in a table that may spoil what is learned from it, such as a column left out."""


class InterruptedWarning(UserWarning):
    """A training that Ctrl-C ended before it was done; the message says what is missing."""
