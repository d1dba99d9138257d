"""The package as it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    assert {"diffkit", "swift", "hdf5", "libaec", "zlib", "xxhash"} <= licences
    assert (INSTALLED / "py.typed").exists()


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
    run("diffkit", "store", "fetch", "runs", "step-3", "--to", "local")
    said = run(sys.executable, str(samples / "follow_store.py"), "local", "step-0", "step-3")
    assert "bit for bit step-3" in said
