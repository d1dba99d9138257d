"""Trains a diff of few weights of a PyTorch model: diff pruning, by gates.

    python diff_pruning.py

The model is used as always; `step` takes the place of the optimizer's. The same runs on a GPU, and
under DistributedDataParallel.
"""

import copy
import tempfile
from pathlib import Path

import diffkit.torch
import torch


def main() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential()
    model.append(torch.nn.Linear(32, 128))
    model.append(torch.nn.Tanh())
    model.append(torch.nn.Linear(128, 128))
    model.append(torch.nn.Tanh())
    model.add_module("classifier", torch.nn.Linear(128, 2))
    base = copy.deepcopy(model)
    inputs = torch.randn(1024, 32)
    labels = (inputs[:, 0] * inputs[:, 1] > 0).long()

    steps = 300
    pruning = diffkit.torch.DiffPruning(
        model, 0.02, head=["classifier.*"], gate_steps=steps, fixed_steps=steps,
        learning_rate=5e-3, fixed_learning_rate=2e-2, head_learning_rate=5e-3,
    )  # fmt: skip
    for step in range(2 * steps):
        rows = slice(step * 64 % 1024, step * 64 % 1024 + 64)
        torch.nn.functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()
        pruning.step()

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task.diff"
        made = pruning.save(path, metadata={"task": "signs"})
        with diffkit.torch.attach(base, path):
            accuracy = (base(inputs).argmax(1) == labels).float().mean()
    share = made.changes / pruning.elements
    print(f"{made.changes} of {pruning.elements} weights ({share:.1%}), {made.size} bytes")
    print(f"base and diff: accuracy {accuracy:.3f}")
    accuracy = (base(inputs).argmax(1) == labels).float().mean()
    print(f"the base again: accuracy {accuracy:.3f}")


if __name__ == "__main__":
    main()
