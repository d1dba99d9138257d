"""Writes three steps of hard-concrete gates by PyTorch's autograd in float64, with given draws.

    gates.py > Resources/gates.json

Every element of the table has separate gates here, read or not; diffkit keeps one row for all rows
that were never read. Draws come from the formula in CKernels/gates.c, implemented again.
"""

import json

import numpy as np
import torch

from random_texts import MASK, SplitMix64

torch.set_default_dtype(torch.float64)
SEED, LAMBDA, RATE_W, RATE_A, CLIP_W, CLIP_A, EPS = 7, 0.01, 0.02, 0.1, 0.5, 0.25, 1e-8
Q, O = "encoder.layer.0.attention.self.query.weight", "encoder.layer.0.attention.output.dense.weight"
SHAPES = {"table": (7, 4), Q: (4, 4), O: (4, 4), "bias": (5,)}
TOUCHED = [[4, 1], [4, 5], [0, 1]]
HEAD_SIZE = 2


def keys(step, stream):
    key = SplitMix64(SEED).next()
    key = SplitMix64((key + step) & MASK).next()
    key = SplitMix64((key + stream) & MASK).next()
    return key & 0xFFFFFFFF, key >> 32


def chance(step, stream, positions):
    low, high = keys(step, stream)
    x = (positions.astype(np.uint64) + low) & 0xFFFFFFFF
    x ^= x >> 16
    x = (x * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) + high) & 0xFFFFFFFF
    x = (x * 0x846CA68B) & 0xFFFFFFFF
    x ^= x >> 16
    return torch.tensor(((x >> 9).astype(np.float64) + 0.5) / 2**23)


def gate(u, location, slope="drawn"):
    s = torch.sigmoid(torch.log(u) - torch.log(1 - u) + location)
    z = torch.clamp(s * 3 - 1.5, 0, 1)
    if slope == "drawn":
        return z
    # The value of z, the derivative of sigmoid(location - log 2).
    q = torch.sigmoid(location - np.log(2))
    return z.detach() + q - q.detach()


def groups_of(name, shape, grouping):
    """Returns the number of groups of a tensor, and the group of each element."""
    rows, columns = (shape[0], shape[1]) if len(shape) == 2 else (1, shape[0])
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    matrix = rows > 1
    if grouping == "row" and matrix:
        index, count = row, rows
    elif grouping == "column" and matrix:
        index, count = column, columns
    elif grouping == "head" and name == Q:
        index, count = row // HEAD_SIZE, rows // HEAD_SIZE
    elif grouping == "head" and name == O:
        index, count = column // HEAD_SIZE, columns // HEAD_SIZE
    else:
        index, count = row * 0, 1
    return count, torch.tensor(index.reshape(-1))


def adam(value, gradient, m, v, t, rate, scale):
    g = gradient * scale
    m.mul_(0.9).add_(0.1 * g)
    v.mul_(0.999).add_(0.001 * g * g)
    return value - rate / (1 - 0.9**t) * m / (torch.sqrt(v / (1 - 0.999**t)) + EPS)


def run(grouping, penalty, random, slope="drawn"):
    start, offsets, at, group, members = 0, {}, 0, {}, {}
    for name, shape in SHAPES.items():
        count = int(np.prod(shape))
        offsets[name] = np.arange(at, at + count)
        at = (at + count + 15) // 16 * 16
        n, index = groups_of(name, shape, grouping)
        members[name] = index + start
        group[name] = (start, n)
        # Unseen rows share a group where rows have groups, numbered after them.
        start += n + (1 if grouping == "row" and name == "table" else 0)
    base = {n: torch.tensor(random.normal(size=len(o))) for n, o in offsets.items()}
    # The base, rounded to float32.
    base = {n: b.float().double() for n, b in base.items()}
    w = {n: torch.zeros(len(o)) for n, o in offsets.items()}
    a = {n: torch.full((len(o),), 5.0) for n, o in offsets.items()}
    ag = torch.full((start,), 5.0)
    zero = lambda: ({n: torch.zeros(len(o)) for n, o in offsets.items()}, torch.zeros(start))
    wm, wv, (am, agm), (av, agv) = zero()[0], zero()[0], zero(), zero()
    seen = torch.zeros(len(offsets["table"]), dtype=torch.bool)
    steps = []

    def values(step, w, a, ag):
        zg = gate(chance(step, 1, np.arange(start)), ag, slope) if grouping != "none" else torch.ones(start)
        return {
            n: base[n] + gate(chance(step, 0, offsets[n]), a[n], slope) * zg[members[n]] * w[n] for n in w
        }

    for step in range(3):
        gradient = {n: torch.tensor(random.normal(size=len(o))).float().double() for n, o in offsets.items()}
        rows = torch.zeros(len(seen), dtype=torch.bool)
        for row in TOUCHED[step]:
            rows[row * 4 : row * 4 + 4] = True
        gradient["table"] = gradient["table"] * rows
        seen |= rows
        leaf = lambda x: x.clone().requires_grad_()
        lw, la, lag = {n: leaf(x) for n, x in w.items()}, {n: leaf(x) for n, x in a.items()}, leaf(ag)
        theta = values(step, lw, la, lag)
        loss = sum((theta[n] * gradient[n]).sum() for n in theta)
        pg = torch.sigmoid(lag) if grouping != "none" else torch.ones(start)
        if penalty == "product":
            price = sum((torch.sigmoid(la[n]) * pg[members[n]]).sum() for n in la)
        else:
            price = sum(torch.sigmoid(x).sum() for x in la.values())
            if grouping != "none":
                price = price + sum(torch.sigmoid(lag[s : s + c]).sum() for s, c in group.values())
        (loss + LAMBDA * price).backward()
        with torch.no_grad():
            counted = {n: seen if n == "table" else torch.ones(len(a[n]), dtype=torch.bool) for n in a}
            total = sum(len(x) for x in a.values())
            record = {
                "gradients": {n: g.tolist() for n, g in gradient.items()},
                "weight_gradients": {n: x.grad.tolist() for n, x in lw.items()},
                "gate_gradients": {n: x.grad.tolist() for n, x in la.items()},
                "weight_norm": sum((x.grad**2).sum() for x in lw.values()).item(),
                "gate_norm": (sum((x.grad**2).sum() for x in la.values()) + ((lag.grad**2).sum() if grouping != "none" else 0)).item(),
                "expected": (sum((torch.sigmoid(a[n]) * pg[members[n]] * counted[n]).sum() for n in a) / total).item(),
                "twice_open": (sum(((torch.sigmoid(a[n]) * pg[members[n]]) ** 2 * counted[n]).sum() for n in a) / total).item(),
                "seen": sum(x.sum().item() for x in counted.values()) / total,
                "open": (sum(((a[n] > 0) & ((ag > 0) if grouping != "none" else torch.ones(start) > 0)[members[n]] & counted[n]).sum() for n in a) / total).item(),
            }
            for n in w:
                w[n] = adam(w[n], lw[n].grad, wm[n], wv[n], step + 1, RATE_W, CLIP_W)
                a[n] = adam(a[n], la[n].grad, am[n], av[n], step + 1, RATE_A, CLIP_A)
            if grouping != "none":
                ag = adam(ag, lag.grad, agm, agv, step + 1, RATE_A, CLIP_A)
            record["weights"] = {n: x.tolist() for n, x in w.items()}
            record["gates"] = {n: x.tolist() for n, x in a.items()}
            record["groups"] = ag.tolist()
            record["values"] = {n: x.tolist() for n, x in values(step + 1, w, a, ag).items()}
            steps.append(record)
    # Some gates closed, as they would be at the end.
    settled = lambda x: torch.clamp(torch.sigmoid(x) * 3 - 1.5, 0, 1)
    zg = settled(ag) if grouping != "none" else torch.ones(start)
    return {
        "grouping": grouping,
        "penalty": penalty,
        "slope": slope,
        "base": {n: b.tolist() for n, b in base.items()},
        "steps": steps,
        "differences": {n: (settled(a[n]) * zg[members[n]] * w[n]).tolist() for n in w},
    }


def rounded(x):
    if isinstance(x, float):
        return float(f"{x:.9g}")
    if isinstance(x, list):
        return [rounded(y) for y in x]
    return {k: rounded(v) for k, v in x.items()} if isinstance(x, dict) else x


random = np.random.default_rng(3)
cases = [run(g, p, random) for g in ["none", "tensor", "row", "column", "head"] for p in ["product", "additive"]]
cases += [run(g, p, random, "expected") for g, p in [("none", "product"), ("tensor", "product"), ("row", "additive")]]
draw = chance(5, 2, np.arange(8)).tolist()
print(json.dumps({"cases": rounded(cases), "draw": draw}, separators=(",", ":")))
