"""What goes wrong, by class.

Every exception is a `DiffkitError`. Its `code` is the stable class of `spec/FORMAT.md`, section 10,
and of the program's `--json` output, such as ``"wrong-base"`` or ``"checksum"``.
"""

from __future__ import annotations

from typing import Any, Mapping


class DiffkitError(Exception):
    """Any trouble of diffkit.

    Attributes:
        code: the class, such as ``"wrong-base"``.
        message: what is wrong, without the location.
        path: the file concerned, if any.
        tensor: the tensor concerned, if any.
        offset: the byte of the file concerned, if any.
        remedy: the way out, as the program names it, such as ``"overwrite"``.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "usage",
        path: str | None = None,
        tensor: str | None = None,
        offset: int | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path
        self.tensor = tensor
        self.offset = offset
        self.remedy = remedy

    def __str__(self) -> str:
        location = [
            self.path,
            self.tensor and f"tensor '{self.tensor}'",
            None if self.offset is None else f"byte {self.offset}",
        ]
        # What the library says has the location in it.
        parts = [part for part in location if part and part not in self.message]
        if parts and self.tensor and self.offset is None and self.message.startswith(_VERBS):
            return f"{': '.join(parts)} {self.message}"
        return ": ".join([*parts, self.message])


# The beginnings of messages whose subject is the tensor, as in the library's DiffError.
_VERBS = (
    "is ", "has ", "was ", "does ", "becomes ", "cannot ", "changes ", "differs ", "exists ",
    "keeps ", "matches ", "occurs ", "states ",
)


class WrongBase(DiffkitError):
    """A tensor is not the one that the diff was made for; nothing was changed."""


class Mismatch(WrongBase):
    """A tensor is missing, or has another type or shape than the diff expects."""


class PartlyApplied(WrongBase):
    """Some tensors are at the base, others at the result, of which `tensor` is the first; nothing
    was changed."""


class AlreadyApplied(DiffkitError):
    """Every tensor is at the result already (of `revert`: at the base); nothing was changed.
    `tensor` is the first."""


class ChangedInBetween(WrongBase):
    """What was attached has been changed by others where the diff changes it; nothing was done."""


class Damaged(DiffkitError):
    """The diff is damaged, or no diff."""


class NotADiff(Damaged):
    """The file does not begin as a diff does."""


class Unsupported(DiffkitError):
    """The operation is not defined for these inputs."""


class UsageError(DiffkitError, ValueError):
    """The arguments contradict each other or are out of range."""


class Stopped(DiffkitError):
    """The work was stopped on request; there is no output."""


class FileError(DiffkitError, OSError):
    """A file cannot be read or written, or changed while it was read."""


class FileMissing(FileError, FileNotFoundError):
    """There is no such file or folder."""


class FileDenied(FileError, PermissionError):
    """The process may not do this to the file or folder."""


class OutputExists(FileError, FileExistsError):
    """The output exists already; `overwrite=True` replaces it."""


class NotACheckpoint(DiffkitError):
    """The file is no checkpoint that diffkit reads or writes."""


_CLASSES: dict[str, type[DiffkitError]] = {
    "not-a-diff": NotADiff,
    "text-mode": NotADiff,
    "truncated": Damaged,
    "checksum": Damaged,
    "malformed": Damaged,
    "limit": Damaged,
    "io": FileError,
    "not-found": FileMissing,
    "denied": FileDenied,
    "no-space": FileError,
    "exists": OutputExists,
    "locked": FileError,
    "changed": FileError,
    "interrupted": FileError,
    "not-a-checkpoint": NotACheckpoint,
    "unsupported-checkpoint": NotACheckpoint,
    "mismatch": Mismatch,
    "wrong-base": WrongBase,
    "partly-applied": PartlyApplied,
    "unsupported": Unsupported,
    "unsupported-version": Unsupported,
    "unsupported-feature": Unsupported,
    "stopped": Stopped,
    "usage": UsageError,
}


def error(code: str, message: str, **location: Any) -> DiffkitError:
    """The exception of a code."""
    return _CLASSES.get(code, DiffkitError)(message, code=code, **location)


def error_of(answer: Mapping[str, Any]) -> DiffkitError:
    """The exception that the error object of ``--json`` describes."""
    location = {name: answer.get(name) for name in ("path", "tensor", "offset", "remedy")}
    return error(str(answer.get("code", "usage")), str(answer.get("message", "")), **location)
