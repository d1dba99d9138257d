"""libDiffKit through ctypes: its structures, its functions, its statuses as exceptions.

Every call releases the GIL. What each function does is in ``diffkit.h``.
"""

from __future__ import annotations

import ctypes
import os
import threading
from ctypes import (
    POINTER,
    c_char_p,
    c_double,
    c_int,
    c_int32,
    c_size_t,
    c_uint8,
    c_uint32,
    c_uint64,
)
from ctypes import c_void_p
from pathlib import Path
from typing import Any, Callable, Sequence

from .errors import DiffkitError, error

OK, ALREADY_DONE = 0, 1
ADD, REPLACE, XOR, INSERT, DELETE, RESHAPE = range(1, 7)
OPERATIONS = {1: "add", 2: "replace", 3: "xor", 4: "insert", 5: "delete", 6: "reshape"}
HAS_BASE, HAS_RESULT = 1, 2
UNVERIFIED, BACKWARDS, OVERWRITE, SKIP_NONFLOAT, FAST = 1, 2, 4, 8, 16
STATES = ("base", "result", "other", "unknown")

READ = ctypes.CFUNCTYPE(c_int, c_void_p, c_uint64, c_void_p, c_size_t)
RELEASE = ctypes.CFUNCTYPE(None, c_void_p)
PROGRESS = ctypes.CFUNCTYPE(c_int, c_void_p, c_char_p, c_uint64, c_uint64)


class Sized(ctypes.Structure):
    """A structure that begins with its size."""

    def __init__(self, **members: Any) -> None:
        super().__init__(size=ctypes.sizeof(self), **members)


class CEntry(Sized):
    """``diffkit_entry``."""

    _fields_ = [
        ("size", c_size_t), ("name", c_void_p), ("name_length", c_size_t),
        ("operation", c_uint32), ("type", c_uint32), ("width", c_uint32), ("rank", c_uint32),
        ("extents", c_uint64 * 32), ("elements", c_uint64), ("changes", c_uint64),
        ("value_type", c_uint32), ("value_width", c_uint32), ("scale", c_int32),
        ("flags", c_uint32), ("base", c_uint8 * 16), ("result", c_uint8 * 16),
        ("rank_after", c_uint32), ("reserved", c_uint32), ("extents_after", c_uint64 * 32),
        ("elements_after", c_uint64), ("stored", c_uint64),
    ]  # fmt: skip


class CSource(Sized):
    """``diffkit_source``."""

    _fields_ = [
        ("size", c_size_t), ("context", c_void_p), ("length", c_uint64), ("name", c_char_p),
        ("read", READ), ("release", RELEASE),
    ]  # fmt: skip


class CTensor(Sized):
    """``diffkit_tensor``."""

    _fields_ = [
        ("size", c_size_t), ("name", c_char_p), ("name_length", c_size_t), ("type", c_uint32),
        ("rank", c_uint32), ("extents", POINTER(c_uint64)), ("bytes", c_void_p),
        ("byte_count", c_size_t),
    ]  # fmt: skip


class COptions(Sized):
    """``diffkit_options``."""

    _fields_ = [
        ("size", c_size_t), ("operation", c_uint32), ("flags", c_uint32),
        ("value_type", c_uint32), ("reserved", c_uint32), ("density", c_double),
        ("threshold", c_double), ("progress", PROGRESS), ("context", c_void_p),
    ]  # fmt: skip


class CSummary(Sized):
    """``diffkit_summary``."""

    _fields_ = [
        ("size", c_size_t), ("changed_tensors", c_uint64), ("tensors", c_uint64),
        ("changes", c_uint64), ("elements", c_uint64), ("bytes", c_uint64),
    ]  # fmt: skip


_FUNCTIONS: dict[str, Sequence[Any]] = {
    "open_file": (c_char_p, POINTER(c_void_p)),
    "open_memory": (c_void_p, c_size_t, POINTER(c_void_p)),
    "open_source": (POINTER(CSource), POINTER(c_void_p)),
    "entry_at": (c_void_p, c_size_t, POINTER(CEntry)),
    "find": (c_void_p, c_char_p, POINTER(c_size_t)),
    "identity": (c_void_p, c_uint8 * 16),
    "metadata_at": (
        c_void_p, c_size_t, POINTER(c_void_p), POINTER(c_size_t), POINTER(c_void_p),
        POINTER(c_size_t),
    ),
    "read": (c_void_p, c_size_t, c_void_p, c_void_p, c_size_t),
    "apply": (c_void_p, c_size_t, c_void_p, c_size_t, c_uint32),
    "revert": (c_void_p, c_size_t, c_void_p, c_size_t, c_uint32),
    "verify": (c_void_p, c_size_t, c_void_p, c_size_t, POINTER(c_int)),
    "reshape": (c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_size_t, c_uint32),
    "gather": (c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_size_t),
    "change": (c_void_p, c_size_t, c_void_p, c_size_t),
    "scatter": (c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p, c_size_t),
    "fingerprint": (c_uint32, c_uint32, POINTER(c_uint64), c_void_p, c_size_t, c_uint8 * 16),
    "hash_new": (c_uint32, c_uint32, POINTER(c_uint64), POINTER(c_void_p)),
    "hash_update": (c_void_p, c_void_p, c_size_t),
    "hash_finish": (c_void_p, c_uint8 * 16),
    "apply_all": (
        c_void_p, POINTER(c_size_t), POINTER(c_void_p), POINTER(c_size_t), POINTER(c_void_p),
        c_size_t, c_uint32, POINTER(c_size_t),
    ),
    "exchange_new": (POINTER(c_void_p),),
    "exchange_add": (c_void_p, c_uint32, c_void_p, c_void_p, c_void_p, c_size_t),
    "exchange_run": (
        c_void_p, POINTER(c_void_p), POINTER(c_size_t), c_size_t, c_uint32, POINTER(c_size_t),
    ),
    "writer_new": (POINTER(COptions), POINTER(c_void_p)),
    "writer_metadata": (c_void_p, c_char_p, c_char_p),
    "writer_base": (c_void_p, POINTER(CTensor)),
    "writer_tuned": (c_void_p, POINTER(CTensor)),
    "writer_file": (c_void_p, c_char_p, c_uint32, POINTER(CSummary)),
    "writer_memory": (c_void_p, POINTER(c_void_p), POINTER(c_size_t), POINTER(CSummary)),
}  # fmt: skip
_VOID: dict[str, Sequence[Any]] = {
    "close": (c_void_p,),
    "hash_free": (c_void_p,),
    "exchange_free": (c_void_p,),
    "writer_free": (c_void_p,),
}

_lock = threading.Lock()
_loaded: ctypes.CDLL | None = None


def library_path() -> Path:
    """Where libDiffKit.so is: in the package, or where ``DIFFKIT_LIBRARY`` says."""
    return Path(os.environ.get("DIFFKIT_LIBRARY") or Path(__file__).parent / "lib/libDiffKit.so")


def library() -> ctypes.CDLL:
    """The library, loaded at the first call."""
    global _loaded
    if _loaded is None:
        with _lock:
            if _loaded is None:
                _loaded = _load()
    return _loaded


def _load() -> ctypes.CDLL:
    path = library_path()
    if not path.exists():
        raise ImportError(
            f"{path} is missing: install the wheel, or name a library that `swift build -c release "
            "--product DiffKit` made in DIFFKIT_LIBRARY"
        )
    lib = ctypes.CDLL(str(path))
    for text in ("version", "error", "error_code"):
        getattr(lib, f"diffkit_{text}").restype = c_char_p
    for count in ("count", "metadata_count"):
        function = getattr(lib, f"diffkit_{count}")
        function.restype, function.argtypes = c_size_t, (c_void_p,)
    for name, arguments in _FUNCTIONS.items():
        getattr(lib, f"diffkit_{name}").argtypes = tuple(arguments)
    for name, arguments in _VOID.items():
        function = getattr(lib, f"diffkit_{name}")
        function.restype, function.argtypes = None, tuple(arguments)
    return lib


def call(name: str, *arguments: Any, tensor: str | None = None) -> int:
    """Calls ``diffkit_NAME``; returns its status, OK or ALREADY_DONE.

    Raises:
        DiffkitError: whatever else the status is, of the class of its code.
    """
    lib = library()
    status: int = getattr(lib, f"diffkit_{name}")(*arguments)
    if status > ALREADY_DONE:
        raise last_error(tensor)
    return status


def last_error(tensor: str | None = None) -> DiffkitError:
    """The exception of the last call of this thread that failed."""
    lib = library()
    made = error(lib.diffkit_error_code().decode(), lib.diffkit_error().decode())
    made.tensor = tensor
    return made


def extents(shape: Sequence[int]) -> Any:
    """A shape as C has it."""
    return (c_uint64 * max(1, len(shape)))(*shape)


class Guard:
    """Keeps what a caller's function raises, which C cannot pass on, to raise it afterwards on the
    same thread."""

    def __init__(self) -> None:
        self._local = threading.local()

    def run(self, function: Callable[[], None]) -> int:
        """0, or 1 if the function raises."""
        try:
            function()
        except BaseException as problem:
            self._local.raised = problem
            return 1
        return 0

    def check(self) -> None:
        """Raises what was raised."""
        problem = getattr(self._local, "raised", None)
        if problem is not None:
            self._local.raised = None
            raise problem
