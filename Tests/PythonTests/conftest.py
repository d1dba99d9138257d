"""What the tests share. They test the package `diffkit` that is installed: a stage of `.ci`
installs the wheel. While developing, `PYTHONPATH=Sources/DiffKitPython` with DIFFKIT_LIBRARY and
DIFFKIT_PROGRAM takes its place."""

from __future__ import annotations

import itertools
import linecache
import os
import signal
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import diffkit
import numpy as np
import pytest

Array = np.ndarray[Any, np.dtype[Any]]
Tensors = dict[str, Array]

REPOSITORY = Path(__file__).resolve().parents[2]

# What cuBLAS needs for equal bits of equal calls, before its first one.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def devices() -> list[str]:
    """The devices of PyTorch that tests run on."""
    import torch

    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.fixture
def base() -> Tensors:
    """Tensors of several types and shapes, a head, and one that will go."""
    random = np.random.default_rng(7)
    return {
        "encoder/w": random.standard_normal((300, 70)).astype("f4"),
        "encoder/h": random.standard_normal(1000).astype("f2"),
        "ids": np.arange(50, dtype="i8"),
        "flag": np.array([True, False, True]),
        "scalar": np.array(3.5, "f8"),
        "head": random.standard_normal((3, 4)).astype("f4"),
        "gone": np.array([1, 2, 3], "u1"),
        "same": np.ones(9, "f4"),
    }


@pytest.fixture
def tuned(base: Tensors) -> Tensors:
    """The base with some elements changed, another shape, one tensor more and one less."""
    made = {name: array.copy() for name, array in base.items()}
    made["encoder/w"].reshape(-1)[::137] += 0.25
    made["encoder/h"][[0, 999]] = [7, -7]
    made["ids"][3] = -1
    made["flag"][1] = True
    made["scalar"][...] = -0.0
    made["head"] = np.arange(20, dtype="f4").reshape(5, 4)
    del made["gone"]
    made["come"] = np.array([[1.5], [2.5]], "f8")
    return made


@pytest.fixture
def floats(base: Tensors) -> tuple[Tensors, Tensors]:
    """Two sides that an additive diff takes to each other."""
    names = ("encoder/w", "encoder/h")
    before = {name: base[name] for name in names}
    after = {name: array.copy() for name, array in before.items()}
    after["encoder/w"].reshape(-1)[5::61] *= 1.5
    after["encoder/h"][::10] += np.float16(0.5)
    return before, after


def copy(tensors: Tensors) -> Tensors:
    return {name: array.copy() for name, array in tensors.items()}


def assert_same(one: Tensors, other: Tensors) -> None:
    """Equal names, types, shapes and bits."""
    assert sorted(one) == sorted(other)
    for name, array in one.items():
        assert array.dtype == other[name].dtype, name
        assert array.shape == other[name].shape, name
        assert array.tobytes() == other[name].tobytes(), name


def interrupted_everywhere(work: Callable[[], None]) -> Iterator[bool]:
    """Does work again and again, with Ctrl-C before another line of the package each time, until it
    ends first.

    Yields:
        Each time, whether it was interrupted.
    """
    package = str(Path(diffkit.__file__).parent)
    usual, tracing = signal.getsignal(signal.SIGINT), sys.gettrace()
    for wanted in itertools.count(1):
        left = wanted

        def trace(frame: Any, event: str, _: Any) -> Any:
            nonlocal left
            if not frame.f_code.co_filename.startswith(package):
                return None
            # Such a line is traced again when its block is left, where no signal comes in between.
            line = linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip()
            if event == "line" and not line.startswith("with "):
                left -= 1
                if left == 0:
                    signal.raise_signal(signal.SIGINT)
            return trace

        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            sys.settrace(trace)
            work()
            is_interrupted = False
        except KeyboardInterrupt:
            is_interrupted = True
        finally:
            sys.settrace(tracing)
            handler = signal.signal(signal.SIGINT, usual)
        assert handler is signal.default_int_handler
        yield is_interrupted
        if left > 0:
            return
        # Noted or not, it is never lost.
        assert is_interrupted
