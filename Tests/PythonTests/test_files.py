"""Files: the program's work through the package."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import REPOSITORY, Tensors, assert_same

import diffkit
import diffkit._program

safetensors = pytest.importorskip("safetensors.numpy")


@pytest.fixture
def files(base: Tensors, tuned: Tensors, tmp_path: Path) -> Path:
    safetensors.save_file(base, tmp_path / "base.safetensors")
    safetensors.save_file(tuned, tmp_path / "tuned.safetensors")
    return tmp_path


def test_round_trip(files: Path, base: Tensors, tuned: Tensors) -> None:
    made = diffkit.create(
        files / "base.safetensors", files / "tuned.safetensors", files / "d.diff",
        metadata={"task": "t"},
    )  # fmt: skip
    assert (made.changed_tensors, made.tensors, made.inserted) == (8, 8, ["come"])
    assert diffkit.open(files / "d.diff").state(base) == "base"
    done = diffkit.apply(
        files / "base.safetensors", files / "d.diff", output=files / "o.safetensors"
    )
    assert done.outcome == "written" and done.tensors == 8
    assert_same(safetensors.load_file(files / "o.safetensors"), tuned)
    assert diffkit.verify(files / "d.diff", files / "o.safetensors").state == "applied"
    back = diffkit.revert(files / "o.safetensors", files / "d.diff", output=files / "b.safetensors")
    assert back.outcome == "written"
    assert_same(safetensors.load_file(files / "b.safetensors"), base)
    found = diffkit.inspect(files / "d.diff")
    assert isinstance(found, diffkit._program.InspectedDiff)
    assert found.metadata == {"task": "t"} and found.tensors[0].name == "come"
    shown = diffkit.inspect(files / "base.safetensors", hash=True)
    assert isinstance(shown, diffkit._program.InspectedCheckpoint)
    prints = {tensor.name: tensor.fingerprint for tensor in shown.tensors}
    assert prints["head"] == diffkit.fingerprint(base["head"])
    same = diffkit.compare(files / "base.safetensors", files / "b.safetensors")
    assert isinstance(same, diffkit._program.CheckpointComparison) and same.same
    differing = diffkit.compare(files / "base.safetensors", files / "o.safetensors")
    assert isinstance(differing, diffkit._program.CheckpointComparison)
    assert not differing.same and differing.only_in_second == ["come"]


def test_same_bytes_as_from_arrays(files: Path, base: Tensors, tuned: Tensors) -> None:
    diffkit.create(files / "base.safetensors", files / "tuned.safetensors", files / "d.diff")
    assert (files / "d.diff").read_bytes() == diffkit.dumps(base, tuned)


def test_arguments_of_create_are_those_of_arrays(files: Path) -> None:
    pair = (files / "base.safetensors", files / "tuned.safetensors")
    for options in (
        {"operation": "xor", "density": 0.5}, {"operation": "replace", "threshold": 1.0},
        {"operation": "insert"}, {"density": 0}, {"density": 0.1, "threshold": 1.0},
        {"values": "f64"}, {"types": {"w": "bf16"}},
        {"metadata": {"a=b": "c"}},
    ):  # fmt: skip
        with pytest.raises(diffkit.UsageError):
            diffkit.create(*pair, files / "d.diff", **options)
    assert not (files / "d.diff").exists()
    diffkit.create(*pair, files / "d.diff", operation="replace", skip_nonfloat=True)
    with diffkit.open(files / "d.diff") as diff:
        assert diff["encoder.w"].operation == "replace"


def test_files_report_progress(files: Path) -> None:
    base, tuned, diff = files / "base.safetensors", files / "tuned.safetensors", files / "d.diff"
    thread = threading.get_ident()
    heard: list[tuple[str, int, int]] = []

    def progress(phase: str, done: int, total: int) -> None:
        assert threading.get_ident() == thread
        heard.append((phase, done, total))

    for work in (
        lambda: diffkit.create(base, tuned, diff, progress=progress),
        lambda: diffkit.apply(base, diff, output=files / "made.safetensors", progress=progress),
        lambda: diffkit.verify(diff, base, progress=progress),
        lambda: diffkit.compare(base, tuned, progress=progress),
        lambda: diffkit.convert(base, files / "made.h5", progress=progress),
    ):
        heard.clear()
        work()
        assert all(0 <= done <= total for _, done, total in heard)
        assert heard[-1][1] == heard[-1][2] > 0 and heard[-1][0], heard


def test_what_progress_raises_ends_the_work(files: Path) -> None:
    def progress(*_: Any) -> None:
        raise RuntimeError("enough")

    side = {f"w{i}": np.full((1 << 20,), i, "f4") for i in range(40)}
    safetensors.save_file(side, files / "large.safetensors")
    safetensors.save_file({n: a + 1 for n, a in side.items()}, files / "other.safetensors")
    # Jobs in the background of a shell ignore SIGINT; the program does so then, too.
    usual = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(RuntimeError, match="enough"):
            diffkit.create(
                files / "large.safetensors", files / "other.safetensors", files / "d.diff",
                progress=progress,
            )  # fmt: skip
    finally:
        signal.signal(signal.SIGINT, usual)
    assert {file.name for file in files.iterdir()} == {
        "base.safetensors", "tuned.safetensors", "large.safetensors", "other.safetensors"
    }  # fmt: skip


def test_values_of_additions(floats: tuple[Tensors, Tensors], tmp_path: Path) -> None:
    paths = (tmp_path / "base.safetensors", tmp_path / "tuned.safetensors")
    for path, side in zip(paths, floats):
        safetensors.save_file(side, path)
    for values in ("f16", "bf16", "f32"):
        diffkit.create(*paths, tmp_path / "d.diff", operation="add", values=values, overwrite=True)
        expected = diffkit.dumps(*floats, operation="add", values=values)
        assert (tmp_path / "d.diff").read_bytes() == expected


def test_additions(floats: tuple[Tensors, Tensors], tmp_path: Path) -> None:
    before, after = floats
    diffkit.create(before, after, tmp_path / "a.diff", operation="add", metadata={"n": "a"})
    diffkit.create(before, after, tmp_path / "b.diff", density=0.001)
    safetensors.save_file(before, tmp_path / "base.safetensors")
    pair = (tmp_path / "a.diff", tmp_path / "b.diff")
    merged = diffkit.merge(*pair, output=tmp_path / "m.diff", weights=[0.5, 2], method="average")
    assert merged.method == "average" and merged.diffs == 2 and merged.shared > 0
    pruned = diffkit.prune(tmp_path / "a.diff", output=tmp_path / "p.diff", density=0.001)
    assert pruned.kept == 22 and 0 < pruned.norm_share < 1
    related = diffkit.compare(*pair)
    assert isinstance(related, diffkit._program.DiffComparison)
    assert related.matrix[0][1].shared == 22 and related.matrix[0][1].cosine is not None
    measured = diffkit.stats(tmp_path / "base.safetensors", *pair)
    assert isinstance(measured, diffkit._program.Stats)
    assert measured.storage is not None and measured.storage.tasks == 2
    assert measured.diffs[1].sparse.changes == 22
    npz = diffkit.convert(tmp_path / "a.diff", tmp_path / "a.npz")
    assert npz.changes == measured.diffs[0].sparse.changes
    back = diffkit.convert(
        tmp_path / "a.npz", tmp_path / "c.diff", base=tmp_path / "base.safetensors"
    )
    assert back.format == "diff"
    assert diffkit.open(tmp_path / "c.diff")["encoder/w"].changes > 0


def _values(path: Path, name: str) -> np.ndarray[Any, np.dtype[Any]]:
    with diffkit.open(path) as diff:
        entry = diff[name]
        whole = np.zeros(entry.elements, "f4")
        whole[entry.positions.astype(int)] = entry.values.astype("f4") * 2.0**entry.scale
        return whole


def test_options_of_a_merge_reach_the_program(
    floats: tuple[Tensors, Tensors], tmp_path: Path
) -> None:
    before, after = floats
    for name in "ab":
        diffkit.create(
            before, after, tmp_path / f"{name}.diff", operation="add", values="f32",
            metadata={"n": name},
        )  # fmt: skip
    pair = (tmp_path / "a.diff", tmp_path / "b.diff")
    one = {name: _values(pair[0], name) for name in ("encoder/w", "encoder/h")}

    def merged(**options: Any) -> dict[str, Any]:
        made = diffkit.merge(
            *pair, output=tmp_path / "m.diff", overwrite=True, values="f32", **options
        )
        assert isinstance(made, diffkit._program.Merged)
        return {name: _values(tmp_path / "m.diff", name) for name in one}

    def assert_factors(found: dict[str, Any], w: float, h: float) -> None:
        for name, factor in (("encoder/w", w), ("encoder/h", h)):
            np.testing.assert_allclose(found[name], one[name] * factor, rtol=1e-5)

    # False is not the default.
    trimmed = {"method": "ties", "variant": "mergekit", "density_of": "nonzeros"}
    elected = {**trimmed, "density": 1, "weights": [1, 3]}
    assert_factors(merged(**elected), 1, 1)
    assert_factors(merged(**elected, normalize=True), 1, 1)
    assert_factors(merged(**elected, normalize=False), 4, 4)
    with pytest.raises(diffkit.UsageError, match="not divided"):
        merged(method="average", normalize=False)
    # Patterns, in three forms; the first that matches.
    assert_factors(merged(weights={"encoder/w": [0.5, 0.25], "encoder/*": 2}), 0.75, 4)
    assert_factors(merged(weights=["encoder/w=0.5,0.25", "2,3"]), 0.75, 5)
    assert_factors(merged(weights="2,-1"), 1, 1)
    assert_factors(merged(weights=np.array([2, 0.5], "f4"), scale=-2.0), -5, -5)
    kept = merged(**trimmed, densities=[0.5, 0.3])
    assert 0 < sum(np.count_nonzero(v) for v in kept.values()) < sum(
        np.count_nonzero(v) for v in one.values()
    )
    kept = merged(**trimmed, densities={"encoder/w": 0.01, "*": [1, 1]})
    assert np.count_nonzero(kept["encoder/w"]) < np.count_nonzero(kept["encoder/h"])
    merged(metadata={"task": "both"}, meta=["more=yes"])
    with diffkit.open(tmp_path / "m.diff") as diff:
        assert diff.metadata["task"] == "both" and diff.metadata["more"] == "yes"
    for wrong in (
        {"weights": {"none.*": 1}}, {"weights": [1]}, {"weights": ["x=y"]}, {"no_such": True},
        {"show": True}, {"densities": [0.5, 0.3], "density": 0.5, "method": "ties"},
    ):  # fmt: skip
        with pytest.raises(diffkit.UsageError):
            merged(**wrong)
    with pytest.raises(diffkit.UsageError, match="output"):
        diffkit.merge(*pair)


def test_a_merge_is_tried_without_an_output(
    floats: tuple[Tensors, Tensors], tmp_path: Path
) -> None:
    before, after = floats
    opposite = {name: 2 * array - after[name] for name, array in before.items()}
    for name, tuned in (("a", after), ("b", after), ("c", opposite)):
        diffkit.create(
            before, tuned, tmp_path / f"{name}.diff", operation="add", metadata={"n": name}
        )
    names = sorted(os.listdir(tmp_path))
    for second, conflicts in (("b", False), ("c", True)):
        found = diffkit.merge(tmp_path / "a.diff", tmp_path / f"{second}.diff", dry_run=True)
        assert isinstance(found, diffkit._program.MergePreview)
        assert found.conflicts == conflicts and found.method == "sum" and found.shared > 0
        assert sum(pair.shared for pair in found.pairs if pair.tensor) == found.shared
        assert all(pair.opposite == conflicts * pair.shared for pair in found.pairs)
    assert sorted(os.listdir(tmp_path)) == names


def test_stats_of_a_checkpoint(files: Path) -> None:
    found = diffkit.stats(files / "base.safetensors")
    assert isinstance(found, diffkit._program.CheckpointStats)
    values = {tensor.name: tensor.values for tensor in found.tensors}
    assert values["same"] is not None and (values["same"].mean, values["same"].l2) == (1, 3)
    assert values["ids"] is None


def test_a_recipe_merges(floats: tuple[Tensors, Tensors], tmp_path: Path) -> None:
    before, after = floats
    for name in ("a", "b"):
        diffkit.create(before, after, tmp_path / f"{name}.diff", operation="add", values="f32")
    recipe = tmp_path / "recipe.yml"
    recipe.write_text(
        "merge_method: task_arithmetic\nmodels:\n"
        + "".join(
            f"  - model: {tmp_path / name}.diff\n    parameters: {{weight: {weight}}}\n"
            for name, weight in (("a", 0.5), ("b", 0.25))
        )
    )
    made = diffkit.merge(recipe, output=tmp_path / "made.diff")
    same = diffkit.merge(
        tmp_path / "a.diff", tmp_path / "b.diff", output=tmp_path / "same.diff",
        method="sum", weights=[0.5, 0.25], values="f32",
    )  # fmt: skip
    assert made.output == str(tmp_path / "made.diff") and made.output != same.output
    with diffkit.open(made.output) as one, diffkit.open(same.output) as other:
        assert list(one) == list(other)
        for name, entry in one.items():
            assert (entry.positions == other[name].positions).all()
            assert (entry.values == other[name].values).all()
    recipe.write_text("merge_method: slerp\n")
    with pytest.raises(diffkit.DiffkitError, match="line 1"):
        diffkit.merge(recipe, output=tmp_path / "none.diff")


def test_compose(files: Path, base: Tensors, tuned: Tensors) -> None:
    names = ("encoder/w", "ids")
    steps = [{name: base[name] for name in names}, {name: tuned[name] for name in names}]
    last = {name: array + array.dtype.type(1) for name, array in steps[1].items()}
    diffkit.create(steps[0], steps[1], files / "1.diff")
    diffkit.create(steps[1], last, files / "2.diff")
    made = diffkit.compose(files / "1.diff", files / "2.diff", output=files / "c.diff")
    assert made.diffs == 2
    work = {name: array.copy() for name, array in steps[0].items()}
    diffkit.open(files / "c.diff").apply(work)
    assert_same(work, last)


def test_trouble_has_classes(files: Path) -> None:
    (base, tuned) = (files / "base.safetensors", files / "tuned.safetensors")
    diffkit.create(base, tuned, files / "d.diff")
    with pytest.raises(diffkit.OutputExists) as exists:
        diffkit.create(base, tuned, files / "d.diff")
    assert exists.value.remedy == "overwrite" and isinstance(exists.value, FileExistsError)
    with pytest.raises(diffkit.FileMissing):
        diffkit.apply(files / "none", files / "d.diff", output=files / "o.safetensors")
    safetensors.save_file({"x": np.ones(3, "f4")}, files / "other.safetensors")
    with pytest.raises(diffkit.WrongBase) as wrong:
        diffkit.apply(files / "other.safetensors", files / "d.diff", output=files / "o.safetensors")
    assert wrong.value.tensor is not None
    damaged = bytearray((files / "d.diff").read_bytes())
    damaged[40] ^= 1
    (files / "d.diff").write_bytes(damaged)
    with pytest.raises(diffkit.Damaged):
        diffkit.verify(files / "d.diff")
    with pytest.raises(diffkit.UsageError):
        diffkit.merge(files / "d.diff", output=files / "m.diff", method="no-such-method")
    assert not (files / "o.safetensors").exists() and not (files / "m.diff").exists()


def test_trouble_of_the_program_names_the_tensor(
    floats: tuple[Tensors, Tensors], tmp_path: Path
) -> None:
    # One tensor changes, so that it is the one that is damaged, or does not follow.
    before = {"a": np.arange(50, dtype="f4"), "w": floats[0]["encoder/w"]}
    after = {**before, "w": floats[1]["encoder/w"]}
    exact, add, other = (tmp_path / f"{name}.diff" for name in ("exact", "add", "other"))
    diffkit.create(before, after, exact)
    diffkit.create(before, after, add, operation="add")
    diffkit.create(before, {**before, "w": before["w"] + 1}, other)
    for path in (exact, add):
        damaged = bytearray(path.read_bytes())
        damaged[60] ^= 4
        (tmp_path / f"damaged-{path.name}").write_bytes(damaged)
    made = tmp_path / "made.diff"
    wrong = {
        "stats": lambda: diffkit.stats(tmp_path / "damaged-add.diff"),
        "stats, exact": lambda: diffkit.stats(tmp_path / "damaged-exact.diff"),
        "prune": lambda: diffkit.prune(tmp_path / "damaged-add.diff", output=made, density=0.001),
        "compare": lambda: diffkit.compare(add, tmp_path / "damaged-add.diff"),
        "prune exact": lambda: diffkit.prune(exact, output=made, density=0.001),
        "compose others": lambda: diffkit.compose(exact, other, output=made),
        "compose additions": lambda: diffkit.compose(add, exact, output=made),
        "merge exact": lambda: diffkit.merge(add, exact, output=made),
    }
    for number, (what, work) in enumerate(wrong.items()):
        kind = diffkit.Damaged if number < 4 else diffkit.Unsupported
        with pytest.raises(kind) as caught:
            work()
        assert caught.value.tensor == "w", what
        assert caught.value.path is not None and "'w'" in str(caught.value), what
    assert not made.exists()


def test_answers_are_those_of_the_schema() -> None:
    schema = json.loads((REPOSITORY / "spec/output.schema.json").read_text())["$defs"]
    program = diffkit._program
    kinds = {
        program.CreatedFile: "create", program.Applied: "apply", program.Verified: "verify",
        program.InspectedDiff: "inspect", program.InspectedCheckpoint: "inspect-checkpoint",
        program.Stats: "stats", program.Figures: "figures", program.Pair: "pair",
        program.DiffComparison: "compare", program.CheckpointComparison: "compare-checkpoints",
        program.Merged: "merge", program.Composed: "compose", program.Pruned: "prune",
        program.Converted: "convert-diff", program.Skipped: "object",
        program.MergePreview: "merge-dry-run", program.CheckpointStats: "stats-checkpoint",
    }  # fmt: skip
    for kind, name in kinds.items():
        shape = schema[name]
        while "$ref" in shape:
            shape = schema[shape["$ref"].split("/")[-1]]
        members = {program._snake(member) for member in shape["properties"]}
        known = {item.name: item for item in dataclasses.fields(kind)}
        assert members <= set(known), kind
        required = {program._snake(member) for member in shape["required"]}
        for member, item in known.items():
            has_default = (item.default, item.default_factory) != (dataclasses.MISSING,) * 2
            assert has_default or member in required, (kind, member)


def test_console_script() -> None:
    script = Path(sys.executable).with_name("diffkit")
    if not script.exists():
        pytest.skip("the package is not installed, so there is no console script")
    answer = subprocess.run([script, "--version"], capture_output=True, text=True)
    assert answer.returncode == 0 and answer.stdout.strip() == diffkit.version()


def test_names_that_look_like_options(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    os.rename("base.safetensors", "-b.safetensors")
    diffkit.create("-b.safetensors", "tuned.safetensors", "-d.diff")
    assert diffkit.verify("-d.diff", "-b.safetensors").state == "base"


def test_interruption_leaves_nothing(tmp_path: Path) -> None:
    safetensors.save_file({"w": np.zeros(64 << 20, "f4")}, tmp_path / "base.safetensors")
    changed = np.zeros(64 << 20, "f4")
    changed[::3] = np.arange(len(changed[::3]))
    safetensors.save_file({"w": changed}, tmp_path / "tuned.safetensors")
    program = (
        # Background jobs of some shells ignore the signal.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "import diffkit, sys; print('ready', flush=True); "
        "diffkit.create('base.safetensors', 'tuned.safetensors', 'd.diff')"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program], cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert child.stdout is not None
    child.stdout.readline()
    # Until the program has begun to work.
    deadline = time.monotonic() + 60
    while not _children(child.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGINT)
    _, errors = child.communicate(timeout=60)
    assert child.returncode != 0 and b"KeyboardInterrupt" in errors
    assert sorted(os.listdir(tmp_path)) == ["base.safetensors", "tuned.safetensors"]


def test_ctrl_c_before_the_program_runs_ends_it(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def interrupted(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **options))
        signal.raise_signal(signal.SIGINT)
        return started[0]

    popen = subprocess.Popen
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(diffkit._program.subprocess, "Popen", interrupted)
        with pytest.raises(KeyboardInterrupt):
            diffkit.verify(files / "base.safetensors")
    finally:
        signal.signal(signal.SIGINT, usual)
    # Its end has been waited for.
    assert started[0].returncode is not None


def _children(parent: int) -> list[str]:
    try:
        return Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    except FileNotFoundError:
        return []
