"""What the entries of a diff do to tensors: sections 6, 7 and 8 of FORMAT.md; apply and revert.

Tensors are a dict of NumPy arrays by name; those of types that NumPy lacks (bf16, f8…, bits…) are
RawTensor. Numbers in comments are sections of FORMAT.md.
"""
import warnings
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from reader import NUMPY, TYPES, WIDTHS, Diff, Entry, view
from xxhash import xxh3_128_digest, xxh3_128_hexdigest


@dataclass
class RawTensor:
    """A tensor of any element type; data: the bytes of its elements, shaped (n, width)."""
    dtype: str
    shape: tuple[int, ...]
    data: np.ndarray

    @staticmethod
    def of(tensor: "np.ndarray | RawTensor") -> "RawTensor":
        if isinstance(tensor, RawTensor):
            return tensor
        little = np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).reshape(-1)
        dtype = next(name for name, dtype in NUMPY.items() if dtype == little.dtype)
        return RawTensor(dtype, tensor.shape, little.view(np.uint8).reshape(-1, WIDTHS[dtype]))

    def array(self) -> "np.ndarray | RawTensor":
        return view(self.dtype, self.data).reshape(self.shape) if self.dtype in NUMPY else self

    def fingerprint(self) -> str:
        return fingerprint(self.dtype, self.shape, self.data.tobytes())


class ApplyError(Exception):
    """The diff does not fit the tensors."""


class AlreadyApplied(UserWarning):
    """All tensors are at the result: they are returned unchanged."""


class Unverified(UserWarning):
    """A tensor is changed although its state could not be verified."""


def fingerprint(dtype: str, shape: tuple[int, ...], data: bytes) -> str:  # 7
    code = next(code for code, name in TYPES.items() if name == dtype)
    head = bytes([code, len(shape)]) + b"".join(n.to_bytes(8, "little") for n in shape)
    blocks = (data[begin : begin + (1 << 20)] for begin in range(0, len(data), 1 << 20))
    return xxh3_128_hexdigest(head + b"".join(xxh3_128_digest(block)[::-1] for block in blocks))


def checkpoint_fingerprint(tensors: dict) -> str | None:  # 7.4
    rows = {}
    for name, tensor in tensors.items():
        parts = name.replace("/", ".").split(".")
        parts = [part for part in parts if part]
        state = parts[:1] == ["optimizer_weights"] and len(parts) > 1
        if state or parts[:2] == ["optimizer", "vars"] and len(parts) > 2:
            continue
        key = name.replace(".", "/").removesuffix(":0").encode()
        if key in rows:
            return None
        rows[key] = bytes.fromhex(RawTensor.of(tensor).fingerprint())[::-1]
    fields = [len(rows).to_bytes(8, "little")]
    for key in sorted(rows):
        fields += [len(key).to_bytes(8, "little"), key, rows[key]]
    return xxh3_128_hexdigest(b"".join(fields))


def apply(diff: Diff, tensors: dict, waive_add: bool = False) -> dict:
    """The tensors of the result; with waive_add, `add` may go upon any tensor of its type and
    shape that is not at its result.

    If all are at the result, warns AlreadyApplied and returns a copy of `tensors`."""
    return change(diff, diff.entries, tensors, waive_add)


def revert(diff: Diff, tensors: dict) -> dict:
    for entry in diff.entries:
        if entry.operation in ("add", "replace"):
            raise ApplyError(f"{entry.name!r}: {entry.operation} cannot be reverted")
    return change(diff, [reverse(entry) for entry in diff.entries], tensors, False)


def reverse(entry: Entry) -> Entry:
    operation = {"insert": "delete", "delete": "insert"}.get(entry.operation, entry.operation)
    entry = replace(entry, operation=operation, base=entry.result, result=entry.base, old=None)
    if operation == "reshape":
        changes, old, new = entry.streams
        entry = replace(entry, shape=entry.new_shape, new_shape=entry.shape,
                        streams=[changes, new, old])
    return entry


def change(diff: Diff, entries: list[Entry], tensors: dict, waive_add: bool) -> dict:
    names = match(entries, tensors)
    old = [None if name is None else RawTensor.of(tensors[name]) for name in names]
    states = [state(diff, entry, tensor, waive_add) for entry, tensor in zip(entries, old)]
    if not all("base" in state for state in states):
        if not all("result" in state for state in states):
            raise ApplyError("partly applied: some tensors are at the base, some at the result")
        warnings.warn(AlreadyApplied("already applied"))
        return dict(tensors)
    changed = dict(tensors)
    for entry, name, tensor in zip(entries, names, old):
        new = operate(diff, entry, tensor)
        if new is None:
            del changed[name]
            continue
        waived = entry.operation == "add" and tensor.fingerprint() != entry.base
        if not waived and entry.result and new.fingerprint() != entry.result:
            raise ApplyError(f"{entry.name!r}: the result has another fingerprint")
        changed[name or entry.name] = new.array()
    return changed


def match(entries: list[Entry], tensors: dict) -> list[str | None]:  # 8
    """The name of each entry's tensor, or None."""
    found: dict[str, list[str]] = {entry.name.replace("/", "."): [] for entry in entries}
    if len(found) < len(entries):
        raise ApplyError("names of the diff become equal when / and . are the same")
    for name in tensors:
        found.get(name.replace("/", "."), []).append(name)
    for names in found.values():
        if len(names) > 1:
            raise ApplyError(f"one entry matches several tensors: {names!r}")
    return [names[0] if names else None for names in found.values()]


def state(diff: Diff, entry: Entry, tensor: RawTensor | None, waive_add: bool) -> set[str]:  # 7.1
    """Where the tensor is: at the base, at the result, or perhaps both."""
    whole = stored_fingerprint(diff, entry) if entry.operation in ("insert", "delete") else None
    if tensor is None and whole:
        return {"base"} if entry.operation == "insert" else {"result"}
    if tensor is None:
        raise ApplyError(f"{entry.name!r}: no such tensor")
    now = tensor.fingerprint()
    as_base = (tensor.dtype, tensor.shape) == (entry.dtype, entry.shape)
    at_base, at_result = now == entry.base, now == entry.result
    if whole:
        at_base = entry.operation == "delete" and now == whole
        at_result = entry.operation == "insert" and now == whole
    elif as_base and not entry.base and entry.old:
        at_base = old_hash(diff, entry, tensor) == entry.old
    elif as_base and not at_base and not at_result and waive_add and entry.operation == "add":
        warnings.warn(Unverified(f"{entry.name!r}: not verified that it is the base's"))
        at_base = True
    if not at_base and not at_result:
        if not as_base:
            raise ApplyError(f"{entry.name!r} is {tensor.dtype} {list(tensor.shape)}, "
                             f"the diff is for {entry.dtype} {list(entry.shape)}")
        unknown = [what for what in ("base", "result") if not getattr(entry, what) and not whole]
        hint = f" (the diff has no fingerprint of: {', '.join(unknown)})" if unknown else ""
        raise ApplyError(f"{entry.name!r} is another tensor than the base's{hint}")
    return {"base"} & {at_base and "base"} | {"result"} & {at_result and "result"}


def stored_fingerprint(diff: Diff, entry: Entry) -> str:
    """That of the elements of an `insert` or `delete`, in either direction."""
    _, values = diff.decode(entry.streams[0])
    stored = fingerprint(entry.dtype, entry.shape, values.tobytes())
    if any(claim and claim != stored for claim in (entry.base, entry.result)):
        raise ApplyError(f"{entry.name!r}: inconsistent, the stored elements are others")
    return stored


def old_hash(diff: Diff, entry: Entry, tensor: RawTensor) -> str:
    positions, _ = diff.decode(entry.streams[0])
    return xxh3_128_hexdigest(tensor.data[positions].tobytes())


def operate(diff: Diff, entry: Entry, old: RawTensor | None) -> RawTensor | None:  # 6
    if entry.operation == "delete":
        return None
    positions, values = diff.decode(entry.streams[0])
    if entry.operation == "insert":
        return RawTensor(entry.dtype, entry.shape, values)
    if entry.operation == "reshape":
        return reshape(diff, entry, old, positions, values)
    data = old.data.copy()
    if entry.operation == "replace":
        data[positions] = values
    elif entry.operation == "xor":
        data[positions] ^= values
    else:
        data[positions] = add(entry, data[positions], values)
    return RawTensor(entry.dtype, entry.shape, data)


def add(entry: Entry, old: np.ndarray, values: np.ndarray) -> np.ndarray:  # 6.1
    with np.errstate(all="ignore"):
        d = widen(entry.value_type, values).astype("<f8") * 2.0 ** entry.scale
        if entry.dtype == "f64":
            y = view("f64", old) + d
        else:
            y = widen(entry.dtype, old) + d.astype("<f4")
        y[np.isnan(y)] = np.nan  # one NaN, whatever the machine makes
        new = round_bf16(y) if entry.dtype == "bf16" else y.astype(NUMPY[entry.dtype])
    return new.view(np.uint8).reshape(old.shape)


def widen(dtype: str, values: np.ndarray) -> np.ndarray:
    if dtype == "bf16":
        return (values.copy().view("<u2").reshape(-1).astype("<u4") << 16).view("<f4")
    return view(dtype, values).astype("<f4")


def round_bf16(number: np.ndarray) -> np.ndarray:
    bits = number.view("<u4")
    rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return np.where(np.isnan(number), 0x7FC0, rounded).astype("<u2")


def reshape(diff: Diff, entry: Entry, old: RawTensor, positions: np.ndarray,
            values: np.ndarray) -> RawTensor:  # 6.5
    new = np.empty((prod(entry.units(entry.new_shape)), WIDTHS[entry.dtype]), np.uint8)
    in_old, in_new = in_box(entry, entry.shape), in_box(entry, entry.new_shape)
    box = old.data[in_old]
    box[positions] ^= values
    new[in_new] = box
    new[~in_new] = diff.decode(entry.streams[2])[1]
    return RawTensor(entry.dtype, entry.new_shape, new)


def in_box(entry: Entry, shape: tuple[int, ...]) -> np.ndarray:
    """Which elements of the tensor, row-major, are in the overlap box."""
    mask, box = np.zeros(entry.units(shape), bool), entry.overlap_box()
    if len(entry.units(entry.shape)) == len(entry.units(entry.new_shape)):
        mask[tuple(map(slice, box))] = True
    return mask.reshape(-1)
