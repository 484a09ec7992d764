"""How large a Parquet or an Arrow file is once it is unpacked, as its own metadata say.

A library that reads one allocates what they tell, and where that fails the whole process ends, so
it must be known before: a file of 200 kB may unpack to gigabytes, and a damaged one to anything.
Both formats have metadata at their end; only what tells a size is looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

# Parquet: Thrift's compact protocol ---------------------------------------------------------------

_ROW_GROUPS, _COLUMNS, _METADATA, _UNPACKED = 4, 1, 3, 6
"""Fields of FileMetaData, RowGroup, ColumnChunk and ColumnMetaData in parquet.thrift."""
_DEEPEST = 32


def parquet_size(content: bytes) -> int:
    """Return the bytes of all column chunks, unpacked; ValueError where the metadata are damaged.

    Source: https://github.com/apache/parquet-format (FileMetaData), Thrift's compact protocol.
    """
    length = int.from_bytes(content[-8:-4], "little")
    if not 0 < length <= len(content) - 8:
        raise ValueError("its metadata are cut off")
    try:
        footer, _ = _struct(content[-8 - length : -8], 0, 0)
        chunks = [chunk for group in footer[_ROW_GROUPS] for chunk in group[_COLUMNS]]
        return sum(max(0, chunk[_METADATA][_UNPACKED]) for chunk in chunks)
    except (LookupError, TypeError) as error:
        raise ValueError("its metadata are damaged") from error


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """The fields of a struct by their numbers, and where it ends."""
    if depth > _DEEPEST:
        raise LookupError("nested too deeply")
    fields: dict[int, Any] = {}
    number = 0
    while head := data[at]:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _zigzag(data, at)
        fields[number], at = _value(data, at, head & 15, depth)
    return fields, at + 1


def _value(data: bytes, at: int, kind: int, depth: int, within: bool = False) -> tuple[Any, int]:
    """A value of one of the types; within a list a truth value takes a byte."""
    match kind:
        case 1 | 2:
            return kind == 1, at + within
        case 3:
            return data[at], at + 1
        case 4 | 5 | 6:
            return _zigzag(data, at)
        case 7:
            return None, at + 8
        case 8:
            length, at = _varint(data, at)
            return None, at + length
        case 9 | 10:
            return _list(data, at, depth)
        case 12:
            return _struct(data, at, depth + 1)
    raise LookupError(f"unknown type {kind}")  # a map: there is none in these metadata


def _list(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    head, at = data[at], at + 1
    length, kind = head >> 4, head & 15
    if length == 15:
        length, at = _varint(data, at)
    if length > len(data):
        raise LookupError("a list longer than the file")
    values = []
    for _ in range(length):
        value, at = _value(data, at, kind, depth, within=True)
        values.append(value)
    return values, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte, at = data[at], at + 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise LookupError("a number longer than 64 bits")


def _zigzag(data: bytes, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


# Arrow: FlatBuffers -------------------------------------------------------------------------------

_END = b"ARROW1"
_DICTIONARIES, _BATCHES = 2, 3
"""Fields of Footer in File.fbs; 1 and 2 are those of a Message that tell what it is, in
Message.fbs."""
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3


def arrow_size(content: bytes) -> int:
    """Return the bytes of all buffers, unpacked; ValueError where the metadata are damaged.

    Source: https://arrow.apache.org/docs/format/Columnar.html (IPC file format, compression).
    """
    if not content.endswith(_END):
        raise ValueError("it is cut off")
    try:
        end = len(content) - len(_END) - 4
        start = end - _number("<I", content, end)
        footer = start + _number("<I", content, start)
        blocks = [
            *_vector(content, footer, _DICTIONARIES, 24),
            *_vector(content, footer, _BATCHES, 24),
        ]
        return sum(size for block in blocks for size in _buffers(content, block))
    except (struct.error, LookupError) as error:
        raise ValueError("its metadata are damaged") from error


def _buffers(content: bytes, block: int) -> Iterator[int]:
    """The unpacked sizes of the buffers of one batch."""
    place, metadata = _number("<q", content, block), _number("<i", content, block + 8)
    body = place + metadata
    start = place + (8 if content[place : place + 4] == b"\xff" * 4 else 4)
    message = start + _number("<I", content, start)
    batch = _table(content, message, 2)
    kind = content[_field(content, message, 1)]
    if kind == _DICTIONARY_BATCH:
        batch = _table(content, batch, 1)
    elif kind != _RECORD_BATCH:
        raise LookupError("no batch")
    packed = bool(_field(content, batch, 3))
    for buffer in _vector(content, batch, 2, 16):
        offset, length = _number("<q", content, buffer), _number("<q", content, buffer + 8)
        if packed and length:
            size = _number("<q", content, body + offset)
            if size < -1:
                raise LookupError("a negative size")
            yield length if size == -1 else size
        else:
            yield length


def _number(form: str, content: bytes, at: int) -> int:
    if at < 0:
        raise LookupError("before the start")
    number: int = struct.unpack_from(form, content, at)[0]
    return number


def _field(content: bytes, table: int, k: int) -> int:
    """Where field k of a table is, 0 where it is not there."""
    known = table - _number("<i", content, table)
    if 4 + 2 * k >= _number("<H", content, known):
        return 0
    offset = _number("<H", content, known + 4 + 2 * k)
    return table + offset if offset else 0


def _table(content: bytes, table: int, k: int) -> int:
    """Where the table or vector in field k begins."""
    at = _field(content, table, k)
    if not at:
        raise LookupError("a field is missing")
    return at + _number("<I", content, at)


def _vector(content: bytes, table: int, k: int, size: int) -> range:
    """Where the structs of a vector begin."""
    if not _field(content, table, k):
        return range(0)
    start = _table(content, table, k)
    length = _number("<I", content, start)
    if length * size > len(content):
        raise LookupError("a vector longer than the file")
    return range(start + 4, start + 4 + length * size, size)
