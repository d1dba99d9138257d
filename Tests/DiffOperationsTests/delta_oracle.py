"""Deltas made, and applied, by the tools whose formats `diffkit convert` reads and writes.

    delta_oracle.py make FOLDER [DISK_DELTA]
    delta_oracle.py apply BASE DELTA TUNED [LOCAL_CHECKPOINT]

`make` writes a base, a tuned checkpoint and deltas between them to a folder: Fireworks' by
fireworks-delta-compression (PyPI), and if DISK_DELTA names slime's slime/utils/disk_delta.py, the
folders `weight_v000001` of slime by its functions. `apply` takes a delta that diffkit wrote and
requires that the tool makes the tuned checkpoint of it: a folder `weight_vNNNNNN` by SGLang's
python/sglang/srt/weight_sync/local_checkpoint.py, anything else by Fireworks' package.

Needs torch, numpy, safetensors, zstandard, xxhash, blake3, fireworks-delta-compression.
"""

import importlib.util
import json
import os
import pathlib
import shutil
import sys
import tempfile

import fireworks_delta_compression.compression as fireworks
import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
import zstandard

SHARDS = {
    "model-00001-of-00002.safetensors": ("model.embed.weight", "model.scale", "model.empty"),
    "model-00002-of-00002.safetensors": (
        "model.0.codes", "model.0.fp8.weight", "model.0.norm.weight", "model.0.same.weight",
    ),
}  # fmt: skip


def load(path):
    """A module from a file."""
    spec = importlib.util.spec_from_file_location(pathlib.Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tensors():
    """Tensors of many types before and after a step."""
    random = torch.Generator().manual_seed(21)

    def normal(*shape):
        return torch.randn(*shape, generator=random)

    base = {
        "model.embed.weight": normal(40, 24).to(torch.bfloat16),
        "model.scale": torch.tensor(0.5),
        "model.empty": torch.zeros(0, 4),
        "model.0.codes": torch.randint(-128, 128, (300,), generator=random, dtype=torch.int8),
        "model.0.fp8.weight": normal(24, 16).to(torch.float8_e4m3fn),
        "model.0.norm.weight": normal(24, 8),
        "model.0.same.weight": normal(10, 10).to(torch.float16),
    }
    tuned = {}
    for name, tensor in base.items():
        # Flips bits at some offsets, whatever the type; this may make NaN or infinity.
        data = tensor.clone().reshape(-1).view(torch.uint8)
        if "same" not in name:
            data[:: 7 if "codes" in name else 23] ^= 0x81
        tuned[name] = data.view(tensor.dtype).reshape(tensor.shape)
    return base, tuned


def write(folder, contents):
    """Writes a checkpoint of several files."""
    folder.mkdir()
    weight_map = {}
    for file, names in SHARDS.items():
        safetensors.torch.save_file({name: contents[name] for name in names}, folder / file)
        weight_map.update(dict.fromkeys(names, file))
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text('{"model_type": "none"}\n')


def raw(tensor):
    return tensor.reshape(-1).view(torch.uint8).numpy()


def write_version(folder, slime, contents, encoding, checksum):
    """Writes a step as slime publishes it, with its encoder and settings."""
    folder.mkdir(parents=True)
    before, after = contents
    deltas, checksums = {}, {}
    for name in before:
        old, new = raw(before[name]), raw(after[name])
        mask = old != new
        if not mask.any():
            continue
        diff = old ^ new if encoding == "xor" else slime.overwrite_encode(new, mask)
        packed = zstandard.ZstdCompressor(level=1).compress(diff)
        deltas[name] = np.frombuffer(packed, dtype=np.uint8)
        checksums[name] = slime.checksum(checksum, new)
    weight_map = {}
    for number, names in enumerate([list(deltas)[:2], list(deltas)[2:]]):
        if not names:
            continue
        file = f"model-{number:05d}-of-00002.safetensors"
        blob = safetensors.numpy.save(
            {name: deltas[name] for name in names},
            metadata={name: checksums[name] for name in names},
        )
        (folder / file).write_bytes(blob)
        weight_map.update(dict.fromkeys(names, file))
    index = {
        "metadata": {
            "version": "000001",
            "base_version": "000000",
            "delta_encoding": encoding,
            "compression_format": "zstd",
            "checksum_format": checksum,
        },
        "weight_map": weight_map,
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def make(folder, disk_delta=None):
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    base, tuned = tensors()
    write(folder / "base", base)
    write(folder / "tuned", tuned)
    for name in ("arc_v1", "arc_v2"):
        fireworks.delta_compress_dirs(folder / "base", folder / "tuned", folder / name, name)
    few = {"model.scale": base["model.scale"]}, {"model.scale": tuned["model.scale"]}
    fireworks.delta_compress_dicts_to_file(
        src=few[0], dst=few[1], diff_file=folder / "arc_v3.safetensors", compression_format="arc_v3"
    )
    if disk_delta is None:
        return
    slime = load(disk_delta)
    for encoding, checksum in (
        ("xor", "xxh3-128"), ("xor", "adler32"), ("overwrite", "xxh3-128"), ("xor", "blake3"),
    ):  # fmt: skip
        target = folder / f"{encoding}-{checksum}" / "weight_v000001"
        write_version(target, slime, (base, tuned), encoding, checksum)
    write_version(folder / "unchanged" / "weight_v000001", slime, (base, base), "xor", "xxh3-128")
    # An output layer that is tied to the embedding: the delta names both, the base stores one.
    name = "model.embed.weight"
    tied = [{name: side[name], "lm_head.weight": side[name]} for side in (base, tuned)]
    write_version(folder / "tied" / "weight_v000001", slime, tied, "xor", "xxh3-128")


def contents(path):
    """The bytes of all tensors of a checkpoint."""
    path = pathlib.Path(path)
    files = [path] if path.is_file() else sorted(path.glob("*.safetensors"))
    found = {}
    for file in files:
        for name, tensor in safetensors.torch.load_file(file).items():
            found[name] = (tensor.dtype, tuple(tensor.shape), raw(tensor).tobytes())
    return found


def apply(base, delta, tuned, local_checkpoint=None):
    delta = pathlib.Path(delta).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        made = pathlib.Path(scratch) / "made"
        if delta.name.startswith("weight_v"):
            receiver = load(local_checkpoint)
            version = int(delta.name[len("weight_v") :])
            shutil.copytree(base, made)
            (made / receiver.SYNC_DIR).mkdir()
            receiver._write_applied_version(str(made), version - 1)
            receiver.pull(str(made), str(base), str(delta.parent), version)
        elif delta.is_dir():
            shutil.copytree(base, made)
            for file in sorted(os.listdir(delta)):
                if file.endswith(".safetensors"):
                    kind = "arc_v1" if "v1" in delta.name else "arc_v2"
                    fireworks.decompress_delta_into_source(
                        str(delta / file), str(made / file), kind
                    )
        else:
            shutil.copyfile(base, made)
            kind = "arc_v1" if "v1" in delta.name else "arc_v2"
            fireworks.decompress_delta_into_source(str(delta), str(made), kind)
        assert contents(made) == contents(tuned), f"{delta}: another result"
    print(f"{delta.name}: the tuned checkpoint, bit for bit")


if __name__ == "__main__":
    {"make": make, "apply": apply}[sys.argv[1]](*sys.argv[2:])
