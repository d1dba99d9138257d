"""Tensors of a model: where their elements are, which of them are one, what they hash to."""

from __future__ import annotations

from ctypes import byref, c_uint8, c_void_p
from types import SimpleNamespace
from typing import Any, Callable, Mapping, Union

import numpy as np
import torch

from .. import _dtypes
from .. import _library as lib
from .._create import Buffer
from .._diff import Diff, _find, _hex, _keys
from .._library import call
from .._memory import extent, has_overlap
from ..errors import Mismatch, Unsupported

Array = np.ndarray[Any, np.dtype[Any]]
#: A model or its state dict.
Tensors = Union[torch.nn.Module, Mapping[str, torch.Tensor]]
#: What a tensor of the diff is called in the model.
Names = Union[Mapping[str, str], Callable[[str], str], None]

_TYPES = {
    "bool": "bool", "u8": "uint8", "i8": "int8", "u16": "uint16", "i16": "int16",
    "u32": "uint32", "i32": "int32", "u64": "uint64", "i64": "int64", "f16": "float16",
    "bf16": "bfloat16", "f32": "float32", "f64": "float64", "f8e4m3": "float8_e4m3fn",
    "f8e5m2": "float8_e5m2", "f8e8m0": "float8_e8m0fnu", "c64": "complex64",
}  # fmt: skip
#: The code of each type of PyTorch that a diff holds.
CODES: dict[torch.dtype, int] = {
    getattr(torch, word): _dtypes.CODES[name]
    for name, word in _TYPES.items()
    if hasattr(torch, word)
}
DTYPES = {code: dtype for dtype, code in CODES.items()}
#: Integers of as many bytes: bits are moved, numbers are not calculated with.
BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_NUMPY_BITS = {1: np.uint8, 2: np.int16, 4: np.int32, 8: np.int64}

#: Bytes of a tensor on another device that are hashed at a time.
_CHUNK = 64 << 20


def named(model: Tensors) -> dict[str, torch.Tensor]:
    """Parameters and buffers under all their names."""
    if isinstance(model, torch.nn.Module):
        found: dict[str, torch.Tensor] = dict(model.named_parameters(remove_duplicate=False))
        found.update(model.named_buffers(remove_duplicate=False))
        return found
    return dict(model)


class Lookup:
    """Finds parameters and buffers that a model has now by their names: some of them in less time
    than `named` takes for all."""

    def __init__(self, model: torch.nn.Module) -> None:
        self._modules: dict[str, Any] = {"": model}

    def tensor(self, name: str) -> torch.Tensor | None:
        """The tensor of a name, if there is one."""
        path, _, key = name.rpartition(".")
        try:
            module = self._modules[path]
        except KeyError:
            module = self._module(path)
        # What `getattr` finds in the end, in a tenth of the time.
        found = module.__dict__.get("_parameters", _NONE).get(key)
        if found is None:
            found = getattr(module, key, None)
        return found if isinstance(found, torch.Tensor) else None

    def _module(self, path: str) -> Any:
        if path not in self._modules:
            parent, _, key = path.rpartition(".")
            above = self._module(parent)
            found = above.__dict__.get("_modules", _NONE).get(key)
            self._modules[path] = getattr(above, key, _NOTHING) if found is None else found
        return self._modules[path]


_NONE: dict[str, Any] = {}
#: In place of a module that is not there.
_NOTHING = SimpleNamespace()


def tied(tensor: torch.Tensor, found: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Those of the named tensors that are one with a tensor."""
    if tensor.numel() == 0:  # Nowhere.
        return {name: other for name, other in found.items() if other is tensor}
    where = place(tensor)
    return {name: other for name, other in found.items() if place(other) == where}


def matched(diff: Diff, tensors: Mapping[str, Any], names: Names) -> dict[str, str | None]:
    """By the names of a diff's entries those of the model; None where it has no such tensor."""
    keys = _keys(tensors)
    rename: Callable[[str], str] = (
        names if callable(names) else lambda name: (names or {}).get(name, name)
    )
    return {name: _find(tensors, keys, rename(name)) for name in diff}


def require_plain(name: str, tensor: torch.Tensor) -> None:
    """Refuses tensors without elements of their own in memory."""
    data = tensor.detach()
    reason = None
    if data.device.type == "meta":
        reason = "is on the meta device: it has no elements"
    elif data.layout != torch.strided:
        reason = f"has the layout {data.layout}"
    elif data.is_quantized:
        reason = "is quantized"
    elif type(data) is not torch.Tensor:
        reason = f"is a {type(data).__name__}"
    elif data.dtype not in CODES:
        reason = f"has elements of {data.dtype}"
    elif has_overlap(data.shape, data.stride(), 1):
        reason = "may have several elements in one place, as expanded tensors and windows have"
    if reason is not None:
        raise Unsupported(reason, code="unsupported", tensor=name)


def require_type(name: str, tensor: torch.Tensor, code: int) -> None:
    """Refuses a tensor with elements of another type."""
    if CODES[tensor.dtype] != code:
        raise Mismatch(
            f"is {str(tensor.dtype).removeprefix('torch.')}, the diff is for {_dtypes.NAMES[code]}",
            code="mismatch",
            tensor=name,
        )


def place(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Where a tensor's elements are: the same of tensors that are one."""
    return (
        tensor.device, tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride()
    )  # fmt: skip


def extent_of(tensor: torch.Tensor) -> tuple[int, int]:
    """The addresses on its device between which a tensor's elements are."""
    width = tensor.element_size()
    strides = [stride * width for stride in tensor.stride()]
    return extent(tensor.data_ptr(), tensor.shape, strides, width)


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors on one device have one type and shape and the same bits."""
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    width = BITS[one.element_size()]
    return torch.equal(one.contiguous().view(width), other.contiguous().view(width))


def version(tensor: torch.Tensor) -> int:
    """How often PyTorch has counted a change of a tensor; -1 of one that it counts none of."""
    return -1 if tensor.is_inference() else tensor._version


def count_change(changed: list[torch.Tensor]) -> None:
    """Makes PyTorch count a change of each tensor."""
    try:
        torch.autograd.graph.increment_version(changed)
    except TypeError:  # Before 2.7 it takes one.
        for tensor in changed:
            torch.autograd.graph.increment_version(tensor)


def storage(tensor: torch.Tensor) -> torch.Tensor:
    """The elements of a tensor as a vector of integers that shares their memory: the tensor's own
    in row-major order, or if they are not in one piece, all of its storage."""
    data = tensor.detach()
    bits = BITS[data.element_size()]
    if data.is_contiguous():
        return data.view(-1).view(bits)
    length = data.untyped_storage().nbytes() // data.element_size()
    return torch.as_strided(data, (length,), (1,), 0).view(bits)


def offsets(tensor: torch.Tensor, positions: Array) -> Array:
    """Row-major positions as indices into `storage`, in the same order."""
    if tensor.is_contiguous():
        return positions.astype(np.int64)
    found = np.full(positions.shape, tensor.storage_offset(), np.int64)
    rest = positions.astype(np.int64)
    for size, stride in zip(reversed(tensor.shape), reversed(tensor.stride())):
        found += rest % size * stride
        rest //= size
    return found


def gathered(tensor: torch.Tensor, positions: Array) -> Array:
    """Copies of the elements at row-major positions, as bytes."""
    index = torch.from_numpy(offsets(tensor, positions)).to(tensor.device)
    found: Array = storage(tensor)[index].cpu().numpy()
    return found.view(np.uint8)


def bits(elements: Array, width: int, device: torch.device) -> torch.Tensor:
    """Bytes of elements as integers on a device."""
    return torch.from_numpy(elements.view(_NUMPY_BITS[width])).to(device)


def fingerprint(tensor: torch.Tensor) -> str:
    """The fingerprint of a tensor, of whatever device, as a diff has it. What is on another device
    comes in pieces of 64 MiB."""
    data = tensor.detach()
    code, shape = CODES[data.dtype], tuple(data.shape)
    flat = data.contiguous().view(-1).view(torch.uint8)
    found = (c_uint8 * 16)()
    if data.device.type == "cpu":
        call(
            "fingerprint", code, len(shape), lib.extents(shape), flat.data_ptr(), flat.numel(),
            found,
        )  # fmt: skip
        return _hex(found)
    hashing = c_void_p()
    call("hash_new", code, len(shape), lib.extents(shape), byref(hashing))
    try:
        for start in range(0, flat.numel(), _CHUNK):
            piece = flat[start : start + _CHUNK].cpu()
            call("hash_update", hashing, piece.data_ptr(), piece.numel())
        call("hash_finish", hashing, found)
    finally:
        lib.library().diffkit_hash_free(hashing)
    return _hex(found)


def buffer(name: str, tensor: torch.Tensor) -> Buffer:
    """A tensor as the library takes it, on the CPU in one piece; copied if it is not so."""
    require_plain(name, tensor)
    piece = tensor.detach().cpu().contiguous()
    return Buffer(
        piece.data_ptr(), piece.numel() * piece.element_size(), CODES[piece.dtype],
        tuple(piece.shape), piece,
    )  # fmt: skip


def from_bytes(elements: Array, code: int, shape: tuple[int, ...]) -> torch.Tensor:
    """A tensor of its bytes."""
    flat = torch.from_numpy(elements) if elements.size else torch.empty(0, dtype=torch.uint8)
    return flat.view(DTYPES[code]).reshape(shape)
