"""Folders of images: what is read, how it is laid out, what is refused, and a network on them."""

from __future__ import annotations

import builtins
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import DataError, MissingPackageError
from pellucid.tables import read_table
from pellucid.tables.images import read_images


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def paint(
    path: str, color: Any, size: tuple[int, int] = (20, 10), mode: str = "RGB", **how: Any
) -> None:
    """Write an image of one color; size is (width, height)."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path, **how)


def only(path: str, size: int = 4) -> np.ndarray:
    """The one image of a folder."""
    table, _ = read_images(path, size)
    assert table.m == 1
    return table.columns["image"][0]


def test_class_folders() -> None:
    paint("photos/cat/2.png", "red")
    paint("photos/cat/deep/1.PNG", "red")
    paint("photos/other/1.jpg", "blue", quality=95)
    paint("photos/other/.hidden.png", "blue")
    Path("photos/notes.txt").write_text("mine")
    table, files = read_images("photos", 8)
    assert files == ["cat/2.png", "cat/deep/1.PNG", "other/1.jpg"]
    assert table.y is not None
    assert (table.y.tolist(), table.target) == (["cat", "cat", "other"], "class")
    assert table.columns["image"].shape == (3, 8, 8, 3)
    assert table.columns["image"].dtype == np.uint8
    assert table.columns["image"][0, 0, 0].tolist() == [255, 0, 0]
    assert table.columns["image"][2, 7, 7, 2] > 250
    assert table.notes == [
        "3 images resized to 8 x 8 pixels, RGB",
        "1 other file not read: notes.txt",
    ]
    assert read_table("photos", size=8).m == 3


def test_images_without_classes() -> None:
    paint("new/b.png", "red")
    paint("new/a.gif", "blue")
    table, files = read_images("new", 8)
    assert (files, table.y, table.target) == (["a.gif", "b.png"], None, None)


def test_images_beside_class_folders_are_left_out() -> None:
    paint("photos/cat/1.png", "red")
    paint("photos/1.png", "red")
    table, files = read_images("photos", 8)
    assert files == ["cat/1.png"]
    assert "1 image outside the class folders left out" in table.notes


def test_the_order_is_row_column_channel() -> None:
    pixels = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    Path("p").mkdir()
    Image.fromarray(pixels).save("p/1.png")
    found = only("p")
    np.testing.assert_array_equal(found, pixels)
    assert found.reshape(-1)[(2 * 4 + 1) * 3 + 2] == pixels[2, 1, 2]


def test_exif_orientation_is_honoured() -> None:
    upright = np.zeros((8, 8, 3), dtype=np.uint8)
    upright[:4] = 255  # white above
    Path("p").mkdir()
    lying = Image.fromarray(np.rot90(upright, 1).copy())  # the camera was turned
    exif = Image.Exif()
    exif[0x0112] = 6  # turn it clockwise to show it
    lying.save("p/1.png", exif=exif)
    np.testing.assert_array_equal(only("p", 8), upright)


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("L", 100, [100, 100, 100]),
        ("1", 1, [255, 255, 255]),
        ("RGBA", (255, 0, 0, 255), [255, 0, 0]),
        ("RGBA", (0, 0, 0, 0), [255, 255, 255]),  # transparent is white
        ("LA", (10, 0), [255, 255, 255]),
        ("P", 3, None),
        ("I;16", 257 * 40, [40, 40, 40]),
    ],
)
def test_modes(mode: str, color: Any, expected: list[int] | None) -> None:
    paint("p/1.png", color, mode=mode)
    found = only("p")
    assert (found == found[0, 0]).all()
    if expected is not None:
        assert found[0, 0].tolist() == expected


def test_a_cmyk_jpeg_and_a_large_one() -> None:
    paint("p/1.jpg", (0, 255, 255, 0), mode="CMYK", quality=95)
    assert only("p")[0, 0].tolist() == pytest.approx([255, 0, 0], abs=8)
    paint("q/1.jpg", "blue", (3000, 2000), quality=95)
    assert only("q")[0, 0].tolist() == pytest.approx([0, 0, 255], abs=8)


# What is refused ----------------------------------------------------------------------------------


def test_a_few_unreadable_images_are_left_out_with_a_note() -> None:
    for k in range(11):
        paint(f"p/{k:02d}.png", "red")
    Path("p/03.png").write_bytes(Path("p/03.png").read_bytes()[:40])
    table, files = read_images("p", 8)
    assert len(files) == table.m == 10
    assert "03.png" not in files
    assert re.search(r"^1 unreadable image left out: 03\.png \(", table.notes[-1])


def test_many_unreadable_images_are_refused() -> None:
    paint("p/1.png", "red")
    Path("p/2.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"p: 1 of 2 images cannot be read: 2\.png \(cannot ident"):
        read_images("p")


def test_a_decompression_bomb_is_not_unpacked() -> None:
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    Path("p").mkdir()
    Path("p/1.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", len(header))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + struct.pack(">I", 0)
        + b"IDAT"
        + struct.pack(">I", zlib.crc32(b"IDAT"))
    )
    with pytest.raises(
        DataError,
        match=r"1\.png \(.*could be decompression bomb",
    ):
        read_images("p")


def test_folders_that_hold_no_images() -> None:
    Path("p/cat").mkdir(parents=True)
    with pytest.raises(DataError, match=r"'p' is a folder without images \(\.bmp, .*photos/cat/1"):
        read_images("p")
    paint("p/cat/1.png", "red")
    with pytest.raises(DataError, match="resized to 1 to 1024; got 0"):
        read_images("p", 0)


def test_pillow_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    paint("p/1.png", "red")
    original = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("PIL"):
            raise ImportError
        return original(name, *rest)

    monkeypatch.setattr("importlib.import_module", lambda name: without(name))
    with pytest.raises(
        MissingPackageError, match=r"needs Pillow: pip install 'pellucid\[images\]'"
    ):
        read_images("p")
