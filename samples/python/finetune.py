"""The diff of a finetune of one's own: train as always, then keep what changed.

    python finetune.py

An exact diff holds every changed bit; an additive one the largest changes, here of a tenth of the
weights.
"""

import copy
import tempfile
from pathlib import Path

import diffkit.torch
import torch


def main() -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.Tanh(), torch.nn.Linear(256, 2))
    inputs = torch.randn(256, 64)
    labels = (inputs[:, 0] * inputs[:, 1] > 0).long()

    base = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(200):
        loss = torch.nn.functional.cross_entropy(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    with tempfile.TemporaryDirectory() as folder:
        for name, options in {"exact": {}, "additive": {"density": 0.1}}.items():
            path = Path(folder) / f"{name}.diff"
            made = diffkit.torch.create(base, model, path, metadata={"task": "xor"}, **options)
            with diffkit.torch.attach(base, path):
                accuracy = (base(inputs).argmax(1) == labels).float().mean()
            print(f"{name}: {made.changes} changes, {made.size} bytes, accuracy {accuracy:.3f}")
        before = (base(inputs).argmax(1) == labels).float().mean()
        print(f"the base again: accuracy {before:.3f}")


if __name__ == "__main__":
    main()
