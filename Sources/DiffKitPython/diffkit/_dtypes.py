"""Element types: their codes in the format, their names, and what they are in NumPy."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from .errors import Mismatch, Unsupported, UsageError

#: Names of element types by their codes (spec/FORMAT.md, section 3).
NAMES: dict[int, str] = {
    1: "bool", 2: "u8", 3: "i8", 4: "u16", 5: "i16", 6: "u32", 7: "i32", 8: "u64", 9: "i64",
    10: "f16", 11: "bf16", 12: "f32", 13: "f64", 14: "f8e4m3", 15: "f8e5m2", 16: "f8e8m0",
    17: "c64", 18: "f4", 19: "f6e2m3", 20: "f6e3m2", 33: "bits8", 34: "bits16", 35: "bits24", 36: "bits32", 37: "bits40",
    38: "bits48", 39: "bits56", 40: "bits64",
}  # fmt: skip
CODES: dict[str, int] = {name: code for code, name in NAMES.items()}

_NUMPY = {
    "bool": "?", "u8": "u1", "i8": "i1", "u16": "<u2", "i16": "<i2", "u32": "<u4", "i32": "<i4",
    "u64": "<u8", "i64": "<i8", "f16": "<f2", "f32": "<f4", "f64": "<f8", "c64": "<c8",
}  # fmt: skip
#: Elements of 4 and 6 bits: bytes of the smallest group that is whole bytes, which changes together.
_UNITS = {"f4": 1, "f6e2m3": 3, "f6e3m2": 3}
_ML_DTYPES = {
    "bf16": "bfloat16",
    "f8e4m3": "float8_e4m3fn",
    "f8e5m2": "float8_e5m2",
    "f8e8m0": "float8_e8m0fnu",
}


@lru_cache(maxsize=None)
def _ml_dtype(name: str) -> np.dtype[Any] | None:
    """What ml_dtypes calls a type that NumPy lacks; None if it is not installed."""
    try:
        import ml_dtypes
    except ImportError:
        return None
    scalar = getattr(ml_dtypes, _ML_DTYPES[name], None)
    return None if scalar is None else np.dtype(scalar)


def width(code: int) -> int:
    """Bytes of an element, or of a unit of elements that are no whole bytes."""
    name = NAMES[code]
    if name in _UNITS:
        return _UNITS[name]
    if name.startswith("bits"):
        return int(name[4:]) // 8
    return 2 if name == "bf16" else 1 if name in _ML_DTYPES else np.dtype(_NUMPY[name]).itemsize


def dtype(code: int) -> np.dtype[Any]:
    """The NumPy type of a code: bfloat16 and float8 are those of ml_dtypes where that is
    installed, else unsigned integers of the same size; ``bitsN`` are void types."""
    name = NAMES[code]
    if name in _NUMPY:
        return np.dtype(_NUMPY[name])
    if name in _ML_DTYPES:
        return _ml_dtype(name) or np.dtype(f"<u{width(code)}")
    return np.dtype(f"V{width(code)}")


def code_of(array_dtype: np.dtype[Any], name: str) -> int:
    """The code of an array's type.

    Raises:
        Unsupported: if no diff holds such elements.
    """
    for code, known in NAMES.items():
        if known in _NUMPY and np.dtype(_NUMPY[known]) == array_dtype:
            return code
    for known, attribute in _ML_DTYPES.items():
        if array_dtype.name == attribute:
            return CODES[known]
    if array_dtype.kind == "V" and array_dtype.names is None and 1 <= array_dtype.itemsize <= 8:
        return CODES[f"bits{8 * array_dtype.itemsize}"]
    raise Unsupported(f"elements of {array_dtype!r}", code="unsupported", tensor=name)


def code_for(array_dtype: np.dtype[Any], type: str | None, name: str) -> int:
    """The code of an array's type, or of the one that its caller says it is.

    Raises:
        UsageError: if there is no type of that name.
        Mismatch: if the array cannot be of it.
    """
    if type is None:
        return code_of(array_dtype, name)
    if type not in CODES:
        raise UsageError(f"there is no element type {type!r}", tensor=name)
    check(CODES[type], array_dtype, name)
    return CODES[type]


def check(code: int, array_dtype: np.dtype[Any], name: str) -> None:
    """Refuses an array whose elements are not those of an entry.

    bfloat16, float8 and ``bitsN`` may come as integers or void types of the same size.
    """
    wanted = dtype(code)
    if array_dtype == wanted:
        return
    is_bits = NAMES[code] not in _NUMPY
    if is_bits and array_dtype.kind in "uiV" and array_dtype.itemsize == width(code):
        return
    if is_bits and array_dtype.name == _ML_DTYPES.get(NAMES[code]):
        return
    raise Mismatch(
        f"is {array_dtype.name}, the diff is for {NAMES[code]}", code="mismatch", tensor=name
    )
