"""Measures the package beside what it stands on; not a test. Run it alone on a quiet machine:

python Tests/PythonTests/measure.py [attach] [apply] [create] [cycles]
"""

from __future__ import annotations

import copy
import statistics
import sys
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


def taken(work: Callable[[], Any], times: int = 15, prepare: Callable[[], Any] = int) -> list[float]:
    """Milliseconds, ascending."""
    found = []
    for _ in range(times):
        prepare()
        start = time.perf_counter()
        work()
        found.append(1e3 * (time.perf_counter() - start))
    return sorted(found)


def median(work: Callable[[], Any], times: int = 15, prepare: Callable[[], Any] = int) -> float:
    """Milliseconds."""
    return statistics.median(taken(work, times, prepare))


def spread(found: list[float]) -> str:
    """The median, and between which values a half of all lies."""
    low, high = found[len(found) // 4], found[-1 - len(found) // 4]
    return f"{statistics.median(found):.2f} ms ({low:.2f} to {high:.2f})"


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
    print("attach:", spread(taken(on, 31, lambda: state["on"].is_attached and off())))
    off()
    print("detach:", spread(taken(off, 31, on)))
    on()
    state["next"] = 1

    def switch() -> None:
        state["on"] = state["on"].switch(tasks[state["next"]])
        state["next"] = 1 - state["next"]

    print("switch:", spread(taken(switch, 31)))
    off()
    prepared = tasks[0]
    side = [True]

    def exchange() -> None:
        prepared._exchange.run(backwards=not side[0])
        side[0] = not side[0]

    print("the C call of attach and detach alone:", spread(taken(exchange, 30)))
    flats = [parameter.detach().view(-1) for parameter in model]
    with diffkit.open(paths[0]) as diff:
        index = [torch.from_numpy(diff[str(i)].positions.astype("i8")) for i in range(len(flats))]
    values = [flat[at] for flat, at in zip(flats, index)]

    def plain() -> None:
        for flat, at, value in zip(flats, index, values):
            flat[at] = value

    print("torch's index_put alone:", spread(taken(plain, 31)))


def apply(folder: Path) -> None:
    model, paths = models(folder)
    flats = [parameter.detach().view(-1) for parameter in model]
    arrays = {str(i): flat.numpy().reshape(SHAPES[i]) for i, flat in enumerate(flats)}
    with diffkit.open(paths[0]) as diff:
        entries = [(entry, arrays[name]) for name, entry in diff.items()]
        olds = [entry._gather(array) for entry, array in entries]
        found = c_int()
        for verify in (True, False):

            def calls() -> None:
                for entry, array in entries:
                    if verify:  # noqa: B023
                        entry._call("verify", array.ctypes.data, array.nbytes, found)
                for entry, array in entries:
                    entry._call("apply", array.ctypes.data, array.nbytes, 1)

            def restore() -> None:
                for (entry, array), old in zip(entries, olds):
                    entry._scatter(array, old, None)

            whole, alone = [], []
            for _ in range(21):  # In turns, so that both see the same of what else goes on.
                whole += taken(lambda: diff.apply(arrays, verify=verify), 1)  # noqa: B023
                restore()
                alone += taken(calls, 1)
                restore()
            ratio = statistics.median(one / other for one, other in zip(whole, alone))
            print(
                f"diff.apply, verify={verify}: {spread(sorted(whole))}; a C call for each tensor: "
                f"{spread(sorted(alone))}; {ratio:.2f}"
            )


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


def cycles(folder: Path) -> None:
    """A thousand times on and off again: what is left of it, beside PEFT's merge and unmerge."""
    import peft
    import transformers

    config = transformers.LlamaConfig(
        vocab_size=1000, hidden_size=256, intermediate_size=512, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=4, tie_word_embeddings=False,
    )  # fmt: skip
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "gate_proj", "down_proj"]
    adapters = {
        "PEFT, SHiRA": peft.ShiraConfig(r=1, target_modules=targets, random_seed=1),
        "PEFT, LoRA": peft.LoraConfig(r=8, target_modules=targets),
    }
    print("type      what          elements that differ   largest difference   a cycle")
    for dtype in (torch.float32, torch.bfloat16):
        for name in ("diffkit", *adapters):
            torch.manual_seed(0)
            model = transformers.LlamaForCausalLM(config).to(dtype)
            before = {n: p.detach().clone() for n, p in model.named_parameters()}
            if name == "diffkit":
                tuned = copy.deepcopy(model)
                with torch.no_grad():
                    for parameter in tuned.parameters():
                        at = torch.randperm(parameter.numel())[: parameter.numel() // 200 + 1]
                        parameter.view(-1)[at] += 0.02
                path = folder / f"{dtype}.diff"
                dt.create(model, tuned, path, operation="add")
                prepared = dt.prepare(model, path)

                def cycle() -> None:
                    dt.attach(model, prepared).detach()  # noqa: B023

                after = model
            else:
                after = peft.get_peft_model(model, adapters[name])
                with torch.no_grad():
                    for n, p in after.named_parameters():
                        if "lora_B" in n or "shira_weight" in n:
                            p.normal_(0, 0.02)

                def cycle() -> None:
                    after.merge_adapter()  # noqa: B023
                    after.unmerge_adapter()  # noqa: B023

            start = time.perf_counter()
            for _ in range(1000):
                cycle()
            each = time.perf_counter() - start
            differ, largest, total = 0, 0.0, 0
            for n, p in after.named_parameters():
                key = n.removeprefix("base_model.model.").replace(".base_layer", "")
                if key in before:
                    there, was = p.detach().float(), before[key].float()
                    differ += int((there != was).sum())
                    largest = max(largest, float((there - was).abs().max()))
                    total += p.numel()
            assert total == sum(p.numel() for p in before.values())
            kind = str(dtype).removeprefix("torch.")
            print(f"{kind:9} {name:12} {differ:9} of {total}   {largest:18.2g}   {each:.2f} ms")


def _save(path: Path, tensors: dict[str, Any]) -> None:
    from safetensors.numpy import save_file

    save_file(tensors, path)


if __name__ == "__main__":
    parts = {"attach": attach, "apply": apply, "create": create, "cycles": cycles}
    for part in sys.argv[1:] or parts:
        with tempfile.TemporaryDirectory() as scratch:
            parts[part](Path(scratch))
