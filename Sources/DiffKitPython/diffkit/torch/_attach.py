"""Diffs attached to models, and taken off again bit for bit."""

from __future__ import annotations

import weakref
from typing import Any, Union

import numpy as np
import torch

from .._interruption import Interruption
from .._memory import meeting
from ..errors import ChangedInBetween, Unsupported, UsageError
from . import _tensors as tensors
from ._prepare import AnyDiff, Prepared, State, prepare, state_of


class Attached:
    """A diff that is attached to a model: a context manager that detaches it.

    Attributes:
        prepared: the diff, to be attached again without being decoded or verified.
    """

    def __init__(self, prepared: Prepared, options: dict[str, Any]) -> None:
        self.prepared = prepared
        #: What `attach` was called with, for `switch`.
        self._options = options
        self._fingerprints: dict[tuple[Any, ...], tuple[int, str]] = {}
        self._attach()

    @property
    def is_attached(self) -> bool:
        """Whether it is attached."""
        return self in state_of(self.prepared.model).stack

    def __enter__(self) -> Attached:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_attached:
            self.detach()

    def __repr__(self) -> str:
        return f"<diffkit.torch.Attached {self.prepared!r}, {'on' if self.is_attached else 'off'}>"

    def detach(self) -> None:
        """Makes the model what it was without the diff: every bit. O(changes).

        Of several diffs on a model the last is detached first, or any whose elements no later one
        changes. Memory, devices and parameters stay; a replaced parameter (`insert`, `reshape`)
        has its own data again.

        Raises:
            ChangedInBetween: if an element that the diff changed is not as it left it, for example
                after an optimizer's step, or what was one tensor is several; nothing is changed
                then. Parameters that came in place of others (``load_state_dict(assign=True)``)
                are restored if those elements are as the diff left them, else refused.
            Unsupported: if a later diff changes the same elements.
            UsageError: if it is not attached.
        """
        state = state_of(self.prepared.model)
        with state.lock:
            if self not in state.stack:
                raise UsageError("the diff is not attached")
            for other in state.stack[state.stack.index(self) + 1 :]:
                _require_apart(self.prepared, other.prepared)
            self.prepared.require()
            for replacement in self.prepared.replacements:
                if replacement.is_changed():
                    raise ChangedInBetween(
                        "has been changed in between", code="wrong-base",
                        tensor=replacement.names[0],
                    )  # fmt: skip
            with Interruption():
                self._take_off(state)

    def switch(self, diff: Union[AnyDiff, Prepared], **options: Any) -> Attached:
        """Detaches this diff and attaches another one: O(changes of both) if it is prepared.

        A diff that is not prepared is prepared in between, when the model is as it was without
        this one; if that fails, this one is attached again.

        Args:
            diff: `Prepared` before this one was attached, or what `attach` takes.
            options: as of `attach`; those that are not given are those of the first one.

        Returns:
            The other one, attached.
        """
        options = {**self._options, **options}
        model = self.prepared.model
        try:
            self.detach()
            if isinstance(diff, Prepared):
                _require_model(diff, model)
                return Attached(diff, options)
            return attach(model, diff, **options)
        except BaseException:
            if not self.is_attached:
                self._attach()
            raise

    def _attach(self) -> None:
        """Attaches it, or leaves the model as it was, also where Ctrl-C comes in between."""
        state = state_of(self.prepared.model)
        if any(other.prepared is self.prepared for other in state.stack):
            raise UsageError("the diff is attached already")
        try:
            with state.lock, Interruption():
                self._put_on(state)
        except BaseException:
            with state.lock, Interruption():
                if self in state.stack:
                    self._take_off(state)
            raise

    def _put_on(self, state: State) -> None:
        prepared = self.prepared
        prepared.require()
        for replacement in prepared.replacements:
            replacement.check(state)
        known = {patch.place: state.fingerprints.get(patch.place) for patch in prepared.patches}
        prepared.move(after=True)
        for replacement in prepared.replacements:
            replacement.put()
        # What is remembered of the tensors holds again when the diff is off, if nobody else
        # has changed them by then.
        self._fingerprints = {
            patch.place: (version, was[2])
            for patch in prepared.patches
            if (was := known.get(patch.place)) is not None
            and was[0]() is patch.tensor
            and was[1] + 1 == (version := tensors.version(patch.tensor))
        }
        state.stack.append(self)

    def _take_off(self, state: State) -> None:
        self.prepared.move(after=False)
        for replacement in self.prepared.replacements:
            replacement.take_back()
        state.stack.remove(self)
        self._restore_fingerprints(state)

    def _restore_fingerprints(self, state: State) -> None:
        for patch in self.prepared.patches:
            known = self._fingerprints.get(patch.place)
            if known is not None and known[0] + 1 == tensors.version(patch.tensor):
                state.fingerprints[patch.place] = (
                    weakref.ref(patch.tensor), known[0] + 1, known[1]
                )  # fmt: skip


def _require_apart(one: Prepared, later: Prepared) -> None:
    """Refuses to take off a diff whose elements a later one changes."""
    # By names, for the model may have other tensors under them by now, and by memory.
    for patch in one.patches:
        for other in later.patches:
            if not set(patch.all_names).isdisjoint(other.all_names):
                shared = np.intersect1d(patch.positions, other.positions, assume_unique=True)
                if shared.size:
                    _refuse(other.names[0])
            elif patch.tensor.device == other.tensor.device and meeting(
                [tensors.extent_of(patch.tensor), tensors.extent_of(other.tensor)]
            ):
                _refuse(other.names[0])
        for replacement in later.replacements:
            if not replacement.all_tensors.keys().isdisjoint(patch.all_names):
                _refuse(replacement.names[0])
    for replacement in one.replacements:
        names = [name for patch in later.patches for name in patch.all_names]
        names += [name for other in later.replacements for name in other.all_tensors]
        if not replacement.all_tensors.keys().isdisjoint(names):
            _refuse(replacement.names[0])


def _refuse(name: str) -> None:
    raise Unsupported(
        "is changed by a diff that was attached later; detach that first", code="unsupported",
        tensor=name,
    )  # fmt: skip


def _require_model(prepared: Prepared, model: torch.nn.Module) -> None:
    if prepared.model is not model:
        raise UsageError("the diff was prepared for another model")


def attach(
    model: torch.nn.Module,
    diff: Union[AnyDiff, Prepared],
    *,
    names: tensors.Names = None,
    verify: bool = True,
    allow_other_base: bool = False,
) -> Attached:
    """Makes a model what a diff makes of it, where its tensors are, on any device.

    The elements that change are exchanged, O(changes), on a GPU in the current stream; no tensor
    moves. Attached to a model that
    has others attached, the diff must fit the model as it is then.

    What the diff inserts or reshapes (a head, a longer vocabulary) becomes the data of the model's
    parameter of that name. The parameter stays the same object, but its shape may be another one:
    attributes such as ``out_features`` stay as they are, an optimizer keeps state of the old
    shape, a compiled graph is compiled again, CUDA graphs must be captured again. What the diff
    deletes stays in the model.

    Args:
        model, diff, names, verify, allow_other_base: see `prepare`. A `Prepared` diff is neither
            decoded nor verified again: its elements alone are compared.

    Returns:
        What detaches it; also a context manager.

    Raises:
        WrongBase, Mismatch, AlreadyApplied, Damaged, Unsupported: see `prepare`.
        ChangedInBetween: if the model is not as it was when the diff was prepared: where a diff
            changes elements, those; where it gives a tensor another shape, the whole tensor.

    Example:
        >>> with diffkit.torch.attach(model, "task.diff"):
        ...     model(**batch)
        >>> attached = diffkit.torch.attach(model, "a.diff")
        >>> attached = attached.switch("b.diff")
        >>> attached.detach()                      # the base again, bit for bit
    """
    options = {"names": names, "verify": verify, "allow_other_base": allow_other_base}
    if isinstance(diff, Prepared):
        _require_model(diff, model)
        return Attached(diff, options)
    prepared = prepare(model, diff, names=names, verify=verify, allow_other_base=allow_other_base)
    return Attached(prepared, options)


def attached(model: torch.nn.Module) -> list[Attached]:
    """The diffs that are attached to a model, in order."""
    return list(state_of(model).stack)
