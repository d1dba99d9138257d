"""Writes Resources/adamw.json: twenty steps of PyTorch's AdamW on small tensors.

    adamw_oracle.py Resources/adamw.json

Starts and gradients are functions of a seed, computed by the test as well; of the table only some
rows have gradients. Needs torch; written with 2.13.
"""

import json
import sys

import torch

from random_texts import SplitMix64

random = SplitMix64(4)


def numbers(count, scale):
    return [((random.next() >> 40) / 2**23 - 1) * scale for _ in range(count)]


runs = []
for decay, clip in [(0.0, None), (0.0, 0.05), (0.01, 1.0)]:
    matrix = torch.tensor(numbers(15, 0.5)).requires_grad_()
    table = torch.tensor(numbers(24, 0.5)).reshape(6, 4).requires_grad_()
    optimizer = torch.optim.AdamW([matrix, table], lr=1e-2, eps=1e-8, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda t: t / 5 if t < 5 else max(0, 20 - t) / 15)
    steps = []
    for step in range(20):
        matrix.grad = torch.tensor(numbers(15, 0.1))
        table.grad = torch.zeros(6, 4)
        for row in (step % 3, 4):
            if row != 4 or step in (2, 9):
                table.grad[row] = torch.tensor(numbers(4, 0.1 if step % 4 else 1e-7))
        norm = torch.nn.utils.clip_grad_norm_([matrix, table], clip or 1e30)
        optimizer.step()
        schedule.step()
        steps.append({
            "norm": norm.item(), "matrix": matrix.tolist(), "table": table.flatten().tolist()})
    runs.append({"decay": decay, "clip": clip, "steps": steps[::4] + steps[-1:]})
with open(sys.argv[1], "w") as out:
    json.dump(runs, out, separators=(",", ":"))
    out.write("\n")
