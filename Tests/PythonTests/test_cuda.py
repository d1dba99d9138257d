"""Diffs on models on a GPU: the bits are those of the C library, and every one comes back.

Needs nothing but PyTorch with CUDA, NumPy and the package; runs under pytest, and where that is
not, as `python test_cuda.py`, which also measures.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

try:
    import torch

    WITHOUT = None if torch.cuda.is_available() else "there is no CUDA here"
except ImportError:
    WITHOUT = "there is no PyTorch here"

try:
    import pytest
except ImportError:
    pytest = None  # type: ignore[assignment]
else:
    pytestmark = pytest.mark.skipif(WITHOUT is not None, reason=str(WITHOUT))

import diffkit

TYPES = {"float32": "f4", "float16": "f2", "bfloat16": "u2", "float64": "f8"}


def _model(tensors: dict[str, Any]) -> Any:
    """A model of buffers, on the GPU."""
    model = torch.nn.Module()
    for name, tensor in tensors.items():
        model.register_buffer(name, tensor.clone().cuda())
    return model


def _bits(tensor: Any) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes()


def _every_f16() -> Any:
    """All finite values of float16, zeros and subnormals too."""
    every = np.arange(1 << 16, dtype="u2").view("f2")
    return every[np.isfinite(every)]


def test_every_addition_has_the_bits_of_the_library() -> None:
    """Additions of all float16 values, at scales from end to end, to elements of every type."""
    values = _every_f16().astype("f8")
    generator = np.random.default_rng(3)
    for name, exponent in itertools.product(TYPES, (-24, -12, 0)):
        dtype = getattr(torch, name)
        spread = generator.standard_normal(values.size) * 2.0 ** generator.integers(
            -10, 10, values.size
        )
        base = torch.from_numpy(spread).to(dtype)
        tuned = base.double() + torch.from_numpy(values * 2.0**exponent)
        tuned = tuned.clamp(-60000, 60000).to(dtype)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "d.diff"
            diffkit.torch.create({"w": base}, {"w": tuned}, path, operation="add")
            expected = base.clone()
            with diffkit.open(path) as diff:
                flat = expected.view(torch.uint8).numpy()
                diff["w"]._call("apply", flat.ctypes.data, flat.nbytes, 0)
            model = _model({"w": base})
            with diffkit.torch.attach(model, path):
                assert _bits(model.w) == _bits(expected), (name, exponent)
            assert _bits(model.w) == _bits(base), (name, exponent)


def test_fingerprints_come_from_the_device() -> None:
    for name in TYPES:
        tensor = torch.arange(40_000_000, dtype=torch.int32).to(getattr(torch, name)).view(-1, 1000)
        assert diffkit.torch.fingerprint(tensor.cuda()) == diffkit.torch.fingerprint(tensor)


def test_a_thousand_cycles() -> None:
    for name in ("bfloat16", "float32"):
        torch.manual_seed(1)
        base = {f"w{i}": torch.randn(64, 1000 + i).to(getattr(torch, name)) for i in range(5)}
        model = _model(base)
        with tempfile.TemporaryDirectory() as folder:
            tasks = []
            for seed in range(2):
                path = Path(folder) / f"{seed}.diff"
                diffkit.torch.create(base, _tuned(base, seed, 0.01), path, operation="add")
                tasks.append(diffkit.torch.prepare(model, path))
        attached = diffkit.torch.attach(model, tasks[0])
        for cycle in range(1000):
            attached = attached.switch(tasks[(cycle + 1) % 2])
        attached.detach()
        for name_, tensor in base.items():
            assert _bits(getattr(model, name_)) == _bits(tensor)


def test_changes_in_between_and_moves() -> None:
    base = {"a": torch.randn(100, 30), "b": torch.randn(70).bfloat16()}
    model = _model(base)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.diff"
        diffkit.torch.create(base, _tuned(base, 0, 0.2), path)
        with diffkit.open(path) as diff:
            position = int(diff["b"].positions[0])
        attached = diffkit.torch.attach(model, path)
    kept = model.b[position].clone()
    model.b[position] += 1
    try:
        attached.detach()
        raise AssertionError("a change was not noticed")
    except diffkit.ChangedInBetween as refused:
        assert refused.tensor == "b"
    model.b[position] = kept
    # To the CPU and off there: the elements are those of the tensor, wherever it is.
    model.cpu()
    attached.detach()
    assert all(_bits(getattr(model, name)) == _bits(tensor) for name, tensor in base.items())
    model.cuda()
    with diffkit.torch.attach(model, attached.prepared):
        assert _bits(model.a) != _bits(base["a"])
    assert all(_bits(getattr(model, name)) == _bits(tensor) for name, tensor in base.items())


def test_views_on_the_device() -> None:
    whole = torch.arange(240, dtype=torch.float32)
    base = {"turned": whole[:96].view(8, 12).t(), "strided": whole[100::3]}
    tuned = {name: tensor + (tensor % 3 == 0) for name, tensor in base.items()}
    model = torch.nn.Module()
    there = whole.cuda()
    model.register_buffer("turned", there[:96].view(8, 12).t())
    model.register_buffer("strided", there[100::3])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "d.diff"
        diffkit.torch.create(base, tuned, path)
        with diffkit.torch.attach(model, path):
            for name, tensor in tuned.items():
                assert torch.equal(getattr(model, name).cpu(), tensor)
    assert torch.equal(there.cpu(), whole)


def _tuned(base: dict[str, Any], seed: int, share: float) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, tensor in base.items():
        mask = torch.rand(tensor.shape, generator=generator) < share
        noise = torch.randn(tensor.shape, generator=generator) * 0.01
        made[name] = (tensor.float() + noise * mask).to(tensor.dtype)
    return made


def measure() -> None:
    """Attach, detach, switch with 0.5 % of 110 M elements, and the first attach."""
    for name in ("float32", "bfloat16"):
        base = {f"w{i}": torch.randn(768, 768 * 4).to(getattr(torch, name)) for i in range(47)}
        model = _model(base)
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{seed}.diff" for seed in range(2)]
            for seed, path in enumerate(paths):
                diffkit.torch.create(base, _tuned(base, seed, 0.005), path, operation="add")
            start = time.perf_counter()
            first = diffkit.torch.prepare(model, paths[0])
            middle = time.perf_counter()
            second = diffkit.torch.prepare(model, paths[1])
            print(
                f"{name}: first prepare (decode, hash) {1e3 * (middle - start):.1f} ms, "
                f"second {1e3 * (time.perf_counter() - middle):.1f} ms, {first.changes} changes"
            )
        times: dict[str, list[float]] = {"attach": [], "detach": [], "switch": []}

        def timed(what: str, work: Any) -> Any:
            torch.cuda.synchronize()
            start = time.perf_counter()
            result = work()
            torch.cuda.synchronize()
            times[what].append(1e3 * (time.perf_counter() - start))
            return result

        for _ in range(20):
            attached = timed("attach", lambda: diffkit.torch.attach(model, first))
            attached = timed("switch", lambda on=attached: on.switch(second))
            timed("detach", attached.detach)
        for what, taken in times.items():
            print(f"{name}: {what} {np.median(taken):.2f} ms (least {min(taken):.2f})")
        flat = [getattr(model, key).view(-1) for key in base]
        indices = [
            torch.randperm(part.numel(), device="cuda")[: part.numel() // 200] for part in flat
        ]
        values = [part[index] for part, index in zip(flat, indices)]

        def plain() -> None:
            for part, index, value in zip(flat, indices, values):
                part[index] = value

        times["index_put"] = []
        for _ in range(20):
            timed("index_put", plain)
        print(f"{name}: torch's index_put alone {np.median(times['index_put']):.2f} ms")


if __name__ == "__main__":
    import diffkit.torch

    if WITHOUT is not None:
        sys.exit(WITHOUT)
    print(torch.cuda.get_device_name(), torch.__version__, diffkit.version())
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            test()
            print(f"{name}: passed", flush=True)
    measure()
elif WITHOUT is None:
    import diffkit.torch
