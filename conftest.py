"""Settings for every test and doctest, those of the installed package and README.md included."""

import pytest

pytest_plugins = ("lab_browser",)


@pytest.fixture(autouse=True)
def _doctests_in_a_folder_of_their_own(request: pytest.FixtureRequest) -> None:
    """Doctests may write files: each runs in an empty temporary folder."""
    if isinstance(request.node, pytest.DoctestItem):
        folder = request.getfixturevalue("tmp_path")
        request.getfixturevalue("monkeypatch").chdir(folder)
