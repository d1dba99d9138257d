"""Files of other tools with the changes of a small diff, by NumPy, h5py, safetensors and PEFT.

    exchange_oracle.py FOLDER Resources/exchange

FOLDER holds the packages peft 0.21.2 and accelerate. Written are a base, the files, and what they
add to which tensors (expected.json).
"""

import json
import pathlib
import sys

import h5py
import numpy as np
import torch
from safetensors.numpy import save_file

sys.path.insert(0, sys.argv[1])
from peft import ShiraConfig, get_peft_model

OUT = pathlib.Path(sys.argv[2])
OUT.mkdir(parents=True, exist_ok=True)
SHAPES = {"dense.weight": (4, 6), "out.weight": (3, 4), "out.bias": (3,), "conv.weight": (2, 3, 5)}
rng = np.random.default_rng(30)
deltas = {}
for name, shape in SHAPES.items():
    values = rng.standard_normal(shape).astype(np.float32)
    values[rng.random(shape) > 0.4] = 0
    deltas[name] = values
deltas["out.bias"][1] = 0.5
head = np.arange(6, dtype=np.float32).reshape(2, 3)

base = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()}
save_file(base, OUT / "base.safetensors")

# A list of coordinates, flat.
coo = {}
for name, values in deltas.items():
    indices = np.flatnonzero(values)
    coo[name + "/indices"] = indices
    coo[name + "/values"] = values.reshape(-1)[indices]
    coo[name + "/shape"] = np.array(values.shape)
coo["head.weight/tensor"] = head
np.savez(OUT / "coo.npz", **coo)
np.savez_compressed(OUT / "coo-deflated.npz", **coo)
with h5py.File(OUT / "sparse.h5", "w") as file:
    for name, array in coo.items():
        file[name] = array

# Arrays of 2^26 elements that are stored nowhere.
with h5py.File(OUT / "huge-claim.h5", "w") as file:
    for kind, dtype in ("indices", "<i8"), ("values", "<f4"):
        file.create_dataset(f"dense.weight/{kind}", (1 << 26,), dtype, chunks=(1 << 16,))
    file["dense.weight/shape"] = np.array([4, 6], "<i8")

# As composable-sft counts positions: a multiplier for each dimension, that of the first one 1.
sft = {"head/head.weight": head}
for name, values in deltas.items():
    multipliers = np.cumprod([1] + list(values.shape)[:-1])
    coordinates = np.stack(np.nonzero(values))
    indices = multipliers @ coordinates
    order = np.argsort(indices)
    sft[f"body/{name}/size"] = np.array(values.shape)
    sft[f"body/{name}/index_steps"] = np.diff(indices[order], prepend=0).astype(np.int32)
    sft[f"body/{name}/values"] = values[tuple(coordinates)][order]
np.savez(OUT / "sft.npz", **sft)


# PEFT's own adapter.
class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.dense = torch.nn.Linear(6, 4)
        self.out = torch.nn.Linear(4, 3)


torch.manual_seed(0)
config = ShiraConfig(
    r=1, target_modules=["dense", "out"], init_weights=False, random_seed=1)
model = get_peft_model(Model(), config)
model.save_pretrained(OUT / "peft")
(OUT / "peft" / "adapter_model.safetensors").rename(OUT / "shira.safetensors")
for leftover in (OUT / "peft").iterdir():
    leftover.unlink()
(OUT / "peft").rmdir()
shira = {
    module + ".weight": getattr(model.base_model.model, module).get_delta_weight("default")
    for module in ("dense", "out")}

json.dump({
    "deltas": {name: values.reshape(-1).tolist() for name, values in deltas.items()},
    "head": head.reshape(-1).tolist(),
    "shira": {
        name: values.to_dense().detach().reshape(-1).tolist() for name, values in shira.items()},
}, open(OUT / "expected.json", "w"))
