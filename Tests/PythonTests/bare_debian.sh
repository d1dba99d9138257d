#!/usr/bin/env bash
# Installs a wheel where there is neither Swift nor any library of ours, a Debian of debootstrap with
# Python alone, and does there what README.md shows, but for PyTorch:
#
#   Tests/PythonTests/bare_debian.sh WHEEL FOLDER [TARBALL]
#
# FOLDER keeps the Debian for the next run. With a tarball of the programs (.ci/release), these are
# tried too. Needs root and debootstrap.
set -euo pipefail
wheel=$(realpath "$1")
root=$(realpath -m "$2")
[[ -x $root/usr/bin/python3 ]] || {
  rm -rf "$root"
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates \
    "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root" >"$root.log" 2>&1 || {
    tail -5 "$root.log" >&2
    exit 1
  }
}
rm -rf "$root/trial"
mkdir "$root/trial"
cp "$wheel" "$root/trial"
[[ -z ${3-} ]] || tar -C "$root/trial" --one-top-level=tarball --strip-components=1 -xzf "$3"
# NumPy is fetched outside: the Debian inside needs no network.
pip download --quiet --disable-pip-version-check --only-binary :all: --dest "$root/trial" \
  --python-version "$(chroot "$root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')" \
  numpy
# README's Python example, without the lines on a model of PyTorch.
sed -n '/<!-- ci: python -->/,/^```$/p' "$(dirname "$0")/../../README.md" |
  grep -v '^<!--\|^```\|attached' | sed 's/, diffkit\.torch//' >"$root/trial/example.py"
cat >"$root/trial/trial.py" <<'PYTHON'
import os
import subprocess
import tempfile

import diffkit
import numpy as np

assert not any(
    os.path.exists(f"/usr/lib/x86_64-linux-gnu/{name}")
    for name in (
        "libhdf5_serial.so.103", "libaec.so.0", "libdnnl.so.2", "libgomp.so.1", "libyaml-0.so.2",
        "libcurl.so.4",
    )
), "this Debian is not bare"
base = {"w": np.arange(100_000, dtype="f4"), "b": np.zeros(10, "f4")}
tuned = {name: array.copy() for name, array in base.items()}
tuned["w"][::200] += 1
diffkit.create(base, tuned, "task.diff", metadata={"task": "t"})
with diffkit.open("task.diff") as diff:
    weights = {name: array.copy() for name, array in base.items()}
    undo = diff.apply(weights)
    assert np.array_equal(weights["w"], tuned["w"])
    undo.restore()
    assert np.array_equal(weights["w"], base["w"])


def safetensors(path, tensors):
    """A file of the format, by hand: the package of that name is not here."""
    import json

    header, data = {}, b""
    for name, array in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + data)


with open("example.py") as file:
    example = file.read()
assert "undo.restore()" in example and "output=" in example and "torch" not in example, example
here = os.getcwd()
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    safetensors("base.safetensors", base)
    weights = {name: array.copy() for name, array in base.items()}
    exec(example, {"base": base, "tuned": tuned, "weights": weights})
    assert all(np.array_equal(weights[name], base[name]) for name in base)
    assert diffkit.verify("task.diff", "tuned.safetensors").state == "applied"
    os.chdir(here)
safetensors("base.safetensors", base)
safetensors("tuned.safetensors", tuned)
done = diffkit.apply("base.safetensors", "task.diff", output="made.safetensors")
assert done.outcome == "written"
assert diffkit.compare("made.safetensors", "tuned.safetensors").same
# HDF5, in the helper program, there and back.
diffkit.convert("base.safetensors", "base.h5")
diffkit.apply("base.h5", "task.diff", output="made.h5")
assert diffkit.verify("task.diff", "made.h5").state == "applied"
assert diffkit.compare("made.h5", "tuned.safetensors").same
diffkit.revert("made.h5", "task.diff", output="back.h5")
assert diffkit.compare("back.h5", "base.safetensors").same
# Recipes, by libyaml; servers, by nothing, in one line.
diffkit.create(base, tuned, "add.diff", operation="add")
with open("recipe.yml", "w") as file:
    file.write("merge_method: linear\nmodels:\n  - {model: add.diff, parameters: {weight: 1}}\n")
diffkit.merge("recipe.yml", output="merged.diff")
try:
    diffkit.apply("base.h5", "https://127.0.0.1:1/task.diff", output="none.h5")
except diffkit.Unsupported as refused:
    assert "fetch the file first" in str(refused) and "\n" not in str(refused)
# oneDNN is found: what needs it starts, and says what it lacks.
answer = subprocess.run(["diffkit", "train", "--help"], capture_output=True, text=True)
assert answer.returncode == 0, answer.stderr
print("bare Debian:", diffkit.version(), "works")
PYTHON
unset DIFFKIT_LIBRARY DIFFKIT_PROGRAM PYTHONPATH
# /proc is mounted for the trial alone: the mount goes with the namespace.
unshare --mount bash -ec 'mount -t proc proc "$1/proc" && exec chroot "$1" bash -ec "$2"' - "$root" '
  cd /trial
  python3 -m venv environment
  environment/bin/pip install --quiet --disable-pip-version-check --no-index --find-links . diffkit
  PATH=/trial/environment/bin:$PATH environment/bin/python trial.py
  [ ! -d tarball ] || {
    rm -f *.diff *.safetensors *.h5
    PATH=/trial/tarball/bin:$PATH DIFFKIT_PROGRAM=/trial/tarball/bin/diffkit \
      environment/bin/python trial.py
  }'
