"""Diffs of dicts of arrays."""

from __future__ import annotations

import ctypes
import os
from ctypes import byref, c_size_t, c_void_p
from typing import Any, Mapping, NamedTuple, Sequence

import numpy as np

from . import _dtypes
from . import _library as lib
from ._interruption import Interruption
from ._library import call
from ._typing import Path, Progress
from .errors import DiffkitError, UsageError

Array = np.ndarray[Any, np.dtype[Any]]


class Buffer(NamedTuple):
    """A tensor in memory: its address, bytes, element type and shape, and what keeps it there."""

    address: int
    size: int
    code: int
    shape: Sequence[int]
    owner: Any


class Created(NamedTuple):
    """What `create` made.

    Attributes:
        changed_tensors: tensors that the diff changes.
        tensors: tensors of the base.
        changes: values in sparse entries.
        elements: elements of the base.
        size: bytes of the diff.
    """

    changed_tensors: int
    tensors: int
    changes: int
    elements: int
    size: int


def buffer_of(name: str, array: Array, type: str | None) -> Buffer:
    """An array as the library takes it; copied if it is not contiguous."""
    code = _dtypes.code_for(array.dtype, type, name)
    piece = np.ascontiguousarray(array)
    return Buffer(int(piece.ctypes.data), piece.nbytes, code, array.shape, piece)


_OPERATIONS = {"xor": lib.XOR, "replace": lib.REPLACE, "add": lib.ADD}


def checked_operation(
    operation: str | None, density: float | None, threshold: float | None
) -> str:
    """The operation that arguments of `create` mean.

    Raises:
        UsageError: if they contradict each other or are out of range.
    """
    is_sparse = density is not None or threshold is not None
    if operation is None:
        operation = "add" if is_sparse else "xor"
    if operation not in _OPERATIONS:
        raise UsageError(f"operation is one of {', '.join(_OPERATIONS)}, not {operation!r}")
    if is_sparse and operation != "add":
        raise UsageError(f"a density or a threshold goes with 'add', not with '{operation}'")
    if density is not None and threshold is not None:
        raise UsageError("a density and a threshold exclude each other")
    if density is not None and not 0 < density <= 1:
        raise UsageError(f"a density is above 0 and at most 1, not {density}")
    if threshold is not None and not threshold > 0:
        raise UsageError(f"a threshold is above 0, not {threshold}")
    return operation


def checked_values(values: str) -> None:
    """Raises `UsageError` if additions are not stored as that type."""
    if values not in ("f16", "bf16", "f32"):
        raise UsageError(f"values are f16, bf16 or f32, not {values!r}")


class Writer:
    """``diffkit_writer``."""

    def __init__(
        self,
        operation: str | None = None,
        density: float | None = None,
        threshold: float | None = None,
        values: str = "f16",
        skip_nonfloat: bool = False,
        fast: bool = False,
        metadata: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        operation = checked_operation(operation, density, threshold)
        checked_values(values)
        self._guard = lib.Guard()
        self._progress = progress
        self._interruption = Interruption()
        self._tell = lib.PROGRESS(self._told)
        options = lib.COptions(
            operation=_OPERATIONS[operation],
            flags=(lib.SKIP_NONFLOAT if skip_nonfloat else 0) | (lib.FAST if fast else 0),
            value_type=_dtypes.CODES[values],
            density=density or 0,
            threshold=threshold or 0,
            progress=self._tell,
        )
        self._handle = c_void_p()
        self._owners: list[Any] = []
        self._names: set[str] = set()
        call("writer_new", byref(options), byref(self._handle))
        try:
            for key, value in (metadata or {}).items():
                if "\0" in key or "\0" in value:
                    raise UsageError(f"metadata {key!r} has a zero byte")
                call("writer_metadata", self._handle, key.encode(), value.encode())
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Frees it. May be called again."""
        if self._handle:
            lib.library().diffkit_writer_free(self._handle)
            self._handle = c_void_p()
        self._owners = []

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _told(self, _: object, phase: bytes, done: int, total: int) -> int:
        progress = self._progress
        if self._interruption.is_noted:
            return 1
        if progress is None:
            return 0
        return self._guard.run(lambda: progress(phase.decode(), done, total))

    def add(self, side: str, name: str, buffer: Buffer) -> None:
        """Adds a tensor to ``"base"`` or ``"tuned"``."""
        encoded = name.encode()
        shape = lib.extents(buffer.shape)
        tensor = lib.CTensor(
            name=encoded, name_length=len(encoded), type=buffer.code, rank=len(buffer.shape),
            extents=shape, bytes=buffer.address, byte_count=buffer.size,
        )  # fmt: skip
        self._owners.append(buffer.owner)
        self._names.add(name)
        call(f"writer_{side}", self._handle, byref(tensor), tensor=name)

    def write(self, path: Path, overwrite: bool) -> Created:
        """Writes the diff to a file."""
        summary = lib.CSummary()
        flags = lib.OVERWRITE if overwrite else 0
        try:
            self._call("writer_file", os.fsencode(path), flags, byref(summary))
        except BaseException:
            # Ctrl-C after the file was complete. What it replaced is gone, so that one stays.
            if summary.bytes and not overwrite:
                os.unlink(path)
            raise
        return _created(summary)

    def bytes(self) -> bytes:
        """Writes the diff to memory."""
        start, size = c_void_p(), c_size_t()
        self._call("writer_memory", byref(start), byref(size), None)
        return ctypes.string_at(start.value or 0, size.value)

    def _call(self, name: str, *arguments: Any) -> None:
        try:
            with self._interruption:
                call(name, self._handle, *arguments)
        except DiffkitError as problem:
            self._guard.check()
            # C says it in the text alone.
            named = [t for t in self._names if f"tensor '{t}'" in problem.message]
            problem.tensor = max(named, key=len, default=None)
            raise
        self._guard.check()


def _created(summary: lib.CSummary) -> Created:
    return Created(
        summary.changed_tensors, summary.tensors, summary.changes, summary.elements, summary.bytes
    )


def writer_of(
    base: Mapping[str, Array],
    tuned: Mapping[str, Array],
    types: Mapping[str, str] | None,
    **options: Any,
) -> Writer:
    """A writer that holds both dicts."""
    writer = Writer(**options)
    try:
        for side, tensors in (("base", base), ("tuned", tuned)):
            for name, array in tensors.items():
                writer.add(side, name, buffer_of(name, array, (types or {}).get(name)))
    except BaseException:
        writer.close()
        raise
    return writer
