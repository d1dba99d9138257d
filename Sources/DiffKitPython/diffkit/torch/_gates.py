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


class Gated:
    """A tensor under gates, float32, of the shape and on the device of its base."""

    def __init__(self, base: torch.Tensor, position: int, group: int, is_table: bool) -> None:
        self.base = base.detach().to(torch.float32, copy=True)
        self.position = position
        self.group = group
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

    def uniform(self, seed: int, step: int) -> torch.Tensor:
        """The numbers of a step."""
        count = self.base.numel()
        drawn = _draw.uniform(seed, step, 0, self.position, count, self.base.device)
        return drawn.view(self.base.shape)


class Gates:
    """The gated tensors of a model, and the gates that groups of them share.

    Args:
        tensors: the bases in the order of their positions, each with whether it is a table, whose
            rows count when they are first read. Positions are those of all elements one after the
            other, where each tensor begins at a multiple of 16.
        positions: where each begins.
        elements: of the body, of which densities are shares; by default those of `tensors`.
        grouping: ``"tensor"`` (structured: a gate more for each tensor) or ``"none"``.
        penalty: ``"product"`` (the paper's formula) or ``"additive"``.
        expected: whether gates learn by the slope of their expectation.
    """

    def __init__(
        self,
        tensors: list[tuple[torch.Tensor, bool]],
        positions: list[int],
        *,
        elements: int | None = None,
        grouping: str = "tensor",
        penalty: str = "product",
        expected: bool = True,
        seed: int = 0,
    ) -> None:
        self.seed = seed
        self.grouped = grouping == "tensor"
        self.penalty = penalty
        self.expected = expected
        self.tensors = [
            Gated(base, position, group, is_table)
            for group, ((base, is_table), position) in enumerate(zip(tensors, positions))
        ]
        self.elements = elements or sum(gated.base.numel() for gated in self.tensors)
        zeros = torch.zeros(len(self.tensors))
        self.group_location = zeros + START
        self.group_mean, self.group_square = zeros.clone(), zeros.clone()
        self.group_gradient = zeros.clone()

    def _group_uniform(self, step: int) -> torch.Tensor:
        return _draw.uniform(self.seed, step, 1, 0, len(self.tensors))

    def _group_z(self, step: int) -> list[float]:
        if not self.grouped:
            return [1.0] * len(self.tensors)
        return list(gate(self._group_uniform(step), self.group_location).tolist())

    def _group_chance(self) -> list[float]:
        if not self.grouped:
            return [1.0] * len(self.tensors)
        return list(torch.sigmoid(self.group_location.double()).tolist())

    def values(self, step: int) -> list[torch.Tensor]:
        """The values of a step's draw."""
        return [
            gated.base + gate(gated.uniform(self.seed, step), gated.location) * z * gated.weight
            for gated, z in zip(self.tensors, self._group_z(step))
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
        seen_elements: list[int | torch.Tensor] = []
        zs, chances = self._group_z(step), self._group_chance()
        for gated, raw, z_group, chance in zip(self.tensors, gradients, zs, chances):
            gradient = raw.to(torch.float32)
            u = gated.uniform(self.seed, step)
            z = gate(u, gated.location)
            e = torch.exp(-gated.location)
            p = 1 / (1 + e)
            pull = gradient * gated.weight
            penalty = price * (chance if self.penalty == "product" else 1.0)
            weight_gradient = gradient * z * z_group
            gate_gradient = pull * slope(u, gated.location, self.expected) * z_group + penalty * (
                p * p * e
            )
            gated.gradients = (weight_gradient, gate_gradient)
            if gated.seen is not None:
                gated.seen |= (gradient != 0).flatten(1).any(1, keepdim=True)
                counted = p * gated.seen
                is_open = (gated.location > 0) & gated.seen
                seen_elements.append(gated.seen.sum() * gated.base.shape[1:].numel())
            else:
                counted, is_open = p, gated.location > 0
                seen_elements.append(gated.base.numel())
            sums.append(
                torch.stack(
                    [
                        _squares(weight_gradient),
                        _squares(gate_gradient),
                        (pull * z).sum(dtype=torch.float64),
                        p.sum(dtype=torch.float64),
                        counted.sum(dtype=torch.float64),
                        _squares(counted),
                        is_open.sum(dtype=torch.float64),
                    ]
                )
            )
        # One wait for the devices.
        table = torch.stack([row.cpu() for row in sums]).tolist() if sums else []
        for index, (row, seen) in enumerate(zip(table, seen_elements)):
            weights, gates, pull_, openness, counted_, twice, open_ = row
            found.weight_norm += weights
            found.gate_norm += gates
            chance = chances[index]
            found.expected_density += counted_ * chance
            found.twice_open_density += twice * chance * chance
            found.seen_density += float(seen)
            if self.grouped:
                members = openness if self.penalty == "product" else 1.0
                location = float(self.group_location[index])
                derivative = float(
                    slope(
                        self._group_uniform(step)[index],
                        torch.tensor(location),
                        self.expected,
                    )
                )
                gradient_ = pull_ * derivative + price * members * chance * (1 - chance)
                self.group_gradient[index] = gradient_
                found.gate_norm += gradient_ * gradient_
                open_ = open_ if location > 0 else 0
            found.open_density += open_
        for name in ("expected", "twice_open", "seen", "open"):
            share = getattr(found, f"{name}_density") / max(1, self.elements)
            setattr(found, f"{name}_density", share)
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
        if self.grouped:
            groups = list(settled(self.group_location).tolist())
        else:
            groups = [1.0] * len(self.tensors)
        return [
            settled(gated.location) * z * gated.weight for gated, z in zip(self.tensors, groups)
        ]


def _squares(values: torch.Tensor) -> torch.Tensor:
    return (values.double() ** 2).sum() if values.numel() < 1 << 22 else _large(values)


def _large(values: torch.Tensor) -> torch.Tensor:
    """In pieces, so that no second copy of a large tensor is made in float64."""
    total = torch.zeros((), dtype=torch.float64, device=values.device)
    for piece in torch.split(values.reshape(-1), 1 << 22):
        total += (piece.double() ** 2).sum()
    return total


class DensityController:
    """Finds λ, the price of an open gate, that brings the gates to a density: as
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
