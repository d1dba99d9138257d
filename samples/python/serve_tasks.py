"""One model in memory, three tasks: from one to the other in milliseconds, and back to the base.

python serve_tasks.py
"""

import copy
import tempfile
import time
from pathlib import Path

import diffkit.torch
import torch

TASKS = ("reviews", "spam", "questions")


def finetuned(model: torch.nn.Module, seed: int) -> torch.nn.Module:
    """Stands in for a finetune: half a percent of the weights differ."""
    tuned = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in tuned.parameters():
            mask = torch.rand(parameter.shape, generator=generator) < 0.005
            parameter += 0.01 * mask
    return tuned


def main() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(512, 2048), torch.nn.ReLU(), torch.nn.Linear(2048, 512)
    )
    inputs = torch.randn(4, 512)
    base = model(inputs)
    with tempfile.TemporaryDirectory() as folder:
        paths = {task: Path(folder) / f"{task}.diff" for task in TASKS}
        for seed, (task, path) in enumerate(paths.items()):
            made = diffkit.torch.create(
                model, finetuned(model, seed), path, metadata={"task": task}
            )
            print(f"{task}: {made.changes} changes, {made.size} bytes")
        # Decoded and verified once, before anything is attached.
        tasks = {task: diffkit.torch.prepare(model, path) for task, path in paths.items()}

    attached = diffkit.torch.attach(model, tasks["reviews"])
    for task in ("spam", "questions", "reviews"):
        start = time.perf_counter()
        attached = attached.switch(tasks[task])
        print(f"{task}: {1e3 * (time.perf_counter() - start):.2f} ms, {model(inputs).sum():.4f}")
    attached.detach()
    assert torch.equal(model(inputs), base)
    print("the base again, bit for bit")


if __name__ == "__main__":
    main()
