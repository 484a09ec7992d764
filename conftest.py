"""Settings for every test and doctest, those of the installed package, README and docs included."""

import pytest

from lab_held import forget

pytest_plugins = ("lab_browser",)


@pytest.fixture(autouse=True)
def _doctests_in_a_folder_of_their_own(request: pytest.FixtureRequest) -> None:
    """Doctests may write files, and know no data that a test left behind: each has its folder."""
    if isinstance(request.node, pytest.DoctestItem):
        forget()
        folder = request.getfixturevalue("tmp_path")
        request.getfixturevalue("monkeypatch").chdir(folder)
