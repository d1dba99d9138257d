"""Elements prepared to be exchanged in memory again and again: ``diffkit_exchange``."""

from __future__ import annotations

import weakref
from ctypes import byref, c_size_t, c_void_p
from typing import Any, Sequence

import numpy as np

from . import _library as lib
from ._library import call
from .errors import WrongBase

Array = np.ndarray[Any, np.dtype[Any]]


class Exchange:
    """Positions in any number of tensors, and the elements there before and after."""

    def __init__(self) -> None:
        self._handle = c_void_p()
        call("exchange_new", byref(self._handle))
        self._closer = weakref.finalize(
            self, lib.library().diffkit_exchange_free, c_void_p(self._handle.value)
        )
        self.bind([], [])

    def add(self, width: int, positions: Array, before: Array, after: Array) -> None:
        """Adds a tensor: ascending uint64 positions, and the bytes of as many elements."""
        call(
            "exchange_add", self._handle, width, positions.ctypes.data, before.ctypes.data,
            after.ctypes.data, positions.size,
        )  # fmt: skip

    def bind(self, addresses: Sequence[int], sizes: Sequence[int]) -> None:
        """Says where the tensors are, in the order of `add`, and how many bytes each has."""
        count = len(addresses)
        self._tensors = (c_void_p * count)(*addresses)
        self._sizes = (c_size_t * count)(*sizes)
        self._count = count

    def run(self, backwards: bool = False, verify: bool = True) -> int | None:
        """Brings the elements after into the bound tensors, or those before.

        Returns:
            The number of the first tensor in which others stand than should; then all tensors are
            as they were. None if it is done.
        """
        refused = c_size_t(self._count)
        flags = (lib.BACKWARDS if backwards else 0) | (0 if verify else lib.UNVERIFIED)
        try:
            call(
                "exchange_run", self._handle, self._tensors, self._sizes, self._count, flags,
                byref(refused),
            )  # fmt: skip
        except WrongBase:
            if refused.value == self._count:
                raise
            return int(refused.value)
        return None
