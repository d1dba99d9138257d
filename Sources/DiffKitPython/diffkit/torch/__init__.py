"""Diffs on PyTorch's models: attached to parameters where they are, and detached bit for bit.

    >>> attached = diffkit.torch.attach(model, "task.diff")
    >>> attached.detach()
    >>> a, b = (diffkit.torch.prepare(model, path) for path in ("a.diff", "b.diff"))
    >>> attached = diffkit.torch.attach(model, a)        # decoded and verified: milliseconds
    >>> attached = attached.switch(b)

A model belongs to one thread while a diff is attached or detached: who runs it must not be
changed under its feet.
"""

from ._attach import Attached, attach, attached
from ._files import WeightPatch, create, load, patches
from ._prepare import Prepared, prepare
from ._pruning import DiffPruning
from ._tensors import fingerprint

__all__ = [
    "attach", "attached", "prepare", "Attached", "Prepared", "create", "load", "patches",
    "DiffPruning", "WeightPatch", "fingerprint",
]  # fmt: skip
