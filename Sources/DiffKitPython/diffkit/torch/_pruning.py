"""Diff pruning (Guo, Rush, Kim 2021) around any PyTorch model."""

from __future__ import annotations

import fnmatch
import math
import re
from typing import Any, Iterable, Sequence

import torch

from .._create import Created, Writer
from .._interruption import Interruption
from .._typing import Path
from ..errors import ChangedInBetween, UsageError
from . import _tensors as tensors
from ._files import state_of_model
from ._gates import AdamStep, DensityController, Gates, Measure, largest


class DiffPruning:
    """Trains a diff of few weights: a finetune in which `density` of the elements change.

    In the first stage, of `gate_steps` steps, every weight has a gate, drawn anew in each step,
    and a penalty leads the gates to the density; then the largest differences are kept, and in the
    second stage, of `fixed_steps`, they alone learn on. The head learns throughout and is stored
    whole. The method, its defaults and its arithmetic are those of ``diffkit train``.

    The model is used as always, forward and backward; `step` takes the place of the optimizer's:

        >>> pruning = DiffPruning(model, head=["classifier.*"], gate_steps=n, fixed_steps=n)
        >>> for batch in batches:                      # 2 n of them
        ...     model(**batch).loss.backward()
        ...     pruning.step()
        >>> pruning.save("task.diff")

    The body learns by Adam and by nothing else: gates and weights take their steps together, at
    rates that the controller needs to lead the gates to the density in time, and what goes to both
    is calculated from the gradient of their product. An optimizer of the caller would see that
    product alone. The head, which has no gates, is free of this: `head_optimizer`.

    `state_dict` and `load_state_dict` take an interrupted training up again.

    Under DistributedDataParallel, wrap the model first, or pass the model inside; every rank makes
    one, with the same arguments. All that is drawn is a function of `seed`, and all that is learned
    a function of the gradients, which are reduced by then: the ranks stay equal, bit for bit.

    Memory: about seven float32 numbers for each gated element in the first stage (base, weight,
    gate, four moments), in the second four for each that is kept beside the base.

    Args:
        model: on any devices. Its parameters are changed where they are, to the values of the
            draw. Parameters with `requires_grad` False stay as they are.
        density: elements that change / elements of the body, which is all but the head.
        gate_steps, fixed_steps: how many steps each stage has.
        head: patterns (``*``, ``?``) of the names of parameters that the base lacks.
        frozen: patterns of parameters that stay as they are.
        grouping: what has a gate more, so that it can close as a whole: each ``"tensor"``, each
            ``"row"`` or ``"column"`` of a matrix, each attention head (``"head:SIZE"``, SIZE wide:
            rows of the projections to queries, keys and values, columns of the one behind them, by
            the names that BERT's family and Llama's use), or ``"none"``.
        penalty: ``"product"`` (the paper's formula) or ``"additive"``.
        slope: what gates learn by: ``"expected"`` or ``"drawn"`` (the paper's).
        price: λ; None: led to the density.
        learning_rate, gate_learning_rate, group_learning_rate, fixed_learning_rate,
            head_learning_rate: of weights behind gates, gates, gates of groups, kept weights, and
            the head. They fall in a straight line in each stage, after `warm_up` of its steps. That
            of kept weights is 0.001 at a density of 0.005 by default (0.003 with the drawn slope),
            and grows as fewer are kept.
        head_optimizer: an optimizer of the head's parameters in place of Adam's; its own schedule
            is its caller's.
        clip: gradients of weights, of gates and of the head are shortened to this norm, each.
        seed: of the draws.

    Raises:
        UsageError: if nothing learns, a density is out of range, or a parameter is no float.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        density: float = 0.005,
        *,
        gate_steps: int,
        fixed_steps: int,
        head: Sequence[str] = (),
        frozen: Sequence[str] = (),
        grouping: str = "tensor",
        penalty: str = "product",
        slope: str = "expected",
        price: float | None = None,
        start: float = 0.2,
        landing: float = 0.8,
        learning_rate: float = 1e-4,
        gate_learning_rate: float = 0.1,
        group_learning_rate: float = 0.01,
        fixed_learning_rate: float | None = None,
        head_learning_rate: float = 5e-4,
        head_optimizer: torch.optim.Optimizer | None = None,
        warm_up: float = 0.0,
        clip: float = 1.0,
        seed: int = 0,
    ) -> None:
        _require("density", density, 0 < density <= 1)
        _require("grouping", grouping, re.fullmatch(_GROUPING, grouping) is not None)
        _require("penalty", penalty, penalty in ("product", "additive"))
        _require("slope", slope, slope in ("expected", "drawn"))
        _require("landing", landing, 0 <= start < landing < 1)
        _require("gate_steps", gate_steps, gate_steps > 0)
        _require("fixed_steps", fixed_steps, fixed_steps >= 0)
        self.model = _unwrapped(model)
        self.density = density
        self.gate_steps, self.fixed_steps = gate_steps, fixed_steps
        self.seed = seed
        self._clip, self._warm_up, self._landing = clip, warm_up, landing
        if fixed_learning_rate is None:  # As `diffkit train` (spec/METHODS.md).
            at_half_percent = 3e-3 if slope == "drawn" else 1e-3
            fixed_learning_rate = at_half_percent * (0.005 / density) ** 0.65
        self._rates = {
            "weight": learning_rate, "gate": gate_learning_rate, "group": group_learning_rate,
            "fixed": fixed_learning_rate, "head": head_learning_rate,
        }  # fmt: skip
        self._facts = {
            "diffkit.train.method": "unstructured" if grouping == "none" else "structured",
            "diffkit.train.grouping": grouping,
            "diffkit.train.density": repr(density),
            "diffkit.train.seed": str(seed),
            "diffkit.train.penalty": penalty,
            "diffkit.train.gate-slope": slope,
            "diffkit.train.steps": f"{gate_steps}+{fixed_steps}",
            "diffkit.train.engine": "pytorch",
        }
        self._body, self._head, positions = self._divided(head, frozen)
        self.elements = sum(p.numel() for name, p in self._named() if not _matches(name, head))
        tables = _tables(self.model)
        self._gates: Gates | None = Gates(
            [(name, p, id(p) in tables) for name, p in self._body.items()],
            positions,
            elements=self.elements,
            grouping=grouping,
            penalty=penalty,
            expected=slope == "expected",
            seed=seed,
        )
        self._base = {name: gated.base for name, gated in zip(self._body, self._gates.tensors)}
        self._buffers = {name: b.detach().clone() for name, b in self.model.named_buffers()}
        self._price = price
        self.controller = (
            None
            if price is not None
            else DensityController(min(1, 1.5 * density), self.elements, gate_steps, start, landing)
        )
        self._moments = {
            name: (torch.zeros_like(p, dtype=torch.float32), torch.zeros_like(p).float())
            for name, p in self._head.items()
        }
        self._head_optimizer = head_optimizer
        self._kept: dict[str, list[torch.Tensor]] = {}
        #: How many steps were taken, of both stages.
        self.steps = 0
        #: What the last step of the first stage found.
        self.measure = Measure()
        self._draw()

    # MARK: Parameters

    def _named(self) -> Iterable[tuple[str, torch.nn.Parameter]]:
        return self.model.named_parameters()

    def _divided(
        self, head: Sequence[str], frozen: Sequence[str]
    ) -> tuple[dict[str, torch.nn.Parameter], dict[str, torch.nn.Parameter], list[int]]:
        """The parameters under gates, those of the head, and the positions of the former."""
        body: dict[str, torch.nn.Parameter] = {}
        heads: dict[str, torch.nn.Parameter] = {}
        positions: list[int] = []
        at = 0
        for name, parameter in self._named():
            tensors.require_plain(name, parameter)
            if _matches(name, head):
                heads[name] = parameter
            elif parameter.requires_grad and not _matches(name, frozen):
                if not parameter.is_floating_point():
                    raise UsageError("is no float", tensor=name)
                body[name] = parameter
                positions.append(at)
            at = (at + parameter.numel() + 15) // 16 * 16
        if not body:
            raise UsageError("no parameter learns but the head")
        if at > 1 << 32:
            raise UsageError(f"{at} elements: more than draws have positions (2^32)")
        for pattern in head:
            if not any(fnmatch.fnmatchcase(name, pattern) for name in heads):
                raise UsageError(f"no parameter of the head is called '{pattern}'")
        return body, heads, positions

    def _put(self, values: Iterable[torch.Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self._body.values(), values):
                parameter.copy_(value)

    def _draw(self) -> None:
        assert self._gates is not None
        self._put(self._gates.values(self.steps))

    # MARK: Steps

    @property
    def price(self) -> float:
        """λ of the next step."""
        return self.controller.price if self.controller is not None else self._price or 0.0

    @property
    def is_fixed(self) -> bool:
        """Whether the first stage is over: the positions are fixed."""
        return self._gates is None

    @property
    def is_done(self) -> bool:
        """Whether all steps were taken."""
        return self.steps >= self.gate_steps + self.fixed_steps

    def step(self) -> None:
        """Takes a step with the gradients that the parameters have, and clears them.

        Gradients of several batches are accumulated by calling `backward` for each before. Ctrl-C
        takes effect at the end of the step, so that the training can be saved and go on.

        Raises:
            UsageError: if all steps were taken.
            ChangedInBetween: if a parameter has been replaced by another one since the beginning,
                so that its training would be in vain; as of `save`.
        """
        if self.is_done:
            raise UsageError("all steps were taken")
        self._require_parameters()
        with Interruption():
            self._step()

    def _require_parameters(self) -> None:
        lookup = tensors.Lookup(self.model)
        for name, parameter in (*self._body.items(), *self._head.items()):
            if lookup.tensor(name) is not parameter:
                raise ChangedInBetween(
                    "is another parameter than it was", code="wrong-base", tensor=name
                )

    def _step(self) -> None:
        with torch.no_grad():
            if self._gates is not None:
                self._step_gates(self._gates)
            else:
                self._step_fixed()
        for parameter in self.model.parameters():
            parameter.grad = None
        self.steps += 1
        if self._gates is not None:
            if self.steps == self.gate_steps:
                self._fix()
            else:
                self._draw()

    def _rate(self, step: int, steps: int) -> float:
        """The share of the highest rate: up in a straight line, then down to zero in one."""
        rising = math.floor(self._warm_up * steps)
        if step < rising:
            return step / max(1, rising)
        return max(0, steps - step) / max(1, steps - rising)

    def _scale(self, squared_norm: float) -> float:
        return min(1.0, self._clip / (math.sqrt(squared_norm) + 1e-6))

    def _gradient(self, parameter: torch.nn.Parameter) -> torch.Tensor:
        grad = parameter.grad
        if grad is None:
            return torch.zeros_like(parameter, dtype=torch.float32)
        return (grad.to_dense() if grad.is_sparse else grad).to(torch.float32)

    def _step_gates(self, gates: Gates) -> None:
        step, number = self.steps, self.steps + 1
        rate = self._rate(step, self.gate_steps)
        gradients = [self._gradient(p) for p in self._body.values()]
        self.measure = found = gates.measure(step, gradients, self.price)
        # Led gates must be able to follow until they have landed.
        gate_rate = rate if self.controller is None else min(1.0, rate / (1 - self._landing))
        scale = self._scale(found.gate_norm)
        gates.update(
            AdamStep(rate * self._rates["weight"], number, self._scale(found.weight_norm)),
            AdamStep(gate_rate * self._rates["gate"], number, scale),
            AdamStep(gate_rate * self._rates["group"], number, scale),
        )
        self._step_head(rate, number)
        if self.controller is not None:
            self.controller.update(step, found)

    def _fix(self) -> None:
        """Keeps the largest differences; everything else goes back to the base."""
        assert self._gates is not None
        differences = dict(zip(self._body, self._gates.differences()))
        masks = largest(differences, math.floor(self.density * self.elements))
        self._gates = None
        with torch.no_grad():
            for name, parameter in self._body.items():
                at = torch.nonzero(masks[name].reshape(-1)).reshape(-1)
                kept = differences[name].reshape(-1)[at]
                base = self._base[name].reshape(-1)[at]
                self._kept[name] = [at, kept, torch.zeros_like(kept), torch.zeros_like(kept), base]
                parameter.copy_(self._base[name])
        for name in self._head:
            for moment in self._moments[name]:
                moment.zero_()
        self._put_kept()

    def _put_kept(self) -> None:
        with torch.no_grad():
            for name, (at, kept, _, _, base) in self._kept.items():
                flat = self._body[name].detach().view(-1)
                flat[at] = (base + kept).to(flat.dtype)

    def _step_fixed(self) -> None:
        step = self.steps - self.gate_steps
        rate = self._rate(step, self.fixed_steps)
        gradients = {
            name: self._gradient(self._body[name]).reshape(-1)[kept[0]]
            for name, kept in self._kept.items()
        }
        norm = sum(float((g.double() ** 2).sum()) for g in gradients.values())
        adam = AdamStep(rate * self._rates["fixed"], step + 1, self._scale(norm))
        for name, (_, kept, mean, square, _) in self._kept.items():
            adam.take(kept, gradients[name], mean, square)
        self._put_kept()
        self._step_head(rate, step + 1)

    def _step_head(self, rate: float, number: int) -> None:
        if self._head_optimizer is not None:
            self._head_optimizer.step()
            return
        gradients = {name: self._gradient(p) for name, p in self._head.items()}
        norm = sum(float((g.double() ** 2).sum()) for g in gradients.values())
        adam = AdamStep(rate * self._rates["head"], number, self._scale(norm))
        for name, parameter in self._head.items():
            if not parameter.requires_grad:
                continue
            value = parameter.to(torch.float32)
            adam.take(value, gradients[name], *self._moments[name])
            parameter.copy_(value)

    # MARK: Going on

    def state_dict(self) -> dict[str, Any]:
        """What a training that was interrupted needs to go on bit for bit, for `torch.save`.

        Numbers, texts and tensors, by reference: save them before the next step. Buffers of the
        model, the states of PyTorch's own random numbers (dropout) and of `head_optimizer` are
        their owner's.
        """
        return {
            "facts": dict(self._facts),
            "steps": self.steps,
            "base": self._base,
            "buffers": self._buffers,
            "head": {name: p.detach() for name, p in self._head.items()},
            "moments": self._moments,
            "gates": None if self._gates is None else self._gates.state(),
            "controller": None if self.controller is None else self.controller.state(),
            "kept": self._kept,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where a `state_dict` was taken: the model gets the values that it had then.

        Args:
            state: of a training with the same arguments, of a model with the same parameters; on
                any devices.

        Raises:
            UsageError: if it is of another training; nothing is changed then.
        """
        shapes = {name: tuple(base.shape) for name, base in self._base.items()}
        heads = {name: tuple(p.shape) for name, p in self._head.items()}
        if state["facts"] != self._facts:
            raise UsageError("the state is of a training with other arguments")
        if shapes != {name: tuple(base.shape) for name, base in state["base"].items()} or (
            heads != {name: tuple(p.shape) for name, p in state["head"].items()}
        ):
            raise UsageError("the state is of another model")
        if self._gates is None and state["gates"] is not None:
            raise UsageError("the training has gone past the state: make another DiffPruning")
        self._require_parameters()
        with Interruption():
            self._load(state)

    def _load(self, state: dict[str, Any]) -> None:
        self.steps = state["steps"]
        with torch.no_grad():
            for mine, theirs in (
                (self._base, state["base"]), (self._buffers, state["buffers"]),
                (self._head, state["head"]),
            ):  # fmt: skip
                for name, tensor in mine.items():
                    tensor.copy_(theirs[name])
            for name, moments in self._moments.items():
                for moment, saved in zip(moments, state["moments"][name]):
                    moment.copy_(saved)
        if self.controller is not None:
            self.controller.restore(state["controller"])
        self._kept = {
            name: [tensor.to(self._body[name].device, copy=True) for tensor in kept]
            for name, kept in state["kept"].items()
        }
        if state["gates"] is None:
            self._gates = None
            self._put(self._base.values())
            self._put_kept()
        elif self._gates is not None:
            self._gates.restore(state["gates"])
            self._draw()

    # MARK: Results

    @property
    def masks(self) -> dict[str, torch.Tensor]:
        """By parameter the positions that are kept, ascending, in the flattened tensor.

        Raises:
            UsageError: before the first stage is over.
        """
        if not self.is_fixed:
            raise UsageError("the positions are not fixed yet")
        return {name: kept[0] for name, kept in self._kept.items()}

    def base_state(self) -> dict[str, torch.Tensor]:
        """The base's state dict: the model's as it was, without the head; tied tensors once."""
        state: dict[str, torch.Tensor] = {}
        for name, tensor in state_of_model(self.model).items():
            if name in self._head:
                continue
            base = self._base.get(name, self._buffers.get(name))
            state[name] = tensor if base is None else base.to(tensor.dtype)
        return state

    def save(
        self,
        path: Path,
        *,
        values: str = "f16",
        metadata: dict[str, str] | None = None,
        overwrite: bool = False,
    ) -> Created:
        """Writes the diff: additions at the kept positions, and the head whole.

        The model is left with the values that the diff gives, so that its score is that of base
        and diff.

        Args:
            path, overwrite: as of `diffkit.create`.
            values: the type of the additions.
            metadata: texts to store beside those about the training.

        Raises:
            UsageError: before the first stage is over.
        """
        if not self.is_fixed:
            raise UsageError("the positions are not fixed yet")
        self._require_parameters()
        base = self.base_state()
        tuned = {
            name: tensor
            for name, tensor in state_of_model(self.model).items()
            if name in base or name in self._head
        }
        options: dict[str, Any] = {
            "operation": "add", "values": values, "skip_nonfloat": True,
            "metadata": {**self._facts, **(metadata or {})},
        }  # fmt: skip
        with Writer(**options) as writer:
            for side, state in (("base", base), ("tuned", tuned)):
                for name, tensor in state.items():
                    writer.add(side, name, tensors.buffer(name, tensor))
            made = writer.write(path, overwrite)
        with Interruption():
            self._take(path)
        return made

    def _take(self, path: Path) -> None:
        """Gives the model the values of a diff of its base."""
        from .._diff import open

        with torch.no_grad(), open(path) as diff:
            for name, (at, _, _, _, base) in self._kept.items():
                if name not in diff:
                    continue
                entry = diff[name]
                index = torch.from_numpy(entry.positions.astype("int64")).to(at.device)
                flat = self._body[name].detach().view(-1)
                full = self._base[name].reshape(-1)[index].to(flat.dtype)
                elements = full.cpu().contiguous().view(torch.uint8).numpy().copy()
                entry._change(elements)
                flat[at] = base.to(flat.dtype)
                flat[index] = tensors.from_bytes(elements, entry._code, (entry.changes,)).to(
                    flat.device
                )


_GROUPING = "none|tensor|row|column|head:[1-9][0-9]*"


def _require(name: str, value: object, holds: bool) -> None:
    if not holds:
        raise UsageError(f"{name} is out of range: {value!r}")


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _unwrapped(model: torch.nn.Module) -> torch.nn.Module:
    """The model inside DistributedDataParallel."""
    inside = getattr(model, "module", None)
    is_wrapped = type(model).__name__ in ("DistributedDataParallel", "DataParallel")
    return inside if is_wrapped and isinstance(inside, torch.nn.Module) else model


def _tables(model: torch.nn.Module) -> set[int]:
    """The weights of embeddings, of which a batch reads some rows."""
    return {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, (torch.nn.Embedding, torch.nn.EmbeddingBag))
    }
