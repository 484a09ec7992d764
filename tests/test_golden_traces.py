"""Traces stay as they are, or change on purpose: see golden_traces.py."""

from __future__ import annotations

import pytest

from golden_traces import CASES, FOLDER, files


@pytest.mark.parametrize("name", CASES)
def test_a_trace_shows_what_it_showed(name):
    for file, content in files(name).items():
        assert content == (FOLDER / file).read_text(encoding="utf-8"), file


def test_no_file_is_left_over():
    kept = {path.stem for path in FOLDER.iterdir()}
    assert kept == set(CASES)
