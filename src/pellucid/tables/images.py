"""Folders of images, read through Pillow: a folder a class, or images alone; or one image file.

Every image is brought to one size, so that it becomes a row of n[0] = height x width x 3 numbers,
12288 for 64 x 64 as in the cat example of lecture 001. Their order is rows, in them columns, in
them red, green, blue: number (r * width + c) * 3 + k is channel k of the pixel in row r, column c.
"""

from __future__ import annotations

import importlib
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import DataError, MissingPackageError
from pellucid.tables._opening import check_fits, open_regular, reason_of
from pellucid.tables.table import Table, count, some

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE = 64
"""Height and width of the lectures' cat example."""
LARGEST_SIZE = 1024
COLUMN = "image"
TARGET = "class"
ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")
"""Of Pillow, which tells a format by the content: some others run other programs."""
UNREADABLE = 0.1
"""With a larger share of unreadable images the folder is refused."""


def read_images(source: str | os.PathLike[str], size: int = SIZE) -> tuple[Table, list[str]]:
    """Return the images of a folder, or one image file, as a table, and the files' names.

    The table has one column, "image", uint8 of shape (m, size, size, 3), red, green and blue; its
    target is the name of the class folder (``photos/cat/1.jpg`` is a cat), or None where the
    images lie in the folder itself. Names are those below the folder. Images are turned as their
    EXIF orientation says, squeezed to a square, and what is transparent is white.

    Raises
    ------
    DataError
        Where there are no images, or more than a tenth of them are unreadable; a few are left out
        with a note.
    """
    folder, shown = Path(source), str(source)
    if not 1 <= size <= LARGEST_SIZE:
        raise DataError(f"images can be resized to 1 to {LARGEST_SIZE}; got {size}.")
    files, notes = _image_files(folder)
    if not folder.is_dir():
        folder = folder.parent
    _check_pillow()
    what = f"{shown} holds {count(len(files), 'image')}, each to be {size} x {size} pixels"
    check_fits(what, len(files) * size * size * 3)
    images = np.empty((len(files), size, size, 3), dtype=np.uint8)
    read: list[int] = []
    unreadable: list[str] = []
    for k, file in enumerate(files):
        try:
            images[len(read)] = _pixels(folder / file, size)
            read.append(k)
        except BaseException as error:
            reason = str(error) if isinstance(error, DataError) else reason_of(error)
            unreadable.append(f"{file} ({reason.replace(repr(str(folder / file)), 'it')})")
    if len(unreadable) > UNREADABLE * len(files):
        raise DataError(
            f"{shown}: {len(unreadable)} of {count(len(files), 'image')} cannot be read: "
            f"{some(unreadable, most=3)}. Replace or remove them; expected images ending in "
            f"{', '.join(ENDINGS)}."
        )
    if unreadable:
        kind = count(len(unreadable), "unreadable image")
        notes.append(f"{kind} left out: {some(unreadable, most=3)}")
    kept = [files[k] for k in read]
    notes.insert(0, f"{count(len(kept), 'image')} resized to {size} x {size} pixels, RGB")
    table = Table({COLUMN: images[: len(read)]}, source=shown, notes=notes)
    classes = [file.parts[0] if len(file.parts) > 1 else "" for file in kept]
    if all(classes):
        table.y, table.target = np.array(classes, dtype=np.str_), TARGET
    return table, [file.as_posix() for file in kept]


def _image_files(folder: Path) -> tuple[list[Path], list[str]]:
    """The image files below a folder, sorted; images beside class folders belong to none."""
    if not folder.is_dir():
        return [Path(folder.name)], []
    found = sorted(
        path.relative_to(folder)
        for path in folder.rglob("*")
        if not path.is_dir() and not any(p.startswith(".") for p in path.relative_to(folder).parts)
    )
    files = [path for path in found if path.suffix.lower() in ENDINGS]
    if not files:
        raise DataError(
            f"{str(folder)!r} is a folder without images ({', '.join(ENDINGS)}); expected a file "
            "of data, or a folder with a folder of images for each class, such as photos/cat/1.jpg "
            "and photos/other/1.png."
        )
    notes = []
    if len(found) > len(files):
        others = [path.as_posix() for path in found if path not in set(files)]
        notes.append(f"{count(len(others), 'other file')} not read: {some(others, most=3)}")
    in_classes = [path for path in files if len(path.parts) > 1]
    if in_classes and len(in_classes) < len(files):
        left = len(files) - len(in_classes)
        notes.append(f"{count(left, 'image')} outside the class folders left out")
        files = in_classes
    return files, notes


def _pixels(file: Path, size: int) -> NDArray[np.uint8]:
    """One image as (size, size, 3)."""
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)  # too large to unpack
        with open_regular(file) as content, Image.open(content, formats=_FORMATS) as image:
            image.draft("RGB", (2 * size, 2 * size))  # a large JPEG is unpacked at a fraction
            upright = ImageOps.exif_transpose(image)
            plain = _rgb(upright)
    small = plain.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.asarray(small, dtype=np.uint8)


def _rgb(image: Image) -> Image:
    """The image in red, green and blue, white where it is transparent, 8 bits a channel."""
    from PIL import Image as Images

    if image.mode.startswith("I"):  # 16 bits, which Pillow would cut off at 255
        values = np.clip(np.asarray(image), 0, 65_535)
        image = Images.fromarray((values // 257).astype(np.uint8))
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        white = Images.new("RGBA", with_alpha.size, "white")
        image = Images.alpha_composite(white, with_alpha)
    return image.convert("RGB")


def _check_pillow() -> None:
    try:
        importlib.import_module("PIL.Image")
    except ImportError:
        raise MissingPackageError(
            "reading images needs Pillow: pip install 'pellucid[images]'"
        ) from None
