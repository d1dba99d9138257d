"""The results of merging small deltas: by NumPy, straight from the formulas, and by the code of
others, run from where they are installed.

    merge_oracle.py FOLDER > Resources/merge_oracle.json

FOLDER holds the packages mergekit 0.1.5 and peft 0.21.2 (their methods are called as they are),
and ties_code.py: the functions topk_values_mask, resolve_sign, resolve_zero_signs and
disjoint_merge of github.com/prateeky2806/ties-merging, src/utils/merge_utils.py.
"""

import importlib.util
import itertools
import json
import sys
from types import SimpleNamespace

import numpy as np
import torch

sys.path.insert(0, sys.argv[1])
import ties_code
from mergekit.merge_methods.generalized_task_arithmetic import ConsensusMethod
from mergekit.merge_methods.generalized_task_arithmetic import GeneralizedTaskArithmeticMerge
from mergekit.merge_methods.model_stock import model_stock_merge_method
from mergekit.merge_methods.ram import ram_merge, ramplus_tl_merge
from mergekit.merge_methods.sce import sce_merge
from mergekit.sparsify import SparsificationMethod

SHAPES = {"a.weight": (6, 8), "b.bias": (20,), "c.weight": (3, 4, 5)}
DENSITY = 0.45
COUNT = 4
WEIGHTS = [1.0, 0.5, -0.75, 2.0]


def deltas():
    """Per diff and tensor. Magnitudes differ, so that there are no ties to break."""
    rng = np.random.default_rng(20)
    out = []
    for _ in range(COUNT):
        diff = {}
        for name, shape in SHAPES.items():
            values = rng.standard_normal(shape).astype(np.float32)
            values[rng.random(shape) > DENSITY] = 0
            diff[name] = values.astype(np.float64)
        out.append(diff)
    # Sums of zero of what is left, for the majority: in a tensor, twice.
    for at in (3, 7):
        for diff in out:
            diff["b.bias"][at] = 0
    out[0]["b.bias"][3], out[1]["b.bias"][3] = 3.5, -3.5
    out[2]["b.bias"][7], out[3]["b.bias"][7] = -4.5, 4.5
    # A diff that lacks a tensor.
    out[2]["c.weight"][:] = 0
    return out


DELTAS = deltas()


def stacked(name):
    return np.stack([diff[name] for diff in DELTAS])


def by_tensor(body):
    return {name: np.asarray(body(stacked(name)), dtype=np.float64) for name in SHAPES}


def weights_like(stack, weights):
    return np.asarray(weights).reshape((-1,) + (1,) * (stack.ndim - 1))


# From the formulas, in NumPy.


def weighted_sum(weights, scale=1.0):
    return by_tensor(lambda t: scale * (weights_like(t, weights) * t).sum(0))


def average(weights):
    return by_tensor(lambda t: (weights_like(t, weights) * t).sum(0) / sum(weights))


def top(values, count):
    order = np.argsort(-np.abs(values).reshape(-1), kind="stable")
    kept = np.zeros(values.size, bool)
    kept[order[:count]] = True
    return np.where(kept.reshape(values.shape), values, 0)


def elect(kept, weights, zero_sign):
    sign = np.sign(kept.sum(0))
    sign[sign == 0] = zero_sign
    agree = (np.sign(kept) == sign) & (kept != 0)
    total = (weights_like(kept, weights) * kept * agree).sum(0)
    return total / np.maximum(agree.sum(0), 1)


def flat(diff):
    return np.concatenate([diff[name].reshape(-1) for name in sorted(SHAPES)])


def unflat(vector):
    out, at = {}, 0
    for name in sorted(SHAPES):
        size = int(np.prod(SHAPES[name]))
        out[name] = vector[at : at + size].reshape(SHAPES[name])
        at += size
    return out


def ties_whole(density, weights):
    all_diffs = np.stack([flat(diff) for diff in DELTAS])
    count = int(all_diffs.shape[1] * density) + 1
    cuts = np.sort(np.abs(all_diffs), axis=1)[:, -count]
    kept = np.where(np.abs(all_diffs) >= cuts[:, None], all_diffs, 0)
    majority = 1 if np.sign(kept.sum(0)).sum() > 0 else -1
    return unflat(elect(kept, weights, majority))


def breadcrumbs(density, gamma, nonzeros, weights):
    def one(values):
        size = np.count_nonzero(values) if nonzeros else values.size
        keep = int(density * size)
        drop = min(int(gamma * size), size - keep)
        return top(values, keep + drop) - top(values, drop)

    return by_tensor(
        lambda t: (weights_like(t, weights) * np.stack([one(v) for v in t])).sum(0)
    )


def ram(weights):
    def one(t):
        count = (t != 0).sum(0)
        return (weights_like(t, weights) * t).sum(0) / np.maximum(count, 1)

    return by_tensor(one)


def ram_plus_whole(rate, limit):
    count = sum((flat(diff) != 0).astype(int) for diff in DELTAS)
    factors = []
    for diff in DELTAS:
        mine = flat(diff) != 0
        shared, alone = (mine & (count > 1)).sum(), (mine & (count == 1)).sum()
        factors.append(1 + rate * min(shared / alone, limit))

    def one(t):
        count = (t != 0).sum(0)
        return np.where(
            count == 1, (weights_like(t, factors) * t).sum(0), t.sum(0) / np.maximum(count, 1)
        )

    return by_tensor(one)


def sce(density):
    def one(t):
        variance = t.var(0)
        kept = top(variance, int(np.count_nonzero(variance) * density)) != 0
        t = t * kept
        squares = (t**2).reshape(COUNT, -1).mean(1)
        sign = np.where(t.sum(0) >= 0, 1, -1)
        weight = weights_like(t, squares / squares.sum()) * (np.sign(t) == sign)
        return (weight * t).sum(0) / np.where(weight.sum(0) > 0, weight.sum(0), 1)

    return by_tensor(one)


def model_stock():
    def one(t):
        rows = t.reshape(COUNT, -1)
        cosines = []
        for a, b in itertools.combinations(rows, 2):
            norms = np.linalg.norm(a) * np.linalg.norm(b)
            cosines.append(a @ b / norms if norms > 0 else 0)
        c = np.mean(cosines)
        return COUNT * c / (1 + (COUNT - 1) * c) * t.mean(0)

    return by_tensor(one)


# By the code of others.


def group(stack):
    entries = [SimpleNamespace(tensor=torch.tensor(v), id=i) for i, v in enumerate(stack)]
    base = SimpleNamespace(tensor=torch.zeros(stack.shape[1:], dtype=torch.float64))
    return SimpleNamespace(base=base, non_base=entries)


def mergekit(consensus, sparsification, normalize, density=1.0, weights=None, scale=1.0, **more):
    method = GeneralizedTaskArithmeticMerge(
        consensus_method=consensus, sparsification_method=sparsification,
        default_normalize=normalize, default_rescale=False, method_name="",
        method_pretty_name="", method_reference_url="")
    weights = weights or [1.0] * COUNT
    parameters = {
        "weight": dict(enumerate(weights)), "density": {i: density for i in range(COUNT)},
        "normalize": normalize, "rescale": False, "int8_mask": False, "lambda": scale}
    parameters |= {key: {i: value for i in range(COUNT)} for key, value in more.items()}
    return by_tensor(lambda t: method.merge_group(group(t), **parameters))


def peft(density, weights):
    spec = importlib.util.spec_from_file_location(
        "merge_utils", sys.argv[1] + "/peft/utils/merge_utils.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return by_tensor(
        lambda t: module.ties([torch.tensor(v) for v in t], torch.tensor(weights), density))


def ties_merging(density):
    kept, _ = ties_code.topk_values_mask(
        torch.tensor(np.stack([flat(diff) for diff in DELTAS])), K=density)
    signs = ties_code.resolve_sign(kept, "mass")
    return unflat(ties_code.disjoint_merge(kept, "dis-mean", signs).numpy())


CASES = []


def case(source, result, **options):
    CASES.append({
        "source": source, "options": options,
        "result": {name: values.reshape(-1).tolist() for name, values in result.items()}})


ONES = [1.0] * COUNT
case("NumPy", weighted_sum(ONES), method="sum")
case("NumPy", weighted_sum(WEIGHTS, 0.7), method="sum", weights=WEIGHTS, scale=0.7)
case("NumPy", average(ONES), method="average")
case("NumPy", average(WEIGHTS), method="average", weights=WEIGHTS)
for density in (0.1, 0.25, 0.4, 0.99):
    for weights in (ONES, WEIGHTS):
        case("NumPy", ties_whole(density, weights), method="ties", density=density,
             weights=weights)
        case("mergekit", mergekit(ConsensusMethod.sum, SparsificationMethod.magnitude, True,
             density, weights), method="ties", variant="mergekit", density=density,
             weights=weights)
        case("PEFT", peft(density, weights), method="ties", variant="peft", density=density,
             weights=weights)
    case("ties-merging", ties_merging(density), method="ties", density=density)
for density, gamma in ((0.2, 0.05), (0.3, 0.01), (0.9, 0.3)):
    case("mergekit", mergekit(None, SparsificationMethod.magnitude_outliers, False, density,
         WEIGHTS, 1.5, gamma=gamma), method="breadcrumbs", density=density, gamma=gamma,
         weights=WEIGHTS, scale=1.5)
    case("mergekit", mergekit(ConsensusMethod.sum, SparsificationMethod.magnitude_outliers, False,
         density, WEIGHTS, gamma=gamma), method="breadcrumbs-ties", variant="mergekit",
         density=density, gamma=gamma, weights=WEIGHTS)
    case("NumPy", breadcrumbs(density, gamma, True, WEIGHTS), method="breadcrumbs",
         density=density, densityOf="nonzeros", gamma=gamma, weights=WEIGHTS)
case("NumPy", ram(WEIGHTS), method="ram", weights=WEIGHTS)
case("mergekit", by_tensor(lambda t: ram_merge.implementation(group(t), epsilon=0.0)), method="ram")
case("NumPy", ram_plus_whole(0.3, 5), method="ram-plus", ramRate=0.3, ramLimit=5.0)
case("mergekit", by_tensor(lambda t: ramplus_tl_merge.implementation(group(t), r=0.3, alpha=5.0, epsilon=1e-9)),
     method="ram-plus", variant="mergekit", ramRate=0.3, ramLimit=5.0)
for density in (0.3, 0.6, 1.0):
    case("NumPy", sce(density), method="sce", density=density)
    case("mergekit", by_tensor(lambda t: sce_merge.implementation(group(t), select_topk=density)), method="sce",
         density=density)
case("NumPy", model_stock(), method="model-stock")
case("mergekit", by_tensor(lambda t: model_stock_merge_method.implementation(group(t))), method="model-stock")

json.dump({
    "tensors": [{"name": name, "shape": SHAPES[name]} for name in sorted(SHAPES)],
    "deltas": [{name: diff[name].reshape(-1).tolist() for name in SHAPES} for diff in DELTAS],
    "cases": CASES}, sys.stdout)
print()
