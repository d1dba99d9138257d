#!/usr/bin/env python3
"""An independent reader of the diffkit file format, written from FORMAT.md alone: open_diff,
Diff.decode, verify, view. Numbers in comments are sections of FORMAT.md. Sections 6 to 8, what
entries do to tensors, are in operations.py.

    reader.py FILE.diff                 contents as JSON
    reader.py FILE.diff -o OUT.npz      decode: NAME/positions, NAME/values (bytes), …
    reader.py --check FILE…             open and decode everything
    reader.py --vectors DIR             compare DIR/valid and DIR/invalid with their JSON
"""
import argparse
import json
import sys
import zlib
from collections import namedtuple
from dataclasses import dataclass, field
from itertools import zip_longest
from math import prod
from pathlib import Path

import numpy as np
from xxhash import xxh3_64_intdigest, xxh3_128_hexdigest

SIGNATURE = bytes.fromhex("89444B460D0A1A0A")
TEXT_MODE = tuple(bytes.fromhex(begin) for begin in (  # 3.3
    "89444B460A1A 89444B460D0D 89444B460D1A 89444B460D0A1A0D 09444B46 C289444B EFBFBD444B".split()))
HEADER, FOOTER = 32, 48
OPERATIONS = dict(enumerate("add replace xor insert delete reshape".split(), 1))
FLAGS = dict(add=3, replace=7, xor=7, insert=2, delete=1, reshape=3)  # base 1, result 2, old 4
# 4.4: name, NumPy's kind if it has the type, width; in the order of codes from 1 and from 33
ELEMENTS = [element.split(":") for element in (
    "bool:b:1 u8:u:1 i8:i:1 u16:u:2 i16:i:2 u32:u:4 i32:i:4 u64:u:8 i64:i:8 f16:f:2 bf16::2 "
    "f32:f:4 f64:f:8 f8e4m3::1 f8e5m2::1 f8e8m0::1 c64:c:8").split()]
PACKED = {"f4": (2, 1), "f6e2m3": (4, 3), "f6e3m2": (4, 3)}  # 4.4.1: a unit's elements, bytes
BITS = [f"bits{8 * width}" for width in range(1, 9)]
TYPES = dict(enumerate([*(name for name, _, _ in ELEMENTS), *PACKED], 1))
TYPES |= dict(enumerate(BITS, 33))
WIDTHS = {name: int(w) for name, _, w in ELEMENTS} | {name: int(name[4:]) // 8 for name in BITS}
WIDTHS |= {name: width for name, (_, width) in PACKED.items()}
NUMPY = {name: np.dtype(f"<{kind}{width}") for name, kind, width in ELEMENTS if kind}
CODINGS, TRAVERSALS = ["dense", "splitRice", "bp128", "bitmap"], ["", " by columns", " by panels"]


class FormatError(Exception):
    """A broken rule: `code` is the error class of section 10, `offset` the byte in the file."""

    def __init__(self, code: str, offset: int, message: str):
        super().__init__(message)
        self.code, self.offset = code, offset


def require(rule: bool, offset: int, message: str, code: str = "malformed") -> None:
    if not rule:
        raise FormatError(code, offset, message)


class Cursor:
    """Reads the fields of data[position:end] (2). Positions are offsets in the file."""

    def __init__(self, data: bytes, position: int, end: int):
        self.data, self.position, self.end = data, position, end

    @property
    def left(self) -> int:
        return self.end - self.position

    def take(self, size: int) -> bytes:
        require(size <= self.left, self.position, "a field runs past its end")
        self.position += size
        return self.data[self.position - size : self.position]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def varint(self, limit: int = 2**64, error: str = "limit") -> int:
        at, value = self.position, 0
        for shift in range(0, 70, 7):
            require(self.left > 0, self.end, "a varint runs past the end")
            byte = self.number(1)
            require(byte > 0 or shift == 0, self.position - 1, "varint not shortest")
            require(byte == 1 or shift < 63, self.position - 1, "varint above 64 bits")
            value |= (byte & 127) << shift
            if byte < 128:
                break
        require(value <= limit, at, f"{value} is above {limit}", error)
        return value

    def text(self, limit: int) -> str:
        size, at = self.varint(limit), self.position
        try:
            return self.take(size).decode("utf-8")
        except UnicodeDecodeError:
            raise FormatError("malformed", at, "text is not UTF-8") from None

    def packed(self, n: int, k: int) -> np.ndarray:  # n values of k bits
        run = np.frombuffer(self.take((n * k + 7) // 8), np.uint8)
        bits = np.unpackbits(run, bitorder="little")
        require(not bits[n * k :].any(), self.position - 1, "padding bits are not 0")
        return bits[: n * k].reshape(n, k) @ (1 << np.arange(k))


Page = namedtuple("Page", "offset start span count size checksum")


@dataclass
class Stream:
    name: str  # changes (also: all elements of insert and delete), oldRemainder, newRemainder
    elements: int
    row_length: int
    dense: bool
    width: int
    pages: list[Page] = field(default_factory=list)


@dataclass
class Entry:
    name: str
    operation: str
    dtype: str
    shape: tuple[int, ...]
    new_shape: tuple[int, ...] | None = None
    value_type: str | None = None
    scale: int | None = None
    base: str | None = None  # fingerprints as text
    result: str | None = None
    old: str | None = None
    streams: list[Stream] = field(default_factory=list)

    def units(self, shape: tuple[int, ...]) -> tuple[int, ...]:  # 4.4.1: the unit shape
        unit, _ = PACKED.get(self.dtype, (1, 0))
        if unit > 1 and (not shape or shape[-1] % unit):
            return (prod(shape) // unit,)
        return (*shape[:-1], shape[-1] // unit) if shape else ()

    def overlap_box(self) -> tuple[int, ...]:  # 6.5
        old, new = self.units(self.shape), self.units(self.new_shape)
        return tuple(map(min, old, new)) if len(old) == len(new) else (0,)

    def make_streams(self) -> None:  # 4.8, without pages
        grid = self.units(self.shape) if self.new_shape is None else self.overlap_box()
        row_length = grid[-1] if grid and grid[-1] else 1
        dense, width = self.operation in ("insert", "delete"), WIDTHS[self.value_type or self.dtype]
        self.streams = [Stream("changes", prod(grid), row_length, dense, width)]
        if self.new_shape is not None:
            for name, shape in ("oldRemainder", self.shape), ("newRemainder", self.new_shape):
                elements = prod(self.units(shape)) - prod(grid)
                self.streams.append(Stream(name, elements, 1, True, width))


@dataclass
class Diff:
    data: bytes = field(repr=False)
    identity: str
    metadata: dict[str, str]
    entries: list[Entry]
    extensions: dict[int, bytes] = field(default_factory=dict)

    @property
    def checkpoints(self) -> dict[str, str] | None:  # 4.7.2: of whole checkpoints
        held = self.extensions.get(1, b"")
        pair = {"base": held[15::-1].hex(), "result": held[:15:-1].hex()}
        return pair if len(held) == 32 else None

    def decode(self, stream: Stream) -> tuple[np.ndarray, np.ndarray]:
        """Positions (u64) and values (bytes, shaped (n, width)) of a stream."""
        positions, values = [np.empty(0, np.uint64)], [np.empty((0, stream.width), np.uint8)]
        for page in stream.pages:
            offsets, page_values = decode_page(self.data, page, stream.width, stream.row_length)
            positions.append(offsets.astype(np.uint64) + np.uint64(page.start))
            values.append(page_values)
        return np.concatenate(positions), np.concatenate(values)


def open_diff(source: str | Path | bytes) -> Diff:
    data = source if isinstance(source, bytes) else Path(source).read_bytes()
    packed = check_header(data)
    begin, identity = check_footer(data)
    index = Index(data, begin, len(data) - FOOTER)
    index.packed = packed
    diff = Diff(data, identity, index.metadata(), [])
    for _ in range(index.count(7)):
        diff.entries.append(index.entry(diff.entries[-1].name if diff.entries else ""))
    diff.extensions = index.extensions()
    require(index.left == 0, index.position, "bytes behind the last extension")
    require(index.page_offset == begin, begin, "pages do not end where the index begins")
    return diff


def check_header(data: bytes) -> bool:  # 3.1: whether there may be packed types
    size, header = len(data), Cursor(data, 8, HEADER)
    require(size >= 8 or not SIGNATURE.startswith(data), size, "too short", "truncated")
    require(not data.startswith(TEXT_MODE), 0, "damaged by a transfer as text", "text-mode")
    require(data.startswith(SIGNATURE), 0, "no signature", "not-a-diff")
    require(size >= HEADER, size, "ends in the header", "truncated")
    major, _, incompatible, _, reserved, checksum = map(header.number, (2, 2, 4, 4, 4, 8))
    require(checksum == xxh3_64_intdigest(data[:24]), 0, "of the header", "checksum")
    require(major == 1, 8, f"major version {major}", "unsupported-version")
    require(incompatible <= 1, 12, f"features {incompatible:#x}", "unsupported-feature")
    require(reserved == 0, 20, "reserved field is not 0")
    return incompatible == 1


def check_footer(data: bytes) -> tuple[int, str]:  # 3.2: start of the index, identity
    size, at = len(data), len(data) - FOOTER
    require(size >= HEADER + FOOTER, size, "no room for the footer", "truncated")
    require(data.endswith(SIGNATURE[::-1]), size, "no end signature", "truncated")
    index_size, file_size, identity, checksum = map(Cursor(data, at, size).number, (8, 8, 16, 8))
    require(checksum == xxh3_64_intdigest(data[at : at + 32]), at, "of the footer", "checksum")
    require(file_size == size, at + 8, "file size differs")
    require(index_size <= size - HEADER - FOOTER, at, "index size")
    text = xxh3_128_hexdigest(data[at - index_size : at])
    require(identity == int(text, 16), at - index_size, "of the index", "checksum")
    return at - index_size, text


class Index(Cursor):
    page_offset = HEADER  # of the next page
    packed = False

    def count(self, least_size: int) -> int:
        return self.varint(self.left // least_size, "malformed")

    def metadata(self) -> dict[str, str]:  # 4.1
        metadata, begin, last = {}, self.position, ""
        for _ in range(self.count(3)):
            at, key = self.position, self.text(255)
            require(key and all("!" <= c <= "~" for c in key), at, "key not printable ASCII")
            require(key > last, at, "keys not ascending")
            metadata[key], last = self.text(1 << 24), key
            require(self.position - begin <= 1 << 24, self.position, "much metadata", "limit")
        return metadata

    def entry(self, last: str) -> Entry:  # 4.2
        at, operation = self.position, OPERATIONS.get(self.number(1))
        require(operation, at, "unknown operation")
        dtype = TYPES.get(self.number(1))
        require(dtype and (self.packed or dtype not in PACKED), at + 1, "unknown element type")
        flags = self.number(1)
        require(flags & ~FLAGS[operation] == 0, at + 2, "flags")
        at, name = self.position, self.text(32_768)
        require(name.encode() > last.encode(), at, "name empty or names not ascending")
        entry = Entry(name, operation, dtype, self.shape(dtype))
        if operation == "add":
            entry.value_type, entry.scale = self.value_type_and_scale(dtype)
        if operation == "reshape":
            at, entry.new_shape = self.position, self.shape(dtype)
            require(entry.new_shape != entry.shape, at, "new shape is the old one")
        entry.base, entry.result, entry.old = (
            self.take(16)[::-1].hex() if flags & flag else None for flag in (1, 2, 4))
        entry.make_streams()
        for stream in entry.streams:
            self.page_list(stream)
        return entry

    def shape(self, dtype: str) -> tuple[int, ...]:  # 4.5
        begin, shape, product = self.position, [], 1
        for _ in range(self.varint(32)):
            at = self.position
            shape.append(self.varint())
            product *= shape[-1] or 1
            require(product < 1 << 60, at, "product of the extents", "limit")
        require(prod(shape) % PACKED.get(dtype, (1,))[0] == 0, begin, "a part of a unit")
        return tuple(shape)

    def value_type_and_scale(self, dtype: str) -> tuple[str, int]:  # 4.6
        at, value_type = self.position, TYPES.get(self.number(1))
        require(dtype in ("f16", "bf16", "f32", "f64"), at, f"add to {dtype}")
        require(value_type in ("f16", "bf16", "f32"), at, "unknown value type")
        at, stored = self.position, self.varint(2048)
        scale = stored // 2 if stored % 2 == 0 else -(stored // 2) - 1
        least, most = (-1022, 1023) if dtype == "f64" else (-126, 127)
        require(least <= scale <= most, at, f"scale {scale}", "limit")
        return value_type, scale

    def page_list(self, stream: Stream) -> None:  # 4.8
        begin, end = self.position, 0
        for _ in range(self.count(12)):
            at = self.position
            skip, span, count, size = map(self.varint, (2**64, 1 << 32, 32_768, 1 << 20))
            page = Page(self.page_offset, end + skip, span, count, size, self.number(8))
            end = page.start + span
            require(size >= 2 + 2 * stream.width, at, "page too small")
            require(1 <= count <= span and (count > 1 or span == 1), at, "count and span")
            require(end <= stream.elements, at, "page leaves the grid")
            require(not stream.dense or skip == 0 and count == span, at, "gap in a dense stream")
            for before in stream.pages[-1:]:
                full = before.count == 32_768 or page.start - before.start >= 1 << 32
                require(full, at, "the page before is not full")
            stream.pages.append(page)
            self.page_offset += size
        require(not stream.dense or end == stream.elements, begin, "grid not covered")

    def extensions(self) -> dict[int, bytes]:  # 4.7
        last, found = -1, {}
        for _ in range(self.count(2)):
            at, identifier = self.position, self.varint()
            require(identifier > last, at, "extensions not ascending")
            found[identifier] = self.take(self.varint())
            last = identifier
        return found


def decode_page(data: bytes, page: Page, width: int, C: int) -> tuple[np.ndarray, np.ndarray]:
    """The offsets and the values; C is the row length of the grid."""
    begin, end = page.offset, page.offset + page.size
    require(xxh3_64_intdigest(data[begin:end]) == page.checksum, begin, "of a page", "checksum")
    cursor = Cursor(data, begin, end)
    traversal, coding = divmod(cursor.number(1), 16)
    require(coding <= 3 and traversal <= 2, begin, "unknown coding or traversal")
    offsets = Positions.of(cursor, cursor.varint()).offsets(CODINGS[coding], traversal, page, C)
    planes = [decode_plane(cursor, page.count) for _ in range(width)]
    require(cursor.left == 0, cursor.position, "bytes behind the last plane")
    return offsets, np.stack(planes, axis=1)


def decode_plane(cursor: Cursor, count: int) -> np.ndarray:  # 5.5
    at = cursor.position
    try:
        coding = cursor.number(1)
        require(coding <= 2, at, "unknown coding")
        if coding == 1:
            return np.full(count, cursor.number(1), np.uint8)
        plane = cursor.take(cursor.varint() if coding == 2 else count)
        if coding == 2:
            stream = zlib.decompressobj(-15)
            plane = stream.decompress(plane, count + 1)
            exact = len(plane) == count and stream.eof and not stream.unused_data
            require(exact, at, "deflate stream of another size")
    except (FormatError, zlib.error) as error:
        raise FormatError("malformed", at, f"plane: {error}") from None
    return np.frombuffer(plane, np.uint8)


class Positions(Cursor):
    """Decodes the positions of a page; C, R, c0, t, g, k, p, q, r are as in section 5."""

    @classmethod
    def of(cls, cursor: Cursor, size: int) -> "Positions":
        cursor.take(size)
        return cls(cursor.data, cursor.position - size, cursor.position)

    def offsets(self, coding: str, traversal: int, page: Page, C: int) -> np.ndarray:
        at = self.position
        if traversal:
            offsets = self.traversed(coding, traversal, page, C)
        elif coding == "dense":
            require(self.left == 0 and page.count == page.span, at, "DENSE with bytes or gaps")
            return np.arange(page.span)
        elif coding == "bitmap":
            require(self.left == (page.span + 7) // 8, at, "size of the bitmap")
            offsets = np.flatnonzero(self.packed(8 * self.left, 1))
            require(len(offsets) == page.count, at, "number of ones")
        else:
            offsets = self.numbers(coding, page.count)
        require(page.count != page.span, at, "count = span, but not DENSE")
        require(offsets[0] == 0 and offsets[-1] == page.span - 1, at, "first or last offset")
        return offsets

    def numbers(self, coding: str, n: int) -> np.ndarray:
        """n ascending numbers below 2^32, whose code takes all bytes that are left."""
        at, blocks = self.position, [min(128, n - first) for first in range(0, n, 128)]
        gaps = self.split_rice(n, blocks) if coding == "splitRice" else self.bp128(blocks)
        numbers = np.cumsum(gaps + 1) - 1
        require(numbers[-1] < 1 << 32, at, "numbers past 2^32")
        return numbers

    def split_rice(self, n: int, blocks: list[int]) -> np.ndarray:  # 5.2
        at = self.position
        require(self.left >= 2, at, "shorter than 2 bytes")
        least, bits = self.take(2)
        require(least <= 31 and bits <= 5, at, "least or bits too large")
        p = self.packed(len(blocks), bits)
        fewest = p.min() == 0 and int(p.max()).bit_length() == bits
        require(fewest and least + p.max() <= 31, at, "least, bits or a Rice parameter")
        k = (least + p).tolist()
        low_bits = Positions.of(self, sum((m * kj + 7) // 8 for m, kj in zip(blocks, k)))
        bitmap, size = self.position, self.left
        one = np.flatnonzero(self.packed(8 * size, 1))
        require(len(one) == n and one[-1] // 8 == size - 1, bitmap, "ones or length of the bitmap")
        r = np.concatenate([low_bits.packed(m, kj) for m, kj in zip(blocks, k)])
        q = np.diff(one, prepend=-1) - 1
        return (q << np.repeat(k, blocks)) + r

    def bp128(self, blocks: list[int]) -> np.ndarray:  # 5.3
        at, gaps = self.position, []
        require(len(blocks) <= self.left, at, "fewer bytes than blocks")
        for j, (m, w) in enumerate(zip(blocks, self.take(len(blocks)))):
            require(w <= 32 and (m * w + 7) // 8 <= self.left, at + j, "width, or runs past")
            gaps.append(self.packed(m, w))
            require(int(gaps[-1].max()).bit_length() == w, at + j, "width not the least")
        require(self.left == 0, self.position, "bytes behind the last block")
        return np.concatenate(gaps)

    def traversed(self, coding: str, traversal: int, page: Page, C: int) -> np.ndarray:  # 5.4
        at, (r0, c0) = self.position, divmod(page.start, C)
        R = (page.start + page.span - 1) // C - r0 + 1
        require(coding in ("splitRice", "bp128"), at, "traversal of this coding")
        fits = R > 1 and C > 1 and R * C < 1 << 32 and (traversal == 1 or C <= 65_536)
        require(fits, at, "traversal of this grid")
        if traversal == 2:
            rows, at_columns = self.hot_lines(page.count, R), self.position
            columns = self.hot_lines(page.count, C)
            require(len(rows) + len(columns) > 0, at_columns, "no hot lines")
        t = self.numbers(coding, page.count)
        require(t[-1] < R * C, at, "number above R · C")
        g = t // R + t % R * C if traversal == 1 else from_panels(t, R, C, rows, columns)
        return np.sort(g) - c0

    def hot_lines(self, count: int, lines: int) -> np.ndarray:
        n = self.varint(min(count, lines), "malformed")
        hot = Positions.of(self, self.varint()).numbers("splitRice", n) if n else np.empty(0, int)
        require(n == 0 or hot[-1] < lines, self.position, "hot line that is none of the lines")
        return hot


def from_panels(t: np.ndarray, R: int, C: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    g, before, hr, hc = np.empty_like(t), 0, len(rows), len(columns)
    for panel, (m, n) in enumerate([(hr, hc), (hr, C - hc), (R - hr, hc), (R - hr, C - hc)]):
        here = (t >= before) & (t < before + m * n)
        row, column = np.divmod(t[here] - before, max(n, 1))
        g[here] = line(row, rows, panel < 2) * C + line(column, columns, panel in (0, 2))
        before += m * n
    return g


def line(rank: np.ndarray, hot: np.ndarray, is_hot: bool) -> np.ndarray:
    """The lines of these ranks: each hot line before a cold one shifts it by one."""
    shifts = np.searchsorted(hot - np.arange(len(hot)), rank, side="right")
    return hot[rank] if is_hot else rank + shifts


def verify(source: str | Path | bytes) -> Diff:  # opens, and decodes every page
    diff = open_diff(source)
    for stream in (stream for entry in diff.entries for stream in entry.streams):
        diff.decode(stream)
    return diff


def view(dtype: str, values: np.ndarray) -> np.ndarray:
    """Raw bytes (n, width) as the type, if NumPy has it."""
    return values.copy().view(NUMPY[dtype]).reshape(-1) if dtype in NUMPY else values


def describe(diff: Diff) -> dict:  # as the JSON of the test vectors (14)
    entries = []
    for entry in diff.entries:
        fields = {"name": entry.name, "operation": entry.operation, "type": entry.dtype,
                  "shape": list(entry.shape), "newShape": entry.new_shape and list(entry.new_shape),
                  "valueType": entry.value_type, "scale": entry.scale, "base": entry.base,
                  "result": entry.result, "old": entry.old,
                  "streams": [describe_stream(diff, stream) for stream in entry.streams]}
        entries.append({key: value for key, value in fields.items() if value is not None})
    known = {"checkpoints": diff.checkpoints} if diff.checkpoints else {}
    return {"metadata": diff.metadata, "identity": diff.identity, "entries": entries} | known


def describe_stream(diff: Diff, stream: Stream) -> dict:
    positions, values = diff.decode(stream)
    codes = {diff.data[page.offset] for page in stream.pages}
    few = {"positions": positions.tolist(), "values": values.tobytes().hex()}
    return {"stream": stream.name, "count": len(positions), **(few if len(positions) <= 64 else {}),
            "positionsHash": xxh3_128_hexdigest(positions.astype("<u8").tobytes()),
            "valuesHash": xxh3_128_hexdigest(values.tobytes()),
            "encodings": sorted(CODINGS[code & 15] + TRAVERSALS[code >> 4] for code in codes)}


def outcome(path: Path) -> dict:
    """What the JSON beside a test vector should say."""
    for when, read in ("open", open_diff), ("decode", verify):
        try:
            diff = read(path)
        except FormatError as error:
            return {"code": error.code, "offset": error.offset, "when": when}
    return describe(diff)


def run_vectors(folder: Path) -> int:
    failed, paths = 0, sorted([*folder.glob("valid/*.diff"), *folder.glob("invalid/*.diff")])
    for path in paths:
        expected = json.loads(path.with_suffix(".json").read_text("utf-8"))
        expected.pop("note", None)
        both = (json.dumps(x, indent=1, sort_keys=True) for x in (outcome(path), expected))
        lines = zip_longest(*map(str.splitlines, both))
        wrong = next((pair for pair in lines if pair[0] != pair[1]), None)
        failed += bool(wrong)
        if wrong:
            print(f"{path.parent.name}/{path.name}: {wrong[0]}, but the JSON says {wrong[1]}")
    print(f"{len(paths) - failed} passed, {failed} failed")
    return 1 if failed else 0


def save_npz(diff: Diff, path: str) -> None:
    arrays = {}
    for entry in diff.entries:
        arrays[f"{entry.name}/positions"] = diff.decode(entry.streams[0])[0]
        for name, stream in zip(("values", "old_remainder", "new_remainder"), entry.streams):
            arrays[f"{entry.name}/{name}"] = diff.decode(stream)[1]
    np.savez(path, **arrays)


def main() -> int:
    parser = argparse.ArgumentParser(description="Reads diffkit files.")
    parser.add_argument("files", nargs="*", metavar="FILE.diff")
    parser.add_argument("-o", dest="output", metavar="OUT.npz")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--vectors", type=Path, metavar="DIR")
    arguments = parser.parse_args()
    status = run_vectors(arguments.vectors) if arguments.vectors else 0
    for file in arguments.files:
        try:
            diff = verify(file)
            if arguments.output:
                save_npz(diff, arguments.output)
            elif not arguments.check:
                print(json.dumps(describe(diff), indent=2))
        except FormatError as error:
            print(f"{file}: {error.code} at {error.offset}: {error}", file=sys.stderr)
            status = 2
    return status


if __name__ == "__main__":
    sys.exit(main())
