"""What Pellucid raises when a file, a folder or a missing package is at fault.

Each message says what is wrong, where, what was expected, what came, and how to mend it. It is made
fit to be shown as it is made: visible throughout and of bounded length, whatever was read.
"""

from __future__ import annotations

from pellucid._shown import message


class _Shown(Exception):  # noqa: N818 - a warning is made of it too
    """What has a message for people, as :func:`~pellucid._shown.message` makes it.

    >>> len(str(DataError("x" * 10_000)))
    1900
    """

    def __init__(self, text: str = "") -> None:
        super().__init__(message(text))


class DataError(_Shown, ValueError):
    """A data file or table that cannot be used as it is."""


class SettingsError(_Shown, ValueError):
    """Settings that cannot be; ``faults`` are (name, what is wrong with it) for each of them.

    >>> str(SettingsError(("epochs", "must be 1 or more; got 0.")))
    'epochs must be 1 or more; got 0.'
    """

    def __init__(self, *faults: tuple[str, str]) -> None:
        super().__init__(" ".join(f"{name} {fault}".lstrip() for name, fault in faults))
        self.faults = faults


class ModelError(_Shown, ValueError):
    """A model folder that cannot be read, or an object that cannot be saved as one."""


class BusyError(_Shown, OSError):
    """A model folder that another process or thread is writing; nothing was written."""


class MissingPackageError(_Shown, ImportError):
    """A package of one of the extras is needed and not installed."""


class DataWarning(_Shown, UserWarning):
    """Something in a table that may spoil what is learned from it, such as a column left out."""


class InterruptedWarning(UserWarning):
    """A training that Ctrl-C ended before it was done; the message says what is missing."""
