"""Hard-concrete gates (Louizos, Welling, Kingma 2018) over tensors, as diff pruning trains them
(Guo, Rush, Kim 2021): value = base + z · z_group · w. The arithmetic of `diffkit train`, in
PyTorch; `Tests/DiffTrainingTests/gates.py` is the oracle of both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from . import _draw

#: The interval that the distribution is stretched to; since they are opposite, the penalty's
#: logarithm is zero.
LEFT, RIGHT = -1.5, 1.5
#: The location of a new gate: open almost always.
START = 5.0


def gate(u: torch.Tensor, location: torch.Tensor) -> torch.Tensor:
    """z of uniform numbers and locations of one shape."""
    s = u / (u + (1 - u) * torch.exp(-location))
    return (s * (RIGHT - LEFT) + LEFT).clamp(0, 1)


def slope(u: torch.Tensor, location: torch.Tensor, expected: bool) -> torch.Tensor:
    """The derivative of z by the location: of the expectation of z, or of z as it was drawn."""
    e = torch.exp(-location)
    if expected:
        # That of the chance that z > 1/2, within 13 % of the mean over all thresholds.
        q = 1 / (1 + 2 * e)
        return 2 * e * q * q
    s = u / (u + (1 - u) * e)
    stretched = s * (RIGHT - LEFT) + LEFT
    inside = (stretched > 0) & (stretched < 1)
    return torch.where(inside, s * (1 - s) * (RIGHT - LEFT), torch.zeros_like(s))


def settled(location: torch.Tensor) -> torch.Tensor:
    """z without chance."""
    return gate(torch.full_like(location, 0.5), location)


@dataclass
class Measure:
    """What the gradients of a step amount to, and how many gates are open: as `Measure` of
    `GatedParameters` in DiffTraining. Densities are shares of the body's elements, where rows of
    tables that were never read count as zero."""

    weight_norm: float = 0.0
    gate_norm: float = 0.0
    expected_density: float = 0.0
    twice_open_density: float = 0.0
    seen_density: float = 0.0
    open_density: float = 0.0


@dataclass
class AdamStep:
    """A step of Adam, with gradients times `scale`."""

    rate: float
    number: int
    scale: float = 1.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def take(
        self, value: torch.Tensor, gradient: torch.Tensor, mean: torch.Tensor, square: torch.Tensor
    ) -> None:
        """Moves a tensor and its moments."""
        g = gradient * self.scale
        mean.lerp_(g, 1 - self.beta1)
        square.mul_(self.beta2).addcmul_(g, g, value=1 - self.beta2)
        root = square.sqrt() / math.sqrt(1 - self.beta2**self.number)
        value.addcdiv_(
            mean, root.add_(self.epsilon), value=-self.rate / (1 - self.beta1**self.number)
        )


#: What tensors of transformers have to do with attention heads, by their names: outputs of the
#: first are rows of heads, inputs of the second columns.
_PROJECTIONS = {
    "query", "key", "value", "q_lin", "k_lin", "v_lin", "q_proj", "k_proj", "v_proj",
}  # fmt: skip
_BEHIND_HEADS = {"out_lin", "o_proj", "out_proj"}


def box(grouping: str, name: str, shape: torch.Size) -> tuple[int, int]:
    """The rows and columns of a group, in a tensor seen as rows as long as its last extent.

    Args:
        grouping: ``"none"``, ``"tensor"``, ``"row"``, ``"column"`` or ``"head:SIZE"``.
    """
    columns = shape[-1] if shape else 1
    rows = shape.numel() // max(1, columns)
    whole = (rows, columns)
    if rows * columns == 0 or grouping in ("none", "tensor"):
        return whole
    if grouping == "row":
        return (1, columns) if rows > 1 else whole
    if grouping == "column":
        return (rows, 1) if rows > 1 else whole
    size = int(grouping.removeprefix("head:"))
    parts = name.replace("/", ".").split(".")[-3:]
    if not _PROJECTIONS.isdisjoint(parts):
        if rows > 1:
            return (size, columns) if rows % size == 0 else whole
        return (rows, size) if columns % size == 0 else whole
    is_behind = not _BEHIND_HEADS.isdisjoint(parts) or (
        "attention" in name and parts[:2] == ["output", "dense"]
    )
    if is_behind and parts[-1] == "weight":
        return (rows, size) if columns % size == 0 else whole
    return whole


class Gated:
    """A tensor under gates, float32, of the shape and on the device of its base.

    Args:
        base: the values that the differences are added to.
        position: of its first element, in draws.
        first_group: the number of its first group.
        box: the extents of a group; see `box`.
        is_table: whether rows count when a batch first reads them.
    """

    def __init__(
        self,
        base: torch.Tensor,
        position: int,
        first_group: int,
        box: tuple[int, int],
        is_table: bool,
    ) -> None:
        self.base = base.detach().to(torch.float32, copy=True)
        self.position = position
        self._columns = base.shape[-1] if base.dim() else 1
        rows = base.numel() // max(1, self._columns)
        self._down, self._across = rows // max(1, box[0]), self._columns // max(1, box[1])
        count = max(1, self._down * self._across)
        self.groups = slice(first_group, first_group + count)
        zeros = torch.zeros_like
        self.weight, self.weight_mean, self.weight_square = (zeros(self.base) for _ in range(3))
        self.location = torch.full_like(self.base, START)
        self.mean, self.square = zeros(self.base), zeros(self.base)
        #: Of a table, which rows a batch has read: [rows, 1].
        self.seen = (
            torch.zeros(base.shape[0], 1, dtype=torch.bool, device=base.device)
            if is_table
            else None
        )
        self.gradients: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def has_rows_in_common(self) -> bool:
        """Whether `diffkit train` keeps a group more, that of the rows of a table that were never
        read: it takes a number, behind those of the tensor's groups."""
        return self.seen is not None and self._down > 1

    def spread(self, groups: torch.Tensor) -> torch.Tensor:
        """The number of its group for each element: of a shape that broadcasts against the base's.

        Args:
            groups: a number for each group, on any device.
        """
        mine = groups.to(self.base.device)
        if self._across > 1:
            return mine.repeat_interleave(self._columns // self._across)
        if self._down > 1:
            rows = self.base.numel() // self._columns
            return mine.repeat_interleave(rows // self._down).view(*self.base.shape[:-1], 1)
        return mine.view((1,) * self.base.dim())

    def sums(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of each group, in float64."""
        if self._across > 1:
            boxes = values.reshape(-1, self._across, self._columns // self._across)
            return boxes.sum((0, 2), dtype=torch.float64)
        return values.reshape(max(1, self._down), -1).sum(1, dtype=torch.float64)

    def uniform(self, seed: int, step: int) -> torch.Tensor:
        """The numbers of a step."""
        count = self.base.numel()
        drawn = _draw.uniform(seed, step, 0, self.position, count, self.base.device)
        return drawn.view(self.base.shape)

    #: What `update` changes, by name.
    _STATE = ("weight", "weight_mean", "weight_square", "location", "mean", "square")

    def state(self) -> dict[str, Any]:
        """What a training that goes on needs."""
        return {name: getattr(self, name) for name in ("base", *self._STATE)} | {"seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes up a `state`."""
        for name in ("base", *self._STATE):
            getattr(self, name).copy_(state[name])
        if self.seen is not None:
            self.seen.copy_(state["seen"])


class Gates:
    """The gated tensors of a model, and the gates that groups of them share.

    Args:
        tensors: names and bases in the order of their positions, each with whether it is a table,
            whose rows count when they are first read. Positions are those of all elements one after
            the other, where each tensor begins at a multiple of 16.
        positions: where each begins.
        elements: of the body, of which densities are shares; by default those of `tensors`.
        grouping: what has a gate more: ``"none"``, each ``"tensor"``, ``"row"`` or ``"column"`` of
            a matrix, or attention head, ``"head:SIZE"``.
        penalty: ``"product"`` (the paper's formula) or ``"additive"``.
        expected: whether gates learn by the slope of their expectation.
    """

    def __init__(
        self,
        tensors: list[tuple[str, torch.Tensor, bool]],
        positions: list[int],
        *,
        elements: int | None = None,
        grouping: str = "tensor",
        penalty: str = "product",
        expected: bool = True,
        seed: int = 0,
    ) -> None:
        self.seed = seed
        self.grouped = grouping != "none"
        self.penalty = penalty
        self.expected = expected
        self.tensors: list[Gated] = []
        count = 0
        for (name, base, is_table), position in zip(tensors, positions):
            gated = Gated(base, position, count, box(grouping, name, base.shape), is_table)
            self.tensors.append(gated)
            count = gated.groups.stop + (1 if gated.has_rows_in_common else 0)
        self.elements = elements or sum(gated.base.numel() for gated in self.tensors)
        zeros = torch.zeros(count)
        self.group_location = zeros + START
        self.group_mean, self.group_square = zeros.clone(), zeros.clone()
        self.group_gradient = zeros.clone()

    def _group_uniform(self, step: int) -> torch.Tensor:
        return _draw.uniform(self.seed, step, 1, 0, self.group_location.numel())

    def _group_z(self, step: int) -> torch.Tensor:
        if not self.grouped:
            return torch.ones_like(self.group_location)
        return gate(self._group_uniform(step), self.group_location)

    def _group_chance(self) -> torch.Tensor:
        """In float64."""
        chance = torch.sigmoid(self.group_location.double())
        return chance if self.grouped else torch.ones_like(chance)

    def values(self, step: int) -> list[torch.Tensor]:
        """The values of a step's draw."""
        z = self._group_z(step)
        return [
            gated.base
            + gate(gated.uniform(self.seed, step), gated.location)
            * gated.spread(z[gated.groups])
            * gated.weight
            for gated in self.tensors
        ]

    def measure(self, step: int, gradients: list[torch.Tensor], price: float) -> Measure:
        """Finds what the gradients of the values mean for weights and gates.

        Args:
            step: the step whose draw they were made with.
            gradients: of the values, in the order of the tensors.
            price: λ, of an open gate.
        """
        found = Measure()
        sums: list[torch.Tensor] = []
        zs, chances = self._group_z(step), self._group_chance()
        for gated, raw in zip(self.tensors, gradients):
            gradient = raw.to(torch.float32)
            u = gated.uniform(self.seed, step)
            z = gate(u, gated.location)
            z_group = gated.spread(zs[gated.groups])
            e = torch.exp(-gated.location)
            p = 1 / (1 + e)
            pull = gradient * gated.weight
            chance = chances[gated.groups]
            share = chance if self.penalty == "product" else torch.ones_like(chance)
            penalty = gated.spread((price * share).float())
            weight_gradient = gradient * z * z_group
            gate_gradient = pull * slope(u, gated.location, self.expected) * z_group + penalty * (
                p * p * e
            )
            gated.gradients = (weight_gradient, gate_gradient)
            is_open = gated.location > 0
            counted = p
            seen = torch.tensor(gated.base.numel(), dtype=torch.float64, device=p.device)
            if gated.seen is not None:
                gated.seen |= (gradient != 0).flatten(1).any(1, keepdim=True)
                rows = gated.seen.view(-1, *(1,) * (gated.base.dim() - 1))
                counted, is_open = p * rows, is_open & rows
                seen = gated.seen.sum() * gated.base.shape[1:].numel()
            totals = torch.stack([_squares(weight_gradient), _squares(gate_gradient), seen.double()])
            by_group = (pull * z, p, counted, counted * counted, is_open)
            sums.append(torch.cat([totals, *map(gated.sums, by_group)]))
        # One wait for the devices.
        for gated, row in zip(self.tensors, [row.cpu() for row in sums]):
            weights, gates, seen_ = row[:3].tolist()
            pulls, openness, counted_, twice, open_ = row[3:].view(5, -1)
            groups, chance = gated.groups, chances[gated.groups]
            found.weight_norm += weights
            found.gate_norm += gates
            found.expected_density += float((counted_ * chance).sum())
            found.twice_open_density += float((twice * chance * chance).sum())
            found.seen_density += seen_
            if self.grouped:
                location = self.group_location[groups]
                members = openness if self.penalty == "product" else torch.ones_like(openness)
                derivative = slope(self._group_uniform(step)[groups], location, self.expected)
                gradient_ = pulls * derivative.double() + price * members * chance * (1 - chance)
                self.group_gradient[groups] = gradient_.float()
                found.gate_norm += float((gradient_**2).sum())
                open_ = open_ * (location > 0)
            found.open_density += float(open_.sum())
        for name in ("expected", "twice_open", "seen", "open"):
            share_ = getattr(found, f"{name}_density") / max(1, self.elements)
            setattr(found, f"{name}_density", share_)
        return found

    def update(self, weights: AdamStep, gates: AdamStep, shared: AdamStep) -> None:
        """Takes a step with what `measure` found."""
        for gated in self.tensors:
            assert gated.gradients is not None
            weight, location = gated.gradients
            weights.take(gated.weight, weight, gated.weight_mean, gated.weight_square)
            gates.take(gated.location, location, gated.mean, gated.square)
            gated.gradients = None
        if self.grouped:
            shared.take(
                self.group_location, self.group_gradient, self.group_mean, self.group_square
            )

    def differences(self) -> list[torch.Tensor]:
        """z · z_group · w without chance."""
        z = settled(self.group_location)
        if not self.grouped:
            z = torch.ones_like(z)
        return [
            settled(gated.location) * gated.spread(z[gated.groups]) * gated.weight
            for gated in self.tensors
        ]

    def state(self) -> dict[str, Any]:
        """What a training that goes on needs."""
        return {
            "tensors": [gated.state() for gated in self.tensors],
            "groups": [self.group_location, self.group_mean, self.group_square],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes up a `state` of gates that were made with the same arguments."""
        for gated, saved in zip(self.tensors, state["tensors"], strict=True):
            gated.restore(saved)
        groups = (self.group_location, self.group_mean, self.group_square)
        for mine, saved in zip(groups, state["groups"]):
            mine.copy_(saved)


def _squares(values: torch.Tensor) -> torch.Tensor:
    return (values.double() ** 2).sum() if values.numel() < 1 << 22 else _large(values)


def _large(values: torch.Tensor) -> torch.Tensor:
    """In pieces, so that no second copy of a large tensor is made in float64."""
    total = torch.zeros((), dtype=torch.float64, device=values.device)
    for piece in torch.split(values.reshape(-1), 1 << 22):
        total += (piece.double() ** 2).sum()
    return total


class DensityController:
    """Finds λ, the penalty of an open gate, that brings the gates to a density: as
    `DensityController` in DiffTraining.

    For the share `start` of the steps gates are free. Then the log-odds of finding a gate open
    fall in a straight line and are those of the target after the share `landing`; λ begins at the
    size of the gates' gradients and is multiplied by what foreseen and wanted log-odds are apart.
    """

    _memory = 0.2
    _foresight = 40.0

    def __init__(
        self, target: float, elements: int, steps: int, start: float = 0.2, landing: float = 0.8
    ) -> None:
        self.target = target
        self.elements = elements
        self.steps = steps
        self.start = start
        self.landing = landing
        self.price = 0.0
        self._trend = self._noise = self._last = self._first = 0.0

    def update(self, step: int, found: Measure) -> None:
        """Sets λ for the next step."""
        seen = max(found.seen_density, 1e-12)
        odds = _log_odds(found.twice_open_density / seen)
        size = math.sqrt(found.gate_norm / (seen * max(1, self.elements)))
        if step == 0:
            self._first = self._last = odds
            self._noise = size
        self._trend += self._memory * (odds - self._last - self._trend)
        self._noise += self._memory * (size - self._noise)
        self._last = odds
        if step < self.start * self.steps:
            self._first = odds
            return
        if self.price == 0:
            self.price = self._noise
        now, end = step + self._foresight, _log_odds(self.target / seen)
        begin, landing = self.start * self.steps, self.landing * self.steps
        progress = min(1.0, max(0.0, (now - begin) / max(1.0, landing - begin)))
        wanted = self._first + (end - self._first) * progress
        excess = odds + self._foresight * self._trend - wanted
        self.price *= math.exp(min(0.3, max(-0.5, 0.1 * excess)))

    def state(self) -> dict[str, float]:
        """What a training that goes on needs."""
        return {
            "price": self.price, "trend": self._trend, "noise": self._noise, "last": self._last,
            "first": self._first,
        }  # fmt: skip

    def restore(self, state: dict[str, float]) -> None:
        """Takes up a `state`."""
        self.price = state["price"]
        self._trend, self._noise = state["trend"], state["noise"]
        self._last, self._first = state["last"], state["first"]


def _log_odds(share: float) -> float:
    share = min(1 - 1e-9, max(1e-9, share))
    return math.log(share / (1 - share))


def largest(differences: dict[str, torch.Tensor], wanted: int) -> dict[str, torch.Tensor]:
    """Which of all elements have the `wanted` largest magnitudes: a boolean mask for each tensor.
    Zeros are never among them; among equals the first by name, then position, is."""
    names = sorted(differences, key=lambda name: name.encode())
    if wanted <= 0 or not names:
        return {name: torch.zeros_like(differences[name], dtype=torch.bool) for name in names}
    magnitudes = torch.cat([differences[name].abs().reshape(-1).cpu() for name in names])
    wanted = min(wanted, int((magnitudes > 0).sum()))
    if wanted == 0:
        return {name: torch.zeros_like(differences[name], dtype=torch.bool) for name in names}
    cut = torch.kthvalue(magnitudes, magnitudes.numel() - wanted + 1).values
    mask = magnitudes > cut
    equals = torch.nonzero(magnitudes == cut).reshape(-1)
    mask[equals[: wanted - int(mask.sum())]] = True
    masks: dict[str, torch.Tensor] = {}
    at = 0
    for name in names:
        tensor = differences[name]
        part: Any = mask[at : at + tensor.numel()].view(tensor.shape)
        masks[name] = part.to(tensor.device)
        at += tensor.numel()
    return masks
