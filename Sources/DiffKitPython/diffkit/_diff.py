"""Open diffs, their entries, and what they do to dicts of arrays."""

from __future__ import annotations

import ctypes
import itertools
import os
import threading
import weakref
from ctypes import byref, c_int, c_size_t, c_uint8, c_void_p
from typing import Any, BinaryIO, Iterator, Mapping, MutableMapping, Union

import numpy as np

from . import _dtypes
from . import _library as lib
from ._exchange import Exchange
from ._interruption import Interruption
from ._library import CEntry, call
from ._memory import extent, has_overlap, meeting
from .errors import (
    AlreadyApplied,
    ChangedInBetween,
    DiffkitError,
    FileError,
    Mismatch,
    PartlyApplied,
    Unsupported,
    UsageError,
    WrongBase,
)

Array = np.ndarray[Any, np.dtype[Any]]
#: What a diff is opened from.
DiffSource = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryIO]


def open(source: DiffSource) -> Diff:
    """Opens a diff: a path, its bytes, or a binary file object that can seek.

    The index is read and checked; entries are decoded when they are asked for, so a file must stay
    as it is. A file object is read on the thread that asks, one thread at a time.

    Raises:
        Damaged: if it is damaged, or no diff.
        FileError: if it cannot be read.

    Example:
        >>> with diffkit.open("task.diff") as diff:
        ...     print(diff.metadata, {name: entry.changes for name, entry in diff.items()})
    """
    return Diff(source)


def _pointer(array: Array) -> int:
    return int(array.ctypes.data)


def _key(name: str) -> str:
    """What names of one tensor have in common: '/' and '.' are one separator."""
    return name.replace("/", ".")


def _find(tensors: Mapping[str, Any], keys: Mapping[str, list[str]], name: str) -> str | None:
    """The name by which `tensors` has a tensor of the diff: as it is, or with the other separator,
    or else but for a final ``:0``; None if it has none.

    Raises:
        Mismatch: if several could be meant.
    """
    if name in tensors:
        return name
    key = _key(name)
    for wanted in (key, key.removesuffix(":0"), key + ":0"):
        found = keys.get(wanted, [])
        if len(found) > 1:
            raise Mismatch(f"could be any of {', '.join(found)}", code="mismatch", tensor=name)
        if found:
            return found[0]
    return None


def _keys(tensors: Mapping[str, Any]) -> dict[str, list[str]]:
    keys: dict[str, list[str]] = {}
    for name in tensors:
        keys.setdefault(_key(name), []).append(name)
    return keys


class Entry:
    """What a diff does to one tensor. Lives as long as its diff is open.

    Attributes:
        name: the tensor's name, as stored.
        operation: ``"add"``, ``"replace"``, ``"xor"``, ``"insert"``, ``"delete"`` or ``"reshape"``.
        type: the element type, such as ``"bf16"``.
        shape: the tensor's shape; of ``reshape`` the shape before.
        new_shape: the shape after; None if the tensor goes.
        elements: how many elements `shape` has.
        changes: how many of them change.
        value_type: the element type of `values`; of ``add`` it may differ from `type`.
        scale: of ``add``: value · 2^scale is added.
        base, result: the tensor's fingerprints before and after, 32 hexadecimal digits, or None.
        stored: bytes that the changes take in the diff.
    """

    def __init__(self, diff: Diff, index: int) -> None:
        raw = CEntry()
        call("entry_at", diff._handle, index, byref(raw))
        self._diff = diff
        self._index = index
        self._code: int = raw.type
        self._width: int = raw.width
        self._value_code: int = raw.value_type
        self._value_width: int = raw.value_width
        self.name = ctypes.string_at(raw.name, raw.name_length).decode()
        self.operation = lib.OPERATIONS[raw.operation]
        self.type = _dtypes.NAMES[raw.type]
        self.shape: tuple[int, ...] = tuple(raw.extents[: raw.rank])
        self.new_shape: tuple[int, ...] | None = (
            None if raw.operation == lib.DELETE else tuple(raw.extents_after[: raw.rank_after])
        )
        self.elements: int = raw.elements
        self.changes: int = raw.changes
        self.value_type = _dtypes.NAMES[raw.value_type]
        self.scale: int = raw.scale
        self.base = _hex(raw.base) if raw.flags & lib.HAS_BASE else None
        self.result = _hex(raw.result) if raw.flags & lib.HAS_RESULT else None
        self.stored: int = raw.stored

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.shape))
        what = f"{self.operation}, {self.changes} of {self.type} {shape}"
        return f"<diffkit.Entry {self.name!r}: {what}>"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The tensor's type in NumPy; bfloat16 and float8 are those of ml_dtypes where that is
        installed, else unsigned integers."""
        return _dtypes.dtype(self._code)

    @property
    def _is_sparse(self) -> bool:
        """Whether it changes some elements of a tensor that stays."""
        return self.operation in ("add", "replace", "xor")

    @property
    def density(self) -> float:
        """Changes per element of the tensor."""
        return self.changes / max(1, self.elements)

    def read(self) -> tuple[Array, Array]:
        """Decodes the positions and the values: two arrays of `changes` elements.

        Positions are ascending uint64 indices into the flattened (row-major) tensor; values have
        the type `value_type`: of ``add`` what is added, over 2^scale; of ``replace``, ``insert``
        and ``delete`` elements; of ``xor`` what is combined with the bits of the old elements.

        Raises:
            Damaged: if the diff is damaged.
            Unsupported: of ``reshape``.
        """
        positions = np.empty(self.changes, np.uint64)
        values = np.empty(self.changes, _dtypes.dtype(self._value_code))
        self._read(_pointer(positions), _pointer(values))
        return positions, values

    @property
    def positions(self) -> Array:
        """The positions alone; see `read`. Decoded at each use."""
        positions = np.empty(self.changes, np.uint64)
        self._read(_pointer(positions), None)
        return positions

    @property
    def values(self) -> Array:
        """The values alone; see `read`. Decoded at each use."""
        values = np.empty(self.changes, _dtypes.dtype(self._value_code))
        self._read(None, _pointer(values))
        return values

    def _read(self, positions: int | None, values: int | None) -> None:
        self._call("read", positions, values, self.changes)

    def _call(self, name: str, *arguments: Any) -> int:
        try:
            return call(name, self._diff._handle, self._index, *arguments, tensor=self.name)
        except FileError:
            self._diff._raise_own()
            raise

    def _does_what(self, other: Entry) -> bool:
        """Whether both change the same elements in the same way."""
        if other is self:
            return True
        ways = [(e.operation, e.type, e.value_type, e.scale, e.changes) for e in (self, other)]
        return ways[0] == ways[1] and all(
            one.tobytes() == two.tobytes() for one, two in zip(self.read(), other.read())
        )

    def _check_pages(self) -> None:
        """Refuses a damaged entry."""
        if self.operation != "reshape":
            self._read(None, None)

    # MARK: Arrays

    def _state(self, array: Array | None) -> str:
        """``"base"``, ``"result"``, ``"other"`` or ``"unknown"``; None is no tensor."""
        if array is None:
            return {"insert": "base", "delete": "result"}.get(self.operation, "other")
        if self.operation == "reshape":
            return self._reshape_state(array)
        if tuple(array.shape) != self.shape:
            return "other"
        array = np.ascontiguousarray(array)
        state = c_int()
        self._call("verify", _pointer(array), array.nbytes, byref(state))
        return lib.STATES[state.value]

    def _reshape_state(self, array: Array) -> str:
        known = {self.shape: ("base", self.base), self.new_shape: ("result", self.result)}
        if tuple(array.shape) not in known:
            return "other"
        state, fingerprint = known[tuple(array.shape)]
        if fingerprint is None:
            return "unknown"
        found = fingerprint_of_code(self._code, array)
        return state if found == fingerprint else "other"

    def _whole(self, direction: str) -> Array:
        """The tensor that is inserted, or that was deleted."""
        array = np.empty(self.shape, self.dtype)
        self._call(direction, _pointer(array), array.nbytes, 0)
        return array

    def _reshaped(self, array: Array, backwards: bool, verify: bool) -> Array:
        old = np.ascontiguousarray(array)
        shape = self.shape if backwards else self.new_shape
        new: Array = np.empty(shape, array.dtype)
        flags = (lib.BACKWARDS if backwards else 0) | (0 if verify else lib.UNVERIFIED)
        self._call("reshape", _pointer(old), old.nbytes, _pointer(new), new.nbytes, flags)
        return new

    def _gather(self, array: Array) -> Array:
        elements = np.empty(self.changes * self._width, np.uint8)
        self._call("gather", _pointer(array), array.nbytes, _pointer(elements), self.changes)
        return elements

    def _change(self, elements: Array) -> None:
        self._call("change", _pointer(elements), self.changes)

    def _scatter(self, array: Array, elements: Array, expected: Array | None) -> None:
        self._call(
            "scatter", _pointer(array), array.nbytes, _pointer(elements),
            None if expected is None else _pointer(expected), self.changes,
        )  # fmt: skip


def _hex(fingerprint: Any) -> str:
    return f"{int.from_bytes(bytes(fingerprint), 'little'):032x}"


def fingerprint_of_code(code: int, array: Array) -> str:
    """The fingerprint of an array whose elements are of the type of a code."""
    # NumPy makes a vector of a scalar.
    piece, shape = np.ascontiguousarray(array), array.shape
    found = (c_uint8 * 16)()
    call("fingerprint", code, len(shape), lib.extents(shape), _pointer(piece), piece.nbytes, found)
    return _hex(found)


def fingerprint(array: Array, type: str | None = None) -> str:
    """The fingerprint of a tensor: XXH3-128 over its type, shape and little-endian bytes.

    Args:
        array: of any shape.
        type: the element type, where it is not that of the array: ``"bf16"`` of integers.

    Returns:
        32 hexadecimal digits, as `Entry.base` and `diffkit inspect --hash` have them.
    """
    return fingerprint_of_code(_dtypes.code_for(array.dtype, type, "array"), array)


class Diff(Mapping[str, Entry]):
    """An open diff: a mapping of tensors' names to entries, in ascending order of names.

    A name is found as it is stored, and also with ``.`` in place of ``/`` or the other way round,
    or but for a final ``:0``. Immutable: threads may share it. Use it as a context manager, or
    `close` it; it also closes when nothing refers to it any more.

    Attributes:
        metadata: task, provenance, hyperparameters: whatever its maker stored.
        identity: XXH3-128 of the diff's index, 32 hexadecimal digits; names its contents.
    """

    def __init__(self, source: DiffSource) -> None:
        """See `open`."""
        handle = c_void_p()
        self._source: Any = None
        if isinstance(source, (bytes, bytearray, memoryview)):
            view = np.frombuffer(source, np.uint8)
            call("open_memory", _pointer(view), view.size, byref(handle))
        elif isinstance(source, (str, os.PathLike)):
            call("open_file", os.fsencode(source), byref(handle))
        else:
            self._source = _FileSource(source)
            self._source.open(handle)
        self._handle = handle
        self._closer = weakref.finalize(self, lib.library().diffkit_close, c_void_p(handle.value))
        self.metadata: Mapping[str, str] = self._read_metadata()
        identity = (c_uint8 * 16)()
        call("identity", handle, identity)
        self.identity = _hex(identity)

    def _read_metadata(self) -> dict[str, str]:
        pairs: dict[str, str] = {}
        for index in range(lib.library().diffkit_metadata_count(self._handle)):
            key, value = c_void_p(), c_void_p()
            lengths = c_size_t(), c_size_t()
            call(
                "metadata_at", self._handle, index, byref(key), byref(lengths[0]), byref(value),
                byref(lengths[1]),
            )  # fmt: skip
            texts = [
                ctypes.string_at(text.value or 0, length.value).decode()
                for text, length in zip((key, value), lengths)
            ]
            pairs[texts[0]] = texts[1]
        return pairs

    def close(self) -> None:
        """Closes the diff; its entries are of no use afterwards. May be called again."""
        self._closer()
        self._handle = c_void_p()

    def __enter__(self) -> Diff:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<diffkit.Diff {self.identity}: {len(self)} tensors>"

    def _raise_own(self) -> None:
        """Raises what the file object raised."""
        if self._source is not None:
            self._source.guard.check()

    # MARK: The mapping

    def __len__(self) -> int:
        count: int = lib.library().diffkit_count(self._handle)
        return count

    def __iter__(self) -> Iterator[str]:
        return (entry.name for entry in self.values())

    def __getitem__(self, name: str) -> Entry:
        index = c_size_t()
        encoded = name.encode()
        if b"\0" in encoded:
            found = [entry for entry in self._all() if entry.name == name]
            if not found:
                raise KeyError(name)
            return found[0]
        try:
            call("find", self._handle, encoded, byref(index))
        except UsageError:
            raise KeyError(name) from None
        return Entry(self, index.value)

    def values(self) -> Any:
        """The entries, in ascending order of names."""
        return self._all()

    def items(self) -> Any:
        """Names and entries, in ascending order of names."""
        return [(entry.name, entry) for entry in self._all()]

    def _all(self) -> list[Entry]:
        # Entries refer to the diff, so it does not keep them: a cycle would delay its end.
        return [Entry(self, index) for index in range(len(self))]

    # MARK: Arrays

    def verify(self, tensors: Mapping[str, Array]) -> dict[str, str]:
        """What each tensor of the diff is in a dict of arrays, by its fingerprint.

        Returns:
            By the entries' names ``"base"``, ``"result"``, ``"other"``, or ``"unknown"`` where the
            diff lacks the fingerprint that would tell.

        Raises:
            Mismatch: if an array has other elements than the tensor.
        """
        return {entry.name: state for entry, _, state in self._look(tensors)}

    def state(self, tensors: Mapping[str, Array]) -> str:
        """What a dict of arrays is to the diff, as `verify` of the program says it: ``"base"``,
        ``"applied"``, ``"partly-applied"`` or ``"different"``."""
        return _overall([state for _, _, state in self._look(tensors)])

    def check(self) -> None:
        """Decodes everything.

        Raises:
            Damaged: if any byte of the entries is not as it was written.
        """
        for entry in self._all():
            entry._check_pages()

    def apply(
        self,
        tensors: MutableMapping[str, Array],
        *,
        verify: bool = True,
        allow_other_base: bool = False,
    ) -> Undo:
        """Makes a dict of arrays what the diff makes of it.

        Arrays are changed where they are, also those that are not contiguous; an array with several
        names is changed once. What the diff inserts or reshapes is put into the dict as a new
        array, what it deletes is taken out. All tensors are verified, and all of the diff is
        decoded, before the first one is touched.

        Args:
            tensors: arrays by name; those that the diff does not change stay as they are.
            verify: whether to hash the tensors that change. Without it, a wrong base gives a wrong
                result; shapes and types are checked all the same.
            allow_other_base: whether additions may go upon another base than theirs, though not
                upon their result.

        Returns:
            What restores the dict, bit for bit: `Undo.restore`. Its memory is O(changes).

        Raises:
            AlreadyApplied: if every tensor is at the result.
            PartlyApplied: if some are.
            WrongBase: if one is neither base nor result.
            Unsupported: if arrays that the diff changes share some of their elements.
            Damaged: if the diff is.
        """
        work = self._begin(tensors, verify, False, allow_other_base)
        # New arrays, and the elements that change: what can fail, fails before anything is touched.
        new: dict[str, Array] = {}
        for entry, name, _ in work:
            if entry.operation == "insert":
                new[entry.name] = entry._whole("apply")
            elif entry.operation == "reshape" and name is not None:
                new[entry.name] = entry._reshaped(tensors[name], False, verify)
            elif entry.operation == "delete":
                entry._check_pages()
        return self._run(work, tensors, new, backwards=False, is_verified=verify)

    def _run(
        self,
        work: _Work,
        tensors: MutableMapping[str, Array],
        new: Mapping[str, Array],
        *,
        backwards: bool,
        is_verified: bool,
    ) -> Undo:
        """Changes a dict, or leaves it as it was, also where Ctrl-C comes in between."""
        undo = Undo(tensors, is_verified)
        try:
            with Interruption():
                sparse = [(e, name) for e, name, _ in work if name is not None and e._is_sparse]
                undo._sparse = self._apply_all(sparse, tensors, backwards)
                for entry, name, _ in work:
                    if not entry._is_sparse:
                        undo._replace(entry, name or entry.name, new.get(entry.name))
            return undo
        except BaseException:
            with Interruption():
                undo._roll_back()
            raise

    def _apply_all(
        self, work: list[tuple[Entry, str]], tensors: Mapping[str, Array], backwards: bool
    ) -> list[tuple[Entry, str, Array]]:
        """Changes elements of arrays where they are, in all of them or in none.

        Returns:
            Each entry, the name of its array, and the elements before.
        """
        work = _distinct(work, tensors)
        for _, name in work:
            _require_writeable(tensors[name], name)
        arrays = [tensors[name] for _, name in work]
        pieces = [np.ascontiguousarray(array) for array in arrays]
        old = [np.empty(entry.changes * entry._width, np.uint8) for entry, _ in work]
        count = len(work)
        refused = c_size_t(count)
        try:
            call(
                "apply_all", self._handle, (c_size_t * count)(*(entry._index for entry, _ in work)),
                (c_void_p * count)(*map(_pointer, pieces)),
                (c_size_t * count)(*(piece.nbytes for piece in pieces)),
                (c_void_p * count)(*map(_pointer, old)),
                count, lib.BACKWARDS if backwards else 0, byref(refused),
            )  # fmt: skip
        except DiffkitError as problem:
            self._raise_own()
            if refused.value < count:
                problem.tensor = work[refused.value][1]
            raise
        for array, piece in zip(arrays, pieces):
            if piece is not array:
                array[...] = piece
        return [(entry, name, kept) for (entry, name), kept in zip(work, old)]

    def revert(self, tensors: MutableMapping[str, Array], *, verify: bool = True) -> None:
        """Makes a dict of arrays, at the result of an exact diff, the base again, bit for bit.

        All tensors are verified before the first one is touched; see `apply`.

        Raises:
            AlreadyApplied: if every tensor is at the base.
            PartlyApplied, WrongBase: if some, or another one, is.
            Unsupported: if a tensor cannot be reverted (``add``, ``replace``): keep what `apply`
                returns, or the base.
        """
        for entry in self._all():
            if entry.operation in ("add", "replace"):
                raise Unsupported(
                    f"'{entry.operation}' keeps no old values, so it cannot be reverted",
                    code="unsupported", tensor=entry.name,
                )  # fmt: skip
        work = self._begin(tensors, verify, True, False)
        new: dict[str, Array] = {}
        for entry, name, _ in work:
            if entry.operation == "delete":
                new[entry.name] = entry._whole("revert")
            elif entry.operation == "reshape" and name is not None:
                new[entry.name] = entry._reshaped(tensors[name], True, verify)
            elif entry.operation == "insert":
                entry._check_pages()
        self._run(work, tensors, new, backwards=True, is_verified=verify)

    def _begin(
        self, tensors: Mapping[str, Array], verify: bool, backwards: bool, allow_other_base: bool
    ) -> _Work:
        """What there is to be done to a dict, after whatever refuses it."""
        work = self._look(tensors, hashing=verify)
        _require_own_arrays(work)
        if verify:
            _require("result" if backwards else "base", work, tensors, allow_other_base)
        _check_shapes(work, tensors, backwards)
        return work

    def _look(self, tensors: Mapping[str, Array], hashing: bool = True) -> _Work:
        """Each entry, the name of its tensor, and what that is."""
        keys = _keys(tensors)
        work: _Work = []
        for entry in self._all():
            name = _find(tensors, keys, entry.name)
            array = None if name is None else tensors[name]
            if array is not None:
                _dtypes.check(entry._code, array.dtype, name or entry.name)
            work.append((entry, name, entry._state(array) if hashing else "unknown"))
        return work


def _overall(states: list[str]) -> str:
    kinds = set(states)
    if kinds <= {"base"}:
        return "base"
    if kinds == {"result"}:
        return "applied"
    return "partly-applied" if kinds == {"base", "result"} else "different"


#: An entry, the name of its tensor in a dict, and what that is.
_Work = list[tuple[Entry, Union[str, None], str]]


def _require(
    wanted: str, work: _Work, tensors: Mapping[str, Array], allow_other_base: bool
) -> None:
    """Refuses tensors that are not all at one side."""
    done = "result" if wanted == "base" else "base"
    there = [name or entry.name for entry, name, state in work if state == done]
    if work and len(there) == len(work):
        word = "applied" if wanted == "base" else "reverted"
        raise AlreadyApplied(
            f"is at the {done}: the diff is already {word}", code="already-applied",
            tensor=there[0],
        )  # fmt: skip
    for entry, name, state in work:
        if state in (wanted, done):
            continue
        if allow_other_base and entry.operation == "add" and name is not None:
            continue
        if name is None:
            raise Mismatch("is missing", code="mismatch", tensor=entry.name)
        _check_shape(entry, name, tensors[name], (entry.shape, entry.new_shape))
        raise WrongBase("is not the one that the diff was made for", code="wrong-base", tensor=name)
    if there:
        raise PartlyApplied(
            f"is at the {done}, others are at the {wanted}", code="partly-applied", tensor=there[0]
        )


def _require_own_arrays(work: _Work) -> None:
    """Refuses an array that two entries mean, whose names differ in separators."""
    meant: dict[str, Entry] = {}
    for entry, name, _ in work:
        if name is not None and meant.setdefault(name, entry) is not entry:
            raise Mismatch(
                f"is meant by '{meant[name].name}' and '{entry.name}' of the diff",
                code="mismatch", tensor=name,
            )  # fmt: skip


def _check_shapes(work: _Work, tensors: Mapping[str, Array], backwards: bool) -> None:
    """Refuses a dict that lacks a tensor, has one of another shape, or one that is to come."""
    comes = "delete" if backwards else "insert"
    for entry, name, _ in work:
        if entry.operation == comes:
            if name is not None:
                raise WrongBase("is there already", code="wrong-base", tensor=name)
        elif name is None:
            raise Mismatch("is missing", code="mismatch", tensor=entry.name)
        else:
            shape = entry.new_shape if backwards and entry.operation == "reshape" else entry.shape
            _check_shape(entry, name, tensors[name], (shape,))


def _check_shape(entry: Entry, name: str, array: Array, known: tuple[Any, ...]) -> None:
    if tuple(array.shape) not in known:
        raise Mismatch(
            f"has the shape {tuple(array.shape)}, the diff is for {entry.shape}", code="mismatch",
            tensor=name,
        )  # fmt: skip


def _distinct(
    work: list[tuple[Entry, str]], tensors: Mapping[str, Array]
) -> list[tuple[Entry, str]]:
    """Each array once: of names that are one in memory (tied weights) the first.

    Raises:
        Unsupported: if arrays are one that the diff changes differently, or have some elements in
            common but not all.
    """
    first: dict[Any, tuple[Entry, str]] = {}
    for entry, name in work:
        array = tensors[name]
        # In one piece it is the same whatever its shape; empty ones are nowhere.
        layout = array.nbytes if array.flags.c_contiguous else (array.shape, array.strides)
        place = (_pointer(array), layout, array.itemsize) if array.size else id(entry)
        other, known = first.setdefault(place, (entry, name))
        if not entry._does_what(other):
            raise Unsupported(
                f"is tied to '{known}', which the diff changes otherwise", code="unsupported",
                tensor=name,
            )  # fmt: skip
    distinct = list(first.values())
    _require_apart([(name, tensors[name]) for _, name in distinct])
    return distinct


def _require_apart(arrays: list[tuple[str, Array]]) -> None:
    """Refuses arrays that share some of their elements: each would undo what the other became."""
    for name, array in arrays:
        if has_overlap(array.shape, array.strides, array.itemsize):
            raise Unsupported(
                "may have several elements in one place; copy the array", code="unsupported",
                tensor=name,
            )  # fmt: skip
    extents = [extent(_pointer(a), a.shape, a.strides, a.itemsize) for _, a in arrays]
    for group in meeting(extents):
        for one, two in itertools.combinations(group, 2):
            if np.shares_memory(arrays[one][1], arrays[two][1]):
                raise Unsupported(
                    f"shares elements with '{arrays[one][0]}', which the diff changes too",
                    code="unsupported", tensor=arrays[two][0],
                )  # fmt: skip


def _require_writeable(array: Array, name: str) -> None:
    if not array.flags.writeable:
        raise UsageError("is read-only; copy the array", tensor=name)


class Undo:
    """What `Diff.apply` changed, to be restored bit for bit, additions too, while the diff is open."""

    def __init__(self, tensors: MutableMapping[str, Array], is_verified: bool) -> None:
        self._tensors = tensors
        self._is_verified = is_verified
        #: Each entry, the name of its array, and the elements before.
        self._sparse: list[tuple[Entry, str, Array]] = []
        #: Each entry, the name of its array, and the array before, if there was one.
        self._whole: list[tuple[Entry, str, Array | None]] = []
        self._is_done = False

    @property
    def tensors(self) -> list[str]:
        """The names of the tensors that were changed."""
        return [name for _, name, _ in [*self._sparse, *self._whole]]

    def _replace(self, entry: Entry, name: str, new: Array | None) -> None:
        """Puts a new array into the dict, or takes one out."""
        old = self._tensors.get(name)
        if new is None:
            del self._tensors[name]
        else:
            self._tensors[name] = new
        self._whole.append((entry, name, old))

    def restore(self) -> None:
        """Makes the dict what it was, bit for bit. Once.

        Raises:
            ChangedInBetween: if a tensor is not as `apply` left it where the diff changes it, which
                of one that came or got another shape is everywhere; if it is gone, or one that was
                taken out is there again; nothing is restored.
            Unsupported, UsageError: if an array was replaced by one that cannot be changed.
        """
        if self._is_done:
            raise UsageError("has been restored already")
        for entry, name, _ in self._sparse:
            array = self._tensors.get(name)
            if array is None or tuple(array.shape) != entry.shape:
                raise _changed(name)
            _dtypes.check(entry._code, array.dtype, name)
            _require_writeable(array, name)
        _require_apart([(name, self._tensors[name]) for _, name, _ in self._sparse])
        for entry, name, old in self._whole:
            self._check_whole(entry, name, old)
        elements = _Elements(self, verify=True)
        with Interruption():
            elements.put_back()
            self._put_back()

    def _check_whole(self, entry: Entry, name: str, old: Array | None) -> None:
        """Refuses what is not as `apply` left it, and an array before that is not as it was."""
        if self._is_verified and old is not None and entry._state(old) not in ("base", "unknown"):
            raise _changed(name)
        array = self._tensors.get(name)
        if entry.operation == "delete":
            is_kept = array is None
        else:
            made = entry._whole("apply") if old is None else entry._reshaped(old, False, False)
            is_kept = array is not None and _same_bits(array, made)
        if not is_kept:
            raise _changed(name)

    def _roll_back(self) -> None:
        """Takes back what has been done so far, without a look at it."""
        _Elements(self, verify=False).put_back()
        self._put_back()

    def _put_back(self) -> None:
        for _, name, old in reversed(self._whole):
            if old is None:
                del self._tensors[name]
            else:
                self._tensors[name] = old
        self._is_done = True


class _Elements:
    """The elements that an `Undo` puts back, decoded: what can fail, fails before."""

    def __init__(self, undo: Undo, verify: bool) -> None:
        self._names = [name for _, name, _ in undo._sparse]
        self._verify = verify
        self._exchange = Exchange()
        for entry, _, old in undo._sparse:
            new = old.copy()
            if verify:
                entry._change(new)
            self._exchange.add(entry._width, entry.positions, old, new)
        self._arrays = [undo._tensors[name] for name in self._names]
        self._pieces = [np.ascontiguousarray(array) for array in self._arrays]
        self._exchange.bind(
            [_pointer(piece) for piece in self._pieces], [piece.nbytes for piece in self._pieces]
        )

    def put_back(self) -> None:
        """Brings them into their arrays: into all or none."""
        refused = self._exchange.run(backwards=True, verify=self._verify)
        if refused is not None:
            raise _changed(self._names[refused])
        for array, piece in zip(self._arrays, self._pieces):
            if piece is not array:
                array[...] = piece


def _same_bits(one: Array, other: Array) -> bool:
    """Whether two arrays have one type and shape and the same bits."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    a, b = (np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in (one, other))
    return np.array_equal(a, b)


def _changed(name: str) -> ChangedInBetween:
    return ChangedInBetween("has been changed in between", code="wrong-base", tensor=name)


class _FileSource:
    """A binary file object as a source of bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.guard = lib.Guard()
        self._read = lib.READ(self._answer)

    def open(self, handle: c_void_p) -> None:
        name = getattr(self._file, "name", None)
        self._file.seek(0, os.SEEK_END)
        source = lib.CSource(
            length=self._file.tell(),
            name=os.fsencode(name) if isinstance(name, str) else None,
            read=self._read,
        )
        try:
            call("open_source", byref(source), byref(handle))
        except Exception:
            self.guard.check()
            raise

    def _answer(self, _: object, offset: int, buffer: int, count: int) -> int:
        def fill() -> None:
            with self._lock:
                self._file.seek(offset)
                done = 0
                while done < count:
                    piece = self._file.read(count - done)
                    if not piece:
                        raise EOFError(f"the file ends before byte {offset + count}")
                    ctypes.memmove(buffer + done, piece, len(piece))
                    done += len(piece)

        return self.guard.run(fill)
