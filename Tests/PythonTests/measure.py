"""Measures the package beside what it stands on; not a test. Run it alone on a quiet machine:

python Tests/PythonTests/measure.py
"""

from __future__ import annotations

import copy
import statistics
import tempfile
import time
from ctypes import c_int
from pathlib import Path
from typing import Any, Callable

import diffkit
import diffkit.torch as dt
import numpy as np
import torch

SHAPES = [(768, 768)] * 48 + [(3072, 768)] * 24 + [(30522, 768)]


def median(work: Callable[[], Any], times: int = 15, prepare: Callable[[], Any] = int) -> float:
    """Milliseconds."""
    taken = []
    for _ in range(times):
        prepare()
        start = time.perf_counter()
        work()
        taken.append(1e3 * (time.perf_counter() - start))
    return statistics.median(taken)


def models(folder: Path) -> tuple[Any, list[Path]]:
    """0.5 % of 108 M float32 parameters, two times."""
    torch.manual_seed(0)
    model = torch.nn.ParameterList([torch.randn(shape) for shape in SHAPES])
    paths = []
    for seed in range(2):
        tuned = copy.deepcopy(model)
        with torch.no_grad():
            for parameter in tuned:
                at = torch.randperm(parameter.numel())[: parameter.numel() // 200]
                parameter.view(-1)[at] += 0.01
        paths.append(folder / f"{seed}.diff")
        dt.create(model, tuned, paths[-1], operation="add")
    return model, paths


def attach(folder: Path) -> None:
    model, paths = models(folder)
    start = time.perf_counter()
    tasks = [dt.prepare(model, path) for path in paths]
    print(f"prepare (decode, hash) both: {1e3 * (time.perf_counter() - start):.0f} ms")
    state: dict[str, Any] = {}

    def on() -> None:
        state["on"] = dt.attach(model, tasks[0])

    def off() -> None:
        state["on"].detach()

    on()
    off()
    print(f"attach: {median(on, prepare=lambda: state['on'].is_attached and off()):.2f} ms")
    off()
    print(f"detach: {median(off, prepare=on):.2f} ms")
    on()
    state["next"] = 1

    def switch() -> None:
        state["on"] = state["on"].switch(tasks[state["next"]])
        state["next"] = 1 - state["next"]

    print(f"switch: {median(switch):.2f} ms")
    off()
    flats = [parameter.detach().view(-1) for parameter in model]
    with diffkit.open(paths[0]) as diff:
        index = [torch.from_numpy(diff[str(i)].positions.astype("i8")) for i in range(len(flats))]
    values = [flat[at] for flat, at in zip(flats, index)]

    def plain() -> None:
        for flat, at, value in zip(flats, index, values):
            flat[at] = value

    print(f"torch's index_put alone: {median(plain):.2f} ms")

    arrays = {str(i): flat.numpy().reshape(SHAPES[i]) for i, flat in enumerate(flats)}
    with diffkit.open(paths[0]) as diff:
        for verify in (True, False):
            undo: list[Any] = []
            whole = median(
                lambda: undo.append(diff.apply(arrays, verify=verify)), 5,
                lambda: undo and undo.pop().restore(),
            )  # fmt: skip
            undo.pop().restore()
            entries = [(entry, arrays[name]) for name, entry in diff.items()]
            found = c_int()

            def calls() -> None:
                for entry, array in entries:
                    if verify:
                        entry._call("verify", array.ctypes.data, array.nbytes, found)
                for entry, array in entries:
                    entry._call("apply", array.ctypes.data, array.nbytes, 1)

            olds = [entry._gather(array) for entry, array in entries]
            alone = median(
                calls, 5,
                lambda: [e._scatter(a, old, None) for (e, a), old in zip(entries, olds)],
            )  # fmt: skip
            for (entry, array), old in zip(entries, olds):
                entry._scatter(array, old, None)
            print(f"diff.apply, verify={verify}: {whole:.0f} ms; C calls alone {alone:.0f} ms")


def create(folder: Path) -> None:
    base = {f"w{i}": np.random.default_rng(i).standard_normal(16 << 20, "f4") for i in range(15)}
    tuned = {name: array.copy() for name, array in base.items()}
    for array in tuned.values():
        array[::199] += 0.5
    _save(folder / "base.safetensors", base)
    _save(folder / "tuned.safetensors", tuned)
    output = folder / "d.diff"
    memory = median(lambda: diffkit.create(base, tuned, output, overwrite=True), 3)
    files = median(
        lambda: diffkit.create(
            folder / "base.safetensors", folder / "tuned.safetensors", output, overwrite=True
        ),
        3,
    )
    print(f"create of two 1 GB dicts: {memory:.0f} ms; `diffkit create` of files {files:.0f} ms")


def _save(path: Path, tensors: dict[str, Any]) -> None:
    from safetensors.numpy import save_file

    save_file(tensors, path)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        attach(Path(scratch))
        create(Path(scratch))
