"""Where elements are in memory, and which tensors have some in common."""

from __future__ import annotations

from typing import Sequence


def has_overlap(shape: Sequence[int], strides: Sequence[int], width: int) -> bool:
    """Whether elements of one tensor may share bytes: expanded tensors, sliding windows.

    False for whatever slicing, transposing and reshaping make of a tensor in one piece.

    Args:
        strides: in bytes.
        width: bytes of an element.
    """
    if 0 in shape:
        return False
    reach = width
    for stride, size in sorted((abs(s), n) for s, n in zip(strides, shape) if n > 1):
        if stride < reach:
            return True
        reach += (size - 1) * stride
    return False


def extent(
    address: int, shape: Sequence[int], strides: Sequence[int], width: int
) -> tuple[int, int]:
    """The addresses between which all elements are, the second one exclusive; see `has_overlap`."""
    if 0 in shape:
        return address, address
    reaches = [(size - 1) * stride for size, stride in zip(shape, strides)]
    low = sum(reach for reach in reaches if reach < 0)
    return address + low, address + sum(reaches) - low + width


def meeting(extents: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The numbers of extents that overlap, in groups that do not. Empty ones overlap with none."""
    groups: list[list[int]] = []
    end = 0
    for start, stop, index in sorted((*e, index) for index, e in enumerate(extents) if e[0] < e[1]):
        if groups and start < end:
            groups[-1].append(index)
        else:
            groups.append([index])
        end = max(end, stop) if len(groups[-1]) > 1 else stop
    return [sorted(group) for group in groups if len(group) > 1]
