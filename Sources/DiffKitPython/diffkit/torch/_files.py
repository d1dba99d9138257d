"""Diffs of PyTorch's models, and what others take of diffs."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path as FilePath
from typing import Any, Iterator, Mapping, NamedTuple

import numpy as np
import torch

from .._create import Created, Writer
from .._diff import _find, _keys
from .._typing import Path
from ..errors import Mismatch, UsageError
from . import _tensors as tensors
from ._prepare import AnyDiff, opened


def state_of_model(side: tensors.Tensors) -> dict[str, torch.Tensor]:
    """Tensors by name; of those that are one in memory the first, as checkpoints have them."""
    state = side.state_dict(keep_vars=True) if isinstance(side, torch.nn.Module) else side
    found: dict[str, torch.Tensor] = {}
    places: set[Any] = set()
    for name, tensor in state.items():
        if not isinstance(tensor, torch.Tensor):
            continue
        place = tensors.place(tensor)
        if tensor.numel() and place in places:
            continue
        places.add(place)
        found[name] = tensor
    return found


def create(
    base: tensors.Tensors,
    tuned: tensors.Tensors,
    path: Path,
    *,
    overwrite: bool = False,
    **options: Any,
) -> Created:
    """Writes the diff that takes a model, or state dict, to another.

    Tensors that are one in memory (tied weights) are stored once, under the first name, as
    checkpoints have them. What is on another device is copied to the CPU.

    Args:
        base, tuned: models or state dicts; tensors of any shapes.
        path, overwrite, options: as of `diffkit.create`: `operation`, `density`, `threshold`,
            `values`, `skip_nonfloat`, `fast`, `metadata`, `progress`.
    """
    with Writer(**options) as writer:
        for side, model in (("base", base), ("tuned", tuned)):
            for name, tensor in state_of_model(model).items():
                writer.add(side, name, tensors.buffer(name, tensor))
        return writer.write(path, overwrite)


class WeightPatch(NamedTuple):
    """New elements of one tensor of a checkpoint.

    Attributes:
        name: the tensor's name in the checkpoint.
        shape: its shape.
        indices: ascending positions in the flattened tensor, int32, or int64 of tensors of 2^31
            elements or more.
        values: the elements there after the diff, of the tensor's type.
    """

    name: str
    shape: tuple[int, ...]
    indices: torch.Tensor
    values: torch.Tensor


def patches(diff: AnyDiff, base: Mapping[str, torch.Tensor] | None = None) -> Iterator[WeightPatch]:
    """A diff as flat indices and new values, tensor by tensor: what sparse weight transfers take.

    Args:
        diff: of operations ``replace``; ``xor`` and ``add`` need the base.
        base: the base's tensors by name, on any device; only the elements that change are read.

    Raises:
        UsageError: if the base is needed and is not given.
        Mismatch: if it lacks a tensor, or has one of another type or shape.
        Unsupported: for ``insert``, ``delete`` and ``reshape``.
    """
    found, is_own = opened(diff)
    keys = _keys(base or {})
    try:
        for entry in found.values():
            positions = entry.positions
            if entry.operation == "replace":
                elements = entry.values.view(np.uint8)
            elif base is None and entry.operation in ("xor", "add"):
                raise UsageError(f"'{entry.operation}' needs the base", tensor=entry.name)
            else:
                name = _find(base or {}, keys, entry.name)
                if name is None and entry.operation in ("xor", "add"):
                    raise Mismatch("is missing", code="mismatch", tensor=entry.name)
                if name is None or base is None:
                    elements = np.empty(entry.changes * entry._width, np.uint8)
                else:
                    tensor = base[name]
                    tensors.require_plain(name, tensor)
                    tensors.require_type(name, tensor, entry._code)
                    if tuple(tensor.shape) != entry.shape:
                        raise Mismatch("has another shape", code="mismatch", tensor=name)
                    elements = tensors.gathered(tensor, positions)
                entry._change(elements)
            index = torch.from_numpy(positions.astype(np.int64))
            yield WeightPatch(
                entry.name,
                entry.shape,
                index if entry.elements >= 1 << 31 else index.to(torch.int32),
                tensors.from_bytes(elements, entry._code, (entry.changes,)),
            )
    finally:
        if is_own:
            found.close()


def load(folder: Path, *diffs: Path, model_class: Any = None, **options: Any) -> Any:
    """A model of Transformers, with diffs applied to its checkpoint.

    The diffs are applied by the program to a copy of the folder that lives until the model is
    loaded; names, shards and tied weights are those of the checkpoint.

    Args:
        folder: as `from_pretrained` takes it: the configuration and safetensors weights, in one
            file or in shards.
        diffs: files.
        model_class: whose `from_pretrained` loads it; by default the one that the configuration
            names, else `AutoModel`.
        options: of `from_pretrained`.

    Raises:
        WrongBase, Damaged, NotACheckpoint, …: as of `diffkit.apply`.
    """
    import transformers

    from .._program import apply

    with tempfile.TemporaryDirectory(prefix="diffkit-", dir=_beside(folder)) as scratch:
        made = FilePath(scratch) / "model"
        apply(folder, *diffs, output=made)
        if model_class is None:
            # What the diffs made of the configuration: with a head it names another class.
            config = transformers.AutoConfig.from_pretrained(made)
            named = (config.architectures or ["AutoModel"])[0]
            model_class = getattr(transformers, named, transformers.AutoModel)
        return model_class.from_pretrained(made, **options)


def _beside(folder: Path) -> str | None:
    """A place on the file system of the folder, where clones of files are free."""
    parent = os.path.dirname(os.path.abspath(folder))
    return parent if os.access(parent, os.W_OK) else None
