"""Diffs decoded and verified for a model: where they change what, before and after."""

from __future__ import annotations

import threading
import weakref
from typing import Any, Union

import numpy as np
import torch

from .. import _dtypes
from .._diff import Diff, DiffSource, Entry
from .._exchange import Exchange
from .._memory import meeting
from ..errors import (
    AlreadyApplied,
    ChangedInBetween,
    Mismatch,
    PartlyApplied,
    Unsupported,
    UsageError,
    WrongBase,
)
from . import _tensors as tensors
from ._tensors import Array, Names

#: A diff, or what `diffkit.open` opens.
AnyDiff = Union[Diff, DiffSource]


class Patch:
    """What a diff changes in a tensor of a model that stays where it is."""

    def __init__(
        self, names: list[str], all_names: list[str], tensor: torch.Tensor, positions: Array,
        width: int,
    ) -> None:  # fmt: skip
        #: Those by which the diff has the tensor, and all that the model has for it.
        self.names = names
        self.all_names = all_names
        self.tensor = tensor
        self.width = width
        #: Row-major.
        self.positions = positions
        self.before: Array = np.empty(0, np.uint8)
        self.after: Array = np.empty(0, np.uint8)
        self.place: tuple[Any, ...] = ()
        # On another device: indices into the storage, and the elements.
        self._index = torch.empty(0)
        self._sides: dict[bool, torch.Tensor] = {}

    def bind(self, exchange: Exchange) -> None:
        """Prepares the exchange where the tensor is now."""
        self.place = tensors.place(self.tensor)
        at = tensors.offsets(self.tensor, self.positions)
        before, after = self.before, self.after
        if not self.tensor.is_contiguous():
            order = np.argsort(at, kind="stable")
            at = at[order]
            before, after = (
                side.reshape(-1, self.width)[order].reshape(-1) for side in (before, after)
            )
        if self.tensor.device.type == "cpu":
            exchange.add(self.width, at.view(np.uint64), before, after)
            return
        device = self.tensor.device
        self._index = torch.from_numpy(at).to(device)
        self._sides = {
            False: tensors.bits(before, self.width, device),
            True: tensors.bits(after, self.width, device),
        }

    def addresses(self) -> Array:
        """Where the elements are in memory, in the order of the positions."""
        at = tensors.offsets(self.tensor, self.positions) * self.width
        storage: Array = at + tensors.storage(self.tensor).data_ptr()
        return storage

    def differs(self, after: bool) -> torch.Tensor:
        """Whether other elements stand there than those of a side; on the tensor's device."""
        return (tensors.storage(self.tensor)[self._index] != self._sides[after]).any()

    def store(self, after: bool) -> None:
        """Brings the elements of a side in, on another device than the CPU."""
        with torch.inference_mode(self.tensor.is_inference()), torch.no_grad():
            tensors.storage(self.tensor).index_copy_(0, self._index, self._sides[after])


class Replacement:
    """A tensor of a model that a diff gives other data: a head, or another shape."""

    def __init__(
        self, name: str, all_tensors: dict[str, torch.Tensor], data: torch.Tensor, base: str | None
    ) -> None:
        self.names = [name]
        #: All names that the model has for it, and their tensors: one, or several of one memory.
        self.all_tensors = all_tensors
        self.tensors = list({id(tensor): tensor for tensor in all_tensors.values()}.values())
        self.data = data.to(self.tensors[0].device)
        #: The fingerprints of the data, and of what it was made of, for another shape.
        self._made = tensors.fingerprint(data)
        self._base = base
        self.kept: list[torch.Tensor] = []
        self._versions: list[int] = []

    def check(self, state: State) -> None:
        """Refuses a tensor that is not as it was when the diff was prepared; follows it to another
        device."""
        tensor = self.tensors[0]
        if tensor.dtype != self.data.dtype or (
            self._base is not None and state.fingerprint(tensor) != self._base
        ):
            raise _changed(self.names[0])
        self.data = self.data.to(tensor.device)

    def put(self) -> None:
        """Gives the tensor the data of the diff."""
        self.kept = [tensor.data for tensor in self.tensors]
        for tensor in self.tensors:
            tensor.data = self.data
        self._versions = [tensors.version(tensor) for tensor in self.tensors]

    def is_changed(self) -> bool:
        """Whether it is another than `put` left there. Its bits are looked at if PyTorch has counted
        a change, as a diff counts that was attached upon this one, or it was moved."""
        return any(
            (tensor.data_ptr() != self.data.data_ptr() or tensors.version(tensor) != version)
            and tensors.fingerprint(tensor) != self._made
            for tensor, version in zip(self.tensors, self._versions)
        )

    def take_back(self) -> None:
        """Gives the tensor its own data again, where it is now."""
        for tensor, data in zip(self.tensors, self.kept):
            tensor.data = data.to(tensor.device)
        self.kept = []


class State:
    """What is known of a model: fingerprints, what is attached, and a lock around both."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        #: By the place of a tensor what it was, for others may come to be there, its version, and
        #: its fingerprint.
        self.fingerprints: dict[tuple[Any, ...], tuple[weakref.ref[Any], int, str]] = {}
        self.stack: list[Any] = []

    def fingerprint(self, tensor: torch.Tensor) -> str:
        """The fingerprint of a tensor as it is; remembered as long as its version is the same."""
        place, version = tensors.place(tensor), tensors.version(tensor)
        known = self.fingerprints.get(place)
        if (
            known is None
            or known[0]() is not tensor
            or known[1] != version
            or tensor.is_inference()
        ):
            known = (weakref.ref(tensor), version, tensors.fingerprint(tensor))
            self.fingerprints[place] = known
        return known[2]


_states: weakref.WeakKeyDictionary[torch.nn.Module, State] = weakref.WeakKeyDictionary()
_states_lock = threading.Lock()


def state_of(model: torch.nn.Module) -> State:
    """The state of a model."""
    with _states_lock:
        return _states.setdefault(model, State())


class Prepared:
    """A diff decoded and verified for a model as it was then; see `prepare`.

    Attributes:
        changes: elements that change.
        metadata: of the diff.
        identity: of the diff.
    """

    def __init__(
        self, model: torch.nn.Module, diff: Diff, names: Names, verify: bool, allow_other_base: bool
    ) -> None:
        # What is remembered of a model refers to its diffs; a reference back would keep it forever.
        self._model = weakref.ref(model)
        self.metadata = dict(diff.metadata)
        self.identity = diff.identity
        self.patches: list[Patch] = []
        self.replacements: list[Replacement] = []
        self._exchange = Exchange()
        self._bound: list[Patch] = []
        self._elsewhere: list[Patch] = []
        state = state_of(model)
        with state.lock:
            self._decode(diff, names, state if verify else None, allow_other_base)
            self._check_overlap()
            self._bind()

    @property
    def model(self) -> torch.nn.Module:
        """The model.

        Raises:
            UsageError: if there is none any more.
        """
        model = self._model()
        if model is None:
            raise UsageError("the model that the diff was prepared for is gone")
        return model

    @property
    def changes(self) -> int:
        """Elements that change where they are."""
        return sum(patch.positions.size for patch in self.patches)

    def __repr__(self) -> str:
        return (
            f"<diffkit.torch.Prepared {self.identity}: {self.changes} changes in "
            f"{len(self.patches)} tensors, {len(self.replacements)} replaced>"
        )

    # MARK: Preparation

    def _decode(
        self, diff: Diff, names: Names, state: State | None, allow_other_base: bool
    ) -> None:
        found = tensors.named(self.model)
        matched = tensors.matched(diff, found, names)
        states: set[str] = set()
        done: list[str] = []
        wrong: str | None = None
        entries: list[Entry] = diff.values()
        for entry in entries:
            name = matched[entry.name]
            if name is None:
                if entry.operation != "delete":
                    raise Mismatch(
                        "the model has no such tensor", code="mismatch", tensor=entry.name
                    )
                continue
            tensor = found[name]
            tensors.require_plain(name, tensor)
            tensors.require_type(name, tensor, entry._code)
            if entry.operation != "insert" and tuple(tensor.shape) not in (
                (entry.shape, entry.new_shape)
            ):
                raise Mismatch(
                    f"has the shape {tuple(tensor.shape)}, the diff is for {entry.shape}",
                    code="mismatch", tensor=name,
                )  # fmt: skip
            if state is None or entry.operation == "insert":
                continue
            print_ = state.fingerprint(tensor)
            kind = {entry.result: "result", entry.base: "base"}.get(print_, "other")
            if kind == "other" and allow_other_base and entry.operation == "add":
                continue
            states.add(kind)
            if kind == "result":
                done.append(name)
            if kind == "other" and wrong is None:
                wrong = name
        if wrong is not None:
            raise WrongBase(
                "is not the one that the diff was made for", code="wrong-base", tensor=wrong
            )
        if done and states == {"result"}:
            raise AlreadyApplied(
                "is at the result: the diff is already applied", code="already-applied",
                tensor=done[0],
            )  # fmt: skip
        if done:
            raise PartlyApplied(
                "is at the result, others are at the base", code="partly-applied", tensor=done[0]
            )
        for entry in entries:
            name = matched[entry.name]
            if name is not None and entry.operation != "delete":
                self._take(entry, name, found)

    def _take(self, entry: Entry, name: str, found: dict[str, torch.Tensor]) -> None:
        """Takes what an entry does to a tensor."""
        tensor = found[name]
        if entry.operation in ("insert", "reshape"):
            self._replace(entry, name, tensor, found)
            return
        positions = entry.positions
        all_names = list(tensors.tied(tensor, found))
        patch = Patch([name], all_names, tensor, positions, entry._width)
        patch.before = tensors.gathered(tensor, positions)
        patch.after = patch.before.copy()
        entry._change(patch.after)
        place = tensors.place(tensor)
        for other in self.patches:
            if tensors.place(other.tensor) != place:
                continue
            if np.array_equal(other.positions, positions) and np.array_equal(
                other.after, patch.after
            ):
                other.names.append(name)
                return
            raise _tied(name, other.names[0])
        if positions.size:
            self.patches.append(patch)

    def _replace(
        self, entry: Entry, name: str, tensor: torch.Tensor, found: dict[str, torch.Tensor]
    ) -> None:
        if entry.operation == "insert":
            array = np.empty(entry.elements * entry._width, np.uint8)
            entry._call("apply", array.ctypes.data, array.nbytes, 0)
            shape = entry.shape
        else:
            old = tensor.detach().cpu().contiguous()
            assert entry.new_shape is not None
            shape = entry.new_shape
            array = np.empty(int(np.prod(shape, dtype=np.int64)) * entry._width, np.uint8)
            entry._call(
                "reshape", old.data_ptr(), old.numel() * entry._width, array.ctypes.data,
                array.nbytes, 0 if entry.base else 1,
            )  # fmt: skip
        data = tensors.from_bytes(array, entry._code, shape)
        tied = tensors.tied(tensor, found)
        for other in self.replacements:
            if not tied.keys().isdisjoint(other.all_tensors):
                if not tensors.same_bits(other.data.cpu(), data):
                    raise _tied(name, other.names[0])
                other.names.append(name)
                return
        base = None if entry.operation == "insert" else state_of(self.model).fingerprint(tensor)
        self.replacements.append(Replacement(name, tied, data, base))

    def _check_overlap(self) -> None:
        """Refuses elements that two entries change, through views of one memory."""
        replaced = {id(t): entry.names[0] for entry in self.replacements for t in entry.tensors}
        by_device: dict[torch.device, list[Patch]] = {}
        for patch in self.patches:
            if id(patch.tensor) in replaced:
                raise _tied(patch.names[0], replaced[id(patch.tensor)])
            by_device.setdefault(patch.tensor.device, []).append(patch)
        for patches in by_device.values():
            for group in meeting([tensors.extent_of(patch.tensor) for patch in patches]):
                shared = [patches[index] for index in group]
                starts = np.concatenate([patch.addresses() for patch in shared])
                widths = np.repeat([p.width for p in shared], [p.positions.size for p in shared])
                order = np.argsort(starts, kind="stable")
                starts, ends = starts[order], (starts + widths)[order]
                if (starts[1:] < ends[:-1]).any():
                    raise Unsupported(
                        f"shares elements with '{shared[0].names[0]}', which the diff changes too",
                        code="unsupported", tensor=shared[1].names[0],
                    )  # fmt: skip

    def _bind(self) -> None:
        exchange = Exchange()
        bound = [patch for patch in self.patches if patch.tensor.device.type == "cpu"]
        for patch in self.patches:
            patch.bind(exchange)
        memory = [tensors.storage(patch.tensor) for patch in bound]
        exchange.bind(
            [flat.data_ptr() for flat in memory],
            [flat.numel() * patch.width for flat, patch in zip(memory, bound)],
        )
        self._exchange, self._bound = exchange, bound
        self._elsewhere = [patch for patch in self.patches if patch.tensor.device.type != "cpu"]
        # What every exchange looks at, at hand: a few microseconds for each tensor would be more
        # than the exchange itself takes.
        self._tensors = [patch.tensor for patch in self.patches]
        lookup = tensors.Lookup(self.model)
        self._named = [(n, lookup.tensor(n)) for patch in self.patches for n in patch.all_names]
        self._counted = [p.tensor for p in self._bound if not p.tensor.is_inference()]
        self._places = [patch.place for patch in self.patches]

    # MARK: Exchange

    def move(self, after: bool) -> None:
        """Brings the elements of a side into the model; all of them or none.

        Raises:
            ChangedInBetween: if others stand there than those of the other side.
        """
        if self._elsewhere:
            self._compare(not after)
        refused = self._exchange.run(backwards=not after)
        if refused is not None:
            raise _changed(self._bound[refused].names[0])
        for patch in self._elsewhere:
            patch.store(after)
        tensors.count_change(self._counted)

    def _compare(self, after: bool) -> None:
        """Refuses other elements than those of a side, on other devices than the CPU."""
        by_device: dict[torch.device, list[Patch]] = {}
        for patch in self._elsewhere:
            by_device.setdefault(patch.tensor.device, []).append(patch)
        for patches in by_device.values():
            # One wait for each device, not for each tensor.
            differing = torch.stack([patch.differs(after) for patch in patches]).tolist()
            for patch, differs in zip(patches, differing):
                if differs:
                    raise _changed(patch.names[0])

    def require(self) -> None:
        """Makes sure that the tensors are those that the model has now.

        Where it has others by now (``load_state_dict(assign=True)``, a new `Parameter`, buffers on
        another device), those are taken; `move` refuses them if their elements are not as they
        should be.

        Raises:
            ChangedInBetween: if it has no such tensor, one of another type or shape, or several for
                what was one; or another one in place of one that the diff replaces.
        """
        lookup = tensors.Lookup(self.model)
        for replacement in self.replacements:
            for name, tensor in replacement.all_tensors.items():
                if lookup.tensor(name) is not tensor:
                    raise ChangedInBetween(
                        "is another tensor than it was", code="wrong-base", tensor=name
                    )
        if all(lookup.tensor(name) is tensor for name, tensor in self._named) and (
            list(map(tensors.place, self._tensors)) == self._places
        ):
            return
        now = [_current(patch, lookup) for patch in self.patches]
        before = [patch.tensor for patch in self.patches]
        try:
            for patch, tensor in zip(self.patches, now):
                _require_like(patch, tensor)
                patch.tensor = tensor
            self._check_overlap()
            self._bind()
        except BaseException:
            for patch, tensor in zip(self.patches, before):
                patch.tensor = tensor
            raise


def _current(patch: Patch, lookup: tensors.Lookup) -> torch.Tensor:
    """The tensor that a model has now under all names of a patch."""
    now = [lookup.tensor(name) for name in patch.all_names]
    if all(tensor is patch.tensor for tensor in now):
        return patch.tensor
    first = now[0]
    for name, tensor in zip(patch.all_names, now):
        if first is None or tensor is None:
            raise ChangedInBetween("is gone", code="wrong-base", tensor=name)
        tensors.require_plain(name, tensor)
        if tensors.place(tensor) != tensors.place(first):
            raise ChangedInBetween(
                f"is no longer one tensor with '{patch.all_names[0]}'", code="wrong-base",
                tensor=name,
            )  # fmt: skip
    assert first is not None
    return first


def _require_like(patch: Patch, tensor: torch.Tensor) -> None:
    """Refuses a tensor of another type or shape than the patch is for."""
    _, _, dtype, shape, _ = patch.place
    if tensor.dtype != dtype or tuple(tensor.shape) != shape:
        now = _dtypes.NAMES[tensors.CODES[tensor.dtype]]
        raise ChangedInBetween(
            f"is now {now} {tuple(tensor.shape)}, was {_dtypes.NAMES[tensors.CODES[dtype]]} {shape}",
            code="wrong-base", tensor=patch.names[0],
        )  # fmt: skip


def _tied(name: str, other: str) -> Unsupported:
    return Unsupported(
        f"is tied to '{other}', which the diff changes otherwise", code="unsupported", tensor=name
    )


def _changed(name: str) -> ChangedInBetween:
    return ChangedInBetween(
        "has been changed in between, where the diff changes it", code="wrong-base", tensor=name
    )


def opened(diff: AnyDiff) -> tuple[Diff, bool]:
    """A diff, and whether it was opened for this."""
    return (diff, False) if isinstance(diff, Diff) else (Diff(diff), True)


def prepare(
    model: torch.nn.Module,
    diff: AnyDiff,
    *,
    names: Names = None,
    verify: bool = True,
    allow_other_base: bool = False,
) -> Prepared:
    """Decodes and verifies a diff for a model as it is now, and changes nothing.

    This is what takes time: O(changes), and hashing the tensors that change, from whatever device,
    once a model. Prepare ahead, before the first `attach`, what is to be switched between.

    Args:
        model: on any devices. Its parameters and buffers are matched with the diff's names, in
            which ``.`` and ``/`` are one separator.
        diff: what `diffkit.open` takes, or an open diff.
        names: what the tensors of the diff are called in the model: a dict, or a function of the
            name, such as ``lambda name: "model." + name``.
        verify: whether to hash tensors that change. A hash is remembered until PyTorch counts a
            change of the tensor, which it does not for what goes through ``.data``.
        allow_other_base: whether additions may go upon another base than theirs.

    Raises:
        WrongBase, Mismatch, AlreadyApplied, PartlyApplied: by the tensor's name in the model.
        Unsupported: for tensors without plain elements (meta, quantized, sharded), and tied ones
            that the diff changes differently.
        Damaged: if the diff is.
    """
    opened_diff, is_own = opened(diff)
    try:
        return Prepared(model, opened_diff, names, verify, allow_other_base)
    finally:
        if is_own:
            opened_diff.close()
