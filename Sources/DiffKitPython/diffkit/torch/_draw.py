"""Chance as diffkit draws it (spec/DRAWS.md): a function of seed, step, stream and position, the
same in Swift, C and here, on every device and in every process of a distributed training."""

from __future__ import annotations

import torch

_MASK64 = (1 << 64) - 1
_MASK32 = (1 << 32) - 1


def _mixed(seed: int) -> int:
    """The first number of SplitMix64 (Steele, Lea, Flood 2014)."""
    z = (seed + 0x9E3779B97F4A7C15) & _MASK64
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK64
    return z ^ (z >> 31)


def keys(seed: int, step: int, stream: int) -> tuple[int, int]:
    """The two 32-bit keys of a draw."""
    key = _mixed(seed & _MASK64)
    key = _mixed((key + step) & _MASK64)
    key = _mixed((key + stream) & _MASK64)
    return key & _MASK32, key >> 32


def uniform(
    seed: int, step: int, stream: int, first: int, count: int, device: torch.device | str = "cpu"
) -> torch.Tensor:
    """The numbers of the positions from `first` on: float32 in (0, 1), odd multiples of 2^-24.

    Args:
        seed, step, stream: which of all draws.
        first: the first position, from 0 on; the last is below 2^32.
        count: how many.
        device: where to make them.

    Returns:
        A vector of `count` elements.
    """
    if first < 0 or first + count > 1 << 32:
        raise ValueError("positions are from 0 to 2^32 - 1")
    if count > 1 << 30:
        half = count // 2
        return torch.cat(
            [
                uniform(seed, step, stream, first, half, device),
                uniform(seed, step, stream, first + half, count - half, device),
            ]
        )
    low, high = keys(seed, step, stream)
    # int32 wraps at 2^32; its shifts copy the sign, which a mask takes away again.
    x = torch.arange(count, dtype=torch.int32, device=device).add_(_signed(first + low))
    x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF)).mul_(0x7FEB352D)
    x.bitwise_xor_((x >> 15).bitwise_and_(0x1FFFF)).add_(_signed(high)).mul_(_signed(0x846CA68B))
    x.bitwise_xor_((x >> 16).bitwise_and_(0xFFFF))
    return (x >> 9).bitwise_and_(0x7FFFFF).to(torch.float32).add_(0.5).mul_(2.0**-23)


def _signed(number: int) -> int:
    """The int32 with the lower 32 bits of a number."""
    number &= _MASK32
    return number - (1 << 32) if number >> 31 else number
