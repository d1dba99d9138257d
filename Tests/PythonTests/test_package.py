"""The package as it is installed."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import REPOSITORY

import diffkit

INSTALLED = Path(diffkit.__file__).parent
needs_wheel = pytest.mark.skipif(
    not (INSTALLED / "lib/libDiffKit.so").exists(), reason="the package is not installed"
)


@needs_wheel
def test_the_library_shows_its_own_functions_only() -> None:
    # The last column of global symbols that are defined.
    table = subprocess.run(
        ["readelf", "--dyn-syms", "-W", str(INSTALLED / "lib/libDiffKit.so")],
        capture_output=True,
        text=True,
    )
    if table.returncode != 0:
        pytest.skip("there is no readelf here")
    rows = [line.split() for line in table.stdout.splitlines()]
    names = [
        row[7] for row in rows if len(row) == 8 and row[4] in ("GLOBAL", "WEAK") and row[6] != "UND"
    ]
    assert "diffkit_apply" in names
    assert [name for name in names if not name.startswith("diffkit_")] == []


@needs_wheel
def test_licences_and_types_are_there() -> None:
    (information,) = INSTALLED.parent.glob("diffkit-*.dist-info")
    licences = {path.stem for path in (information / "licenses").iterdir()}
    assert {"diffkit", "swift", "hdf5", "libaec", "zlib", "zstd", "xxhash", "libyaml"} <= licences
    assert (INSTALLED / "py.typed").exists()


@needs_wheel
def test_pip_installs_the_folder(tmp_path: Path) -> None:
    # With the real backend around a native part that is there: `swift build` is the wheel's own.
    if importlib.util.find_spec("pip") is None:
        pytest.skip("there is no pip here")
    package = tmp_path / "Sources/DiffKitPython"
    shutil.copytree(REPOSITORY / "Sources/DiffKitPython", package)
    version = "Sources/DiffOperations/DiffKitVersion.swift"
    (tmp_path / version).parent.mkdir()
    shutil.copyfile(REPOSITORY / version, tmp_path / version)
    (tmp_path / "program").write_text(f"#!/bin/sh\nexec {INSTALLED}/bin/diffkit \"$@\"\n")
    library = INSTALLED / "lib/libDiffKit.so"
    (package / "backend/native.py").write_text(f"""
import types
from pathlib import Path
REPOSITORY = Path(__file__).parents[3]
def build(scratch, training):
    files = {{"lib/libDiffKit.so": Path({str(library)!r}), "bin/diffkit": REPOSITORY / "program"}}
    return types.SimpleNamespace(files=files, licences={{"diffkit.txt": b"all of it"}})
""")
    site = tmp_path / "site"
    environment = {**os.environ, "PYTHONPATH": str(site), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    answer = subprocess.run(
        [*pip, "--no-build-isolation", "--target", str(site), "./Sources/DiffKitPython"],
        cwd=tmp_path, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    program = (
        "import diffkit, importlib.metadata, numpy as np; print(diffkit.__file__); "
        "assert importlib.metadata.version('diffkit') == diffkit.version(); "
        "diffkit.create({'w': np.zeros(3)}, {'w': np.ones(3)}, 'd.diff'); "
        "print(diffkit.verify('d.diff').entries)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True,
        text=True,
    )  # fmt: skip
    assert ran.stdout.split() == [str(site / "diffkit/__init__.py"), "1"], ran.stderr
    ran = subprocess.run(
        [site / "bin/diffkit", "--version"], env=environment, capture_output=True, text=True
    )
    assert ran.stdout.strip() == diffkit.version(), ran.stderr
    assert (site / f"diffkit-{diffkit.version()}.dist-info/licenses/diffkit.txt").exists()


def test_import_brings_numpy_and_little_else() -> None:
    program = (
        "import sys, numpy; before = set(sys.modules); import diffkit; "
        "print(*sorted(name for name in set(sys.modules) - before if '.' not in name))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert {"torch", "ml_dtypes", "subprocess"}.isdisjoint(shown.stdout.split()), shown.stderr


def test_a_fork_of_torchs_data_loader() -> None:
    pytest.importorskip("torch")
    program = """
import numpy as np, torch, diffkit
base = {"w": np.arange(1 << 20, dtype="f4")}
tuned = {"w": base["w"].copy()}
tuned["w"][::100] += 1
diff = diffkit.open(diffkit.dumps(base, tuned))
torch.ones(1000, 1000) @ torch.ones(1000, 1000)
class Rows(torch.utils.data.Dataset):
    def __len__(self): return 8
    def __getitem__(self, index):
        work = {"w": base["w"].copy()}
        diff.apply(work)
        return float(np.array_equal(work["w"], tuned["w"]))
if __name__ == "__main__":
    loader = torch.utils.data.DataLoader(Rows(), num_workers=4, multiprocessing_context="fork")
    assert sum(float(row) for row in loader) == 8
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=300).returncode == 0


OTHER = """
protocol Named { var name: String { get } }
struct One: Named { let name: String }
enum Refusal: Error { case odd(Int) }
func half(_ number: Int) throws -> Int {
  guard number.isMultiple(of: 2) else { throw Refusal.odd(number) }
  return number / 2
}
@_cdecl("other_count") public func count(_ wanted: Int32) -> Int32 {
  var table: [String: any Named] = [:]
  for index in 0..<Int(wanted) {
    do { table["\\(index)"] = One(name: "\\(try half(index))") } catch { table["\\(error)"] = nil }
  }
  return Int32(table.values.filter { ($0 as? One).map { Int($0.name) != nil } ?? false }.count)
}
"""


@pytest.mark.skipif(shutil.which("swiftc") is None, reason="there is no swiftc here")
@pytest.mark.parametrize("order", ["the other first", "diffkit first"])
def test_beside_another_swift_library(order: str, tmp_path: Path) -> None:
    (tmp_path / "other.swift").write_text(OTHER)
    made = subprocess.run(
        ["swiftc", "-O", "-emit-library", "other.swift", "-o", "libother.so"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    program = f"""
import ctypes, sys, threading
import numpy as np
import diffkit

def other():
    library = ctypes.CDLL({str(tmp_path / "libother.so")!r}, mode=ctypes.RTLD_GLOBAL)
    assert library.other_count(1001) == 501

def ours():
    base = {{"w": np.arange(300000, dtype="f4")}}
    tuned = {{"w": base["w"] + (np.arange(300000) % 100 == 0)}}
    tuned["w"] = tuned["w"].astype("f4")
    weights = {{"w": base["w"].copy()}}
    diff = diffkit.open(diffkit.dumps(base, tuned))
    diff.apply(weights)
    assert np.array_equal(weights["w"], tuned["w"])
    try:
        diff.apply(weights)
    except diffkit.AlreadyApplied:
        return
    sys.exit("applied twice")

for turn in (other, ours)[:: {1 if order == "the other first" else -1}]:
    turn()
threads = [threading.Thread(target=turn) for turn in (other, ours) * 4]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with open("/proc/self/maps") as maps:
    loaded = {{line.split("/")[-1].strip() for line in maps}}
assert {{"libswiftCore.so", "libDiffKit.so", "libother.so"}} <= loaded
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


@needs_wheel
def test_programs_take_their_own_libraries(tmp_path: Path) -> None:
    for path in (INSTALLED / "lib").iterdir():
        (tmp_path / path.name).write_bytes(b"that of somebody else")
    for name in ("diffkit", "diffkit-hdf5"):
        ended = subprocess.run(
            [INSTALLED / "bin" / name, "--version"],
            env={"LD_LIBRARY_PATH": str(tmp_path)}, capture_output=True, text=True,
        )  # fmt: skip
        assert "shared" not in ended.stderr and "invalid ELF" not in ended.stderr
        assert name != "diffkit" or ended.stdout.strip() == diffkit.version()


@needs_wheel
def test_a_server_is_one_clear_line(tmp_path: Path) -> None:
    # The wheel has no libcurl: see spec/RELEASING.md.
    base = tmp_path / "base.safetensors"
    base.write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    with pytest.raises(diffkit.Unsupported, match="fetch the file first") as refused:
        diffkit.apply(base, "https://127.0.0.1:1/task.diff", output=tmp_path / "made.safetensors")
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == ["base.safetensors"]


def test_the_readmes_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.torch")
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    found = re.search(r"<!-- ci: python -->\n```python\n(.*?)```", text, re.S)
    assert found is not None
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    model = torch.nn.Linear(40, 50)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    base = {name: tensor.numpy().copy() for name, tensor in state.items()}
    tuned = {name: array + (array > 0) for name, array in base.items()}
    other = {name: array + (array < 0) for name, array in base.items()}
    weights = {name: array.copy() for name, array in base.items()}
    safetensors.save_file(state, "base.safetensors")
    diffkit.create(base, other, "other.diff")
    exec(found[1], {"base": base, "tuned": tuned, "weights": weights, "model": model})
    assert all((weights[name] == base[name]).all() for name in base)
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    changed = safetensors.load_file("tuned.safetensors")
    assert sum(int((changed[name] != state[name]).sum()) for name in base) == int(0.005 * 2050)
    # Ten lines: comments and blank ones apart.
    assert len([line for line in found[1].splitlines() if line.strip()]) <= 10


def test_applying_to_an_archive(tmp_path: Path) -> None:
    base = {"w": np.arange(1000, dtype="f4"), "gone": np.ones(3, "u1")}
    tuned = {"w": base["w"] * 2, "come": np.zeros(2, "f8")}
    np.savez(tmp_path / "base.npz", **base)
    diffkit.create(base, tuned, tmp_path / "task.diff")
    program = Path(__file__).resolve().parents[2] / "samples/python/apply_diff.py"
    command = [sys.executable, str(program), "task.diff", "base.npz", "made.npz"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    made = dict(np.load(tmp_path / "made.npz"))
    assert sorted(made) == ["come", "w"] and all((made[n] == tuned[n]).all() for n in tuned)
    command[3] = "made.npz"
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 1 and "already applied" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("sample", ["serve_tasks.py", "finetune.py", "diff_pruning.py"])
def test_samples(sample: str) -> None:
    pytest.importorskip("torch")
    path = Path(__file__).resolve().parents[2] / "samples/python" / sample
    answer = subprocess.run([sys.executable, str(path)], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert "the base again" in answer.stdout


def test_store_samples(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    samples = Path(__file__).resolve().parents[2] / "samples/python"
    programs = Path(sys.executable).parent
    if not (programs / "diffkit").exists():
        pytest.skip("the package is not installed, so there is no program diffkit")
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}

    def run(*command: str) -> str:
        answer = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    run(sys.executable, str(samples / "publish_steps.py"), "runs", "3")
    # The steps that are there, and those that are published while the worker follows.
    watch = ["diffkit", "store", "fetch", "runs", "step-0", "--to", "local", "--watch", "-q"]
    fetching = subprocess.Popen([*watch, "--every", "0.1"], cwd=tmp_path, env=environment)
    try:
        while not (tmp_path / "local/store.json").exists():
            assert fetching.poll() is None
            time.sleep(0.05)
        follow = str(samples / "follow_store.py")
        assert "bit for bit step-3" in run(sys.executable, follow, "local", "step-0", "step-3")
        run("diffkit", "store", "add", "runs", "steps/even.safetensors", "--name", "step-4")
        assert "bit for bit step-4" in run(sys.executable, follow, "local", "step-3", "step-4")
        assert fetching.poll() is None
    finally:
        fetching.terminate()
        fetching.wait()
