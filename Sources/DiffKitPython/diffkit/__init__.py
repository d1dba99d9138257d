"""Sparse diffs of model checkpoints: make, apply, revert, compare, verify.

Arrays in memory are the library's work, files the program's; both are in the package:

    >>> import diffkit
    >>> diffkit.create(base, tuned, "task.diff")                  # two dicts of arrays
    >>> with diffkit.open("task.diff") as diff:
    ...     undo = diff.apply(weights)                            # a dict of arrays, verified
    >>> diffkit.apply("base.safetensors", "task.diff", output="tuned.safetensors")

`diffkit.torch` changes the parameters of a PyTorch model where they are, and back, bit for bit.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Mapping

from . import errors
from ._create import Array, Created, checked_operation, checked_values, writer_of
from ._diff import Diff, DiffSource, Entry, Undo, fingerprint, open
from ._typing import Path, Progress
from .errors import (
    AlreadyApplied,
    ChangedInBetween,
    Damaged,
    DiffkitError,
    FileDenied,
    FileError,
    FileMissing,
    Mismatch,
    NotACheckpoint,
    NotADiff,
    OutputExists,
    PartlyApplied,
    Stopped,
    Unsupported,
    UsageError,
    WrongBase,
)

if TYPE_CHECKING:
    from ._program import (
        apply,
        compare,
        compose,
        convert,
        CreatedFile,
        inspect,
        merge,
        prune,
        revert,
        stats,
        verify,
    )

_PROGRAM = (
    "apply", "revert", "verify", "inspect", "stats", "compare", "merge", "compose", "prune",
    "convert", "CreatedFile",
)  # fmt: skip

__all__ = [
    "open", "create", "dumps", "fingerprint", "version", "Diff", "DiffSource", "Entry", "Undo",
    "Created", "apply", "revert", "verify", "inspect", "stats", "compare", "merge", "compose",
    "prune", "convert", "CreatedFile", "errors", "DiffkitError", "WrongBase", "Mismatch",
    "PartlyApplied", "AlreadyApplied", "ChangedInBetween", "Damaged", "NotADiff", "Unsupported",
    "UsageError", "Stopped", "FileError", "FileMissing", "FileDenied", "OutputExists",
    "NotACheckpoint",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    # What runs programs is imported when it is first asked for: it takes longer than all the rest.
    if name in _PROGRAM:
        from . import _program

        return getattr(_program, name)
    if name == "__version__":
        return version()
    raise AttributeError(f"module 'diffkit' has no attribute {name!r}")


def version() -> str:
    """The version of the library."""
    from ._library import library

    text: bytes = library().diffkit_version()
    return text.decode()


def create(
    base: Mapping[str, Array] | Path,
    tuned: Mapping[str, Array] | Path,
    path: Path,
    *,
    operation: str | None = None,
    density: float | None = None,
    threshold: float | None = None,
    values: str = "f16",
    skip_nonfloat: bool = False,
    fast: bool = False,
    metadata: Mapping[str, str] | None = None,
    overwrite: bool = False,
    types: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Created | CreatedFile:
    """Writes the diff that takes a base to a tuned model: two dicts of arrays, or two checkpoints.

    Args:
        base, tuned: arrays by name, of any shapes and types that a diff holds; or both paths of
            HDF5 or safetensors files (or folders), which the program reads.
        path: the diff; it appears when it is complete.
        operation: ``"xor"`` (exact, both ways), ``"replace"`` (exact, may be repeated) or
            ``"add"`` (approximate, what `merge` combines); by default ``"xor"``, or ``"add"`` with
            a density or a threshold.
        density: keep the largest changes, this share of the elements of all float tensors.
        threshold: keep changes of at least this magnitude.
        values: of ``"add"`` ``"f16"``, ``"bf16"`` or ``"f32"``.
        skip_nonfloat: leave changed tensors that are no floats out of ``"add"``.
        fast: prefer encodings that decode fast to small ones.
        metadata: texts to store.
        overwrite: whether an existing file is replaced.
        types: element types by name where arrays do not say it: ``{"w": "bf16"}`` of integers. Of
            dicts: files say it.
        progress: called with the phase and how many of how many bytes are done, on the thread that
            called `create`; what it raises ends the work.

    Raises:
        OutputExists: if there is a file and `overwrite` is False.
        Unsupported: if a tensor's type differs, or an additive diff cannot hold a change.
        KeyboardInterrupt: leaves no file behind; where one is replaced, the old or the new one.
    """
    if isinstance(base, (str, os.PathLike)) or isinstance(tuned, (str, os.PathLike)):
        if not isinstance(base, (str, os.PathLike)) or not isinstance(tuned, (str, os.PathLike)):
            raise UsageError("base and tuned are two dicts or two paths")
        if types:
            raise UsageError("'types' is for dicts of arrays")
        operation = checked_operation(operation, density, threshold)
        checked_values(values)
        from . import _program

        return _program.create(
            base, tuned, path, overwrite=overwrite, metadata=metadata or {},
            add=operation == "add", replace=operation == "replace", density=density, threshold=threshold,
            skip_nonfloat=skip_nonfloat and operation == "add", profile="speed" if fast else None,
            values=values if operation == "add" else None, progress=progress,
        )  # fmt: skip
    with writer_of(
        base, tuned, types, operation=operation, density=density, threshold=threshold,
        values=values, skip_nonfloat=skip_nonfloat, fast=fast, metadata=metadata,
        progress=progress,
    ) as writer:  # fmt: skip
        return writer.write(path, overwrite)


def dumps(
    base: Mapping[str, Array],
    tuned: Mapping[str, Array],
    *,
    types: Mapping[str, str] | None = None,
    **options: Any,
) -> bytes:
    """The diff that takes one dict of arrays to another, as bytes for `open`.

    Args:
        types, options: as of `create`.
    """
    with writer_of(base, tuned, types, **options) as writer:
        return writer.bytes()
