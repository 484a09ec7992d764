"""Binary frames: a small JSON header and float32 arrays behind it, little endian.

uint32 kind, uint32 sequence, uint32 length of the header, the header (padded to 4 bytes), arrays.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

TRAINING, BOUNDARY, VIEW = 1, 2, 3


def pack(
    kind: int, sequence: int, header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> bytes:
    """Return a frame; :func:`unpack` is its inverse."""
    described = [{"name": name, "shape": list(array.shape)} for name, array in arrays.items()]
    text = dumps({"arrays": described, **header}).encode()
    text += b" " * (-len(text) % 4)
    parts = [struct.pack("<3I", kind, sequence, len(text)), text]
    parts += [np.ascontiguousarray(array, dtype="<f4").tobytes() for array in arrays.values()]
    return b"".join(parts)


def unpack(frame: bytes) -> tuple[int, int, dict[str, Any], dict[str, NDArray[np.float32]]]:
    """Return kind, sequence, header and arrays of a frame.

    >>> kind, sequence, header, arrays = unpack(pack(1, 7, {"step": 3}, {"W1": np.eye(2)}))
    >>> kind, sequence, header["step"], arrays["W1"].tolist()
    (1, 7, 3, [[1.0, 0.0], [0.0, 1.0]])
    """
    kind, sequence, length = struct.unpack_from("<3I", frame)
    header = json.loads(frame[12 : 12 + length])
    arrays, start = {}, 12 + length
    for entry in header["arrays"]:
        count = math.prod(entry["shape"])
        array = np.frombuffer(frame, "<f4", count, start)
        arrays[entry["name"]] = array.reshape(entry["shape"])
        start += 4 * count
    return kind, sequence, header, arrays


def dumps(value: Any) -> str:
    """Return JSON that every reader takes: what is not finite becomes null.

    >>> dumps({"J": float("nan"), "W": np.float32(0.5)})
    '{"J": null, "W": 0.5}'
    """
    return json.dumps(plain(value), allow_nan=False)


def plain(value: Any) -> Any:
    """Return a value as plain data; numbers that are not finite become None."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value
