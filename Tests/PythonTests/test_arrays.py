"""Diffs of dicts of arrays."""

from __future__ import annotations

import io
import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Tensors, assert_same, copy, interrupted_everywhere

import diffkit
import diffkit._create


def test_exact_diff_goes_both_ways(base: Tensors, tuned: Tensors, tmp_path: Path) -> None:
    made = diffkit.create(base, tuned, tmp_path / "d.diff", metadata={"task": "t", "a": "ü"})
    assert made.changed_tensors == 8 and made.tensors == 8
    assert made.size == (tmp_path / "d.diff").stat().st_size
    with diffkit.open(tmp_path / "d.diff") as diff:
        assert diff.metadata == {"a": "ü", "task": "t"}
        assert diff.state(base) == "base" and diff.state(tuned) == "applied"
        work = copy(base)
        arrays = dict(work)
        undo = diff.apply(work)
        assert_same(work, tuned)
        assert work["encoder/w"] is arrays["encoder/w"]
        assert sorted(undo.tensors) == sorted(set(diff))
        with pytest.raises(diffkit.AlreadyApplied):
            diff.apply(work)
        diff.revert(work)
        assert_same(work, base)
        with pytest.raises(diffkit.AlreadyApplied):
            diff.revert(work)
        undo = diff.apply(work)
        undo.restore()
        assert_same(work, base)
        with pytest.raises(diffkit.UsageError):
            undo.restore()


def test_mapping_of_entries(base: Tensors, tuned: Tensors) -> None:
    diff = diffkit.open(diffkit.dumps(base, tuned))
    assert list(diff) == sorted(diff) and len(diff) == 8
    for name in set(diff) - {"come"}:
        assert diff[name].base == diffkit.fingerprint(base[name]), name
    entry = diff["encoder.w"]
    assert entry.name == "encoder/w" and "encoder.w" in diff and "none" not in diff
    assert (entry.operation, entry.type, entry.dtype) == ("xor", "f32", np.dtype("f4"))
    assert entry.shape == entry.new_shape == (300, 70) and entry.elements == 21000
    positions, values = entry.read()
    assert positions.dtype == np.uint64 and np.array_equal(positions, np.arange(0, 21000, 137))
    assert np.array_equal(entry.positions, positions)
    assert entry.values.tobytes() == values.tobytes()
    flat = base["encoder/w"].reshape(-1).view("u4")[positions] ^ values.view("u4")
    assert np.array_equal(flat, tuned["encoder/w"].reshape(-1).view("u4")[positions])
    assert entry.base == diffkit.fingerprint(base["encoder/w"])
    assert entry.result == diffkit.fingerprint(tuned["encoder/w"])
    assert diff["head"].shape == (3, 4) and diff["head"].new_shape == (5, 4)
    assert diff["gone"].new_shape is None and diff["gone"].operation == "delete"
    with pytest.raises(diffkit.Unsupported, match="'head'"):
        diff["head"].read()
    with pytest.raises(KeyError):
        diff["none"]
    with pytest.raises(KeyError):
        diff["no\0ne"]


@pytest.mark.parametrize("values", ["f16", "bf16", "f32"])
def test_additions_are_undone_bit_for_bit(
    floats: tuple[Tensors, Tensors], values: str, tmp_path: Path
) -> None:
    before, after = floats
    diffkit.create(before, after, tmp_path / "d.diff", density=0.01, values=values)
    with diffkit.open(tmp_path / "d.diff") as diff:
        assert sum(entry.changes for entry in diff.values()) == 22000 // 100
        assert {entry.value_type for entry in diff.values()} == {values}
        work = copy(before)
        undo = diff.apply(work)
        assert diff.state(work) == "applied"
        with pytest.raises(diffkit.Unsupported, match="revert"):
            diff.revert(work)
        position = int(diff["encoder/w"].positions[0])
        kept = work["encoder/w"].reshape(-1)[position]
        work["encoder/w"].reshape(-1)[position] = 99
        with pytest.raises(diffkit.ChangedInBetween, match="encoder/w"):
            undo.restore()
        work["encoder/w"].reshape(-1)[position] = kept
        undo.restore()
        assert_same(work, before)


def test_wrong_base_is_refused_by_name_and_nothing_changes(base: Tensors, tuned: Tensors) -> None:
    diff = diffkit.open(diffkit.dumps(base, tuned))
    wrong = copy(base)
    wrong["scalar"][...] = 9
    kept = copy(wrong)
    with pytest.raises(diffkit.WrongBase, match="scalar") as caught:
        diff.apply(wrong)
    assert (caught.value.code, caught.value.tensor) == ("wrong-base", "scalar")
    assert_same(wrong, kept)
    mixed = copy(base)
    mixed["ids"] = tuned["ids"].copy()
    assert diff.state(mixed) == "partly-applied"
    with pytest.raises(diffkit.PartlyApplied):
        diff.apply(mixed)
    missing = copy(base)
    del missing["ids"]
    with pytest.raises(diffkit.Mismatch, match="'ids'"):
        diff.apply(missing)
    with pytest.raises(diffkit.Mismatch, match="'ids'"):
        diff.apply(missing, verify=False)
    shaped = copy(base)
    shaped["ids"] = shaped["ids"].reshape(5, 10)
    for verify in (True, False):
        with pytest.raises(diffkit.Mismatch, match="shape"):
            diff.apply(shaped, verify=verify)
    typed = copy(base)
    typed["ids"] = typed["ids"].view("u8")
    with pytest.raises(diffkit.Mismatch, match="uint64"):
        diff.apply(typed)
    frozen = copy(base)
    frozen["encoder/w"].flags.writeable = False
    with pytest.raises(diffkit.UsageError, match="read-only"):
        diff.apply(frozen)
    assert_same(frozen, base)


def test_trouble_names_the_tensor(base: Tensors, tuned: Tensors) -> None:
    diff = diffkit.open(diffkit.dumps(base, tuned))
    mixed = copy(base)
    for name in ("ids", "flag"):
        mixed[name] = tuned[name].copy()
    cases: list[tuple[Any, Any, type[Exception], str, str]] = [
        (diff.apply, mixed, diffkit.PartlyApplied, "flag", "'flag' is at the result, others"),
        (diff.revert, mixed, diffkit.PartlyApplied, "come", "'come' is at the base, others"),
        (diff.apply, copy(tuned), diffkit.AlreadyApplied, "come", "already applied"),
        (diff.revert, copy(base), diffkit.AlreadyApplied, "come", "already reverted"),
    ]
    for work, tensors, kind, name, text in cases:
        with pytest.raises(kind, match=text) as caught:
            work(tensors)
        assert caught.value.tensor == name and str(caught.value).count(name) == 1
    # Of a dict without the tensor that was deleted, that one is at its result.
    gone = copy(base)
    del gone["gone"]
    with pytest.raises(diffkit.PartlyApplied) as partly:
        diff.apply(gone)
    assert partly.value.tensor == "gone"
    with pytest.raises(diffkit.Unsupported, match="float") as refused:
        diffkit.dumps({"a": base["ids"], "b": base["ids"]},
                      {"a": base["ids"], "b": tuned["ids"]}, operation="add")  # fmt: skip
    assert refused.value.tensor == "b"
    with pytest.raises(diffkit.DiffkitError, match="cannot change a type") as typed:
        diffkit.dumps({"b": base["ids"]}, {"b": base["ids"].astype("f4")})
    assert typed.value.tensor == "b"


def test_other_base_only_for_additions(floats: tuple[Tensors, Tensors]) -> None:
    before, after = floats
    add = diffkit.open(diffkit.dumps(before, after, operation="add", values="f32"))
    other = copy(before)
    other["encoder/w"][0, 0] += 1
    with pytest.raises(diffkit.WrongBase):
        add.apply(other)
    add.apply(other, allow_other_base=True)
    expected = np.float32(before["encoder/w"].reshape(-1)[5]) * np.float32(1.5)
    assert other["encoder/w"].reshape(-1)[5] == expected
    exact = diffkit.open(diffkit.dumps(before, after))
    other = copy(before)
    other["encoder/w"][0, 0] += 1
    with pytest.raises(diffkit.WrongBase):
        exact.apply(other, allow_other_base=True)


def test_names_differ_in_separators(base: Tensors, tuned: Tensors) -> None:
    diff = diffkit.open(diffkit.dumps(base, tuned))
    dotted = {name.replace("/", "."): array.copy() for name, array in base.items()}
    diff.apply(dotted)
    assert_same(dotted, {name.replace("/", "."): array for name, array in tuned.items()})
    both = copy(base)
    both["encoder.h"] = both.pop("encoder/h")
    both["encoder/h:0"] = both["encoder.h"].copy()
    assert diff.verify(both)["encoder/h"] == "base"
    del both["encoder.h"]
    assert diff.verify(both)["encoder/h"] == "base"
    both["encoder.h:0"] = both["encoder/h:0"].copy()
    with pytest.raises(diffkit.Mismatch, match="could be any of"):
        diff.verify(both)


def test_arrays_that_are_not_contiguous(base: Tensors, tuned: Tensors) -> None:
    def strange(array: Any) -> Any:
        if array.ndim == 0:
            return array.copy()
        wide = np.zeros((*array.shape, 2), array.dtype)
        wide[..., 0] = array
        return wide[..., 0]

    data = diffkit.dumps(
        {name: strange(array) for name, array in base.items()},
        {name: array.copy(order="F") for name, array in tuned.items()},
    )
    assert data == diffkit.dumps(base, tuned)
    diff = diffkit.open(data)
    work = {name: strange(array) for name, array in base.items()}
    kept = work["encoder/w"]
    undo = diff.apply(work)
    assert kept is work["encoder/w"] and not kept.flags.c_contiguous
    assert_same(work, tuned)
    undo.restore()
    assert_same(work, base)
    diff.apply(work)
    diff.revert(work)
    assert_same(work, base)


def _put(name: str, change: Any) -> Any:
    def done(work: Tensors, _: Tensors) -> None:
        work[name] = change(work[name])

    return done


def _set(name: str, place: Any) -> Any:
    def done(work: Tensors, _: Tensors) -> None:
        work[name][place] = 77

    return done


CHANGES: dict[str, tuple[str, Any]] = {
    "elements": ("encoder/w", _set("encoder/w", (0, 0))),
    "reshaped": ("head", _set("head", (4, 3))),
    "inserted": ("come", _set("come", 0)),
    "inserted again": ("come", _put("come", lambda array: array + 1)),
    "of another shape": ("ids", _put("ids", lambda array: array.reshape(5, 10))),
    "of another type": ("encoder/h", _put("encoder/h", lambda array: array.view("i2"))),
    "reshaped back": ("head", _put("head", lambda array: array[:3])),
    "gone": ("encoder/w", lambda work, _: work.pop("encoder/w")),
    "gone, which was reshaped": ("head", lambda work, _: work.pop("head")),
    "gone, which came": ("come", lambda work, _: work.pop("come")),
    "there again": ("gone", lambda work, _: work.update(gone=np.zeros(2))),
    "taken out and changed": ("gone", lambda _, before: before["gone"].fill(7)),
    "reshaped and changed before": ("head", lambda _, before: before["head"].fill(7)),
}


@pytest.mark.parametrize("kind", sorted(CHANGES))
def test_restoring_notices_what_changed(kind: str, base: Tensors, tuned: Tensors) -> None:
    name, change = CHANGES[kind]
    diff = diffkit.open(diffkit.dumps(base, tuned))
    work = copy(base)
    before = dict(work)
    undo = diff.apply(work)
    change(work, before)
    kept = copy(work)
    with pytest.raises(diffkit.WrongBase) as refused:
        undo.restore()
    assert refused.value.tensor == name
    assert_same(work, kept)


def test_restoring_what_was_replaced(base: Tensors, tuned: Tensors) -> None:
    diff = diffkit.open(diffkit.dumps(base, tuned))
    work = copy(base)
    undo = diff.apply(work)
    # Other arrays of equal elements are as good, unless they cannot be changed.
    frozen = work["encoder/w"].copy()
    frozen.flags.writeable = False
    kept = work["encoder/w"]
    work["encoder/w"] = frozen
    with pytest.raises(diffkit.UsageError, match="read-only"):
        undo.restore()
    assert_same(work, tuned)
    work.update(copy(work))
    work["encoder/w"] = kept.copy()
    undo.restore()
    assert_same(work, base)
    # Without verification, of another base.
    other = copy(base)
    other["head"] += 1
    other["gone"] += 1
    before = copy(other)
    undo = diff.apply(other, verify=False)
    undo.restore()
    assert_same(other, before)


@pytest.mark.parametrize("operation", ["xor", "replace", "add"])
def test_an_array_with_several_names_changes_once(operation: str) -> None:
    before = np.arange(1000, dtype="f4")
    after, other = before.copy(), before.copy()
    after[::7] += 1
    other[::9] += 1
    tied = {"a": before.copy(), "c": before.copy()}
    tied["b"] = tied["a"]
    base = {name: before for name in "abc"}
    tuned = {"a": after, "b": after, "c": other}
    with diffkit.open(diffkit.dumps(base, tuned, operation=operation)) as diff:
        undo = diff.apply(tied)
        assert_same(tied, tuned)
        assert undo.tensors == ["a", "c"]
        if operation == "xor":
            diff.revert(tied)
        else:
            undo.restore()
        assert_same(tied, base)
        tied["c"] = tied["a"]
        with pytest.raises(diffkit.Unsupported, match="tied to 'a'") as refused:
            diff.apply(tied)
        assert refused.value.tensor == "c"
        assert_same(tied, base)


def _overlaps() -> dict[str, tuple[Any, Any]]:
    """Two views of one memory that share some elements, or all in another order."""
    line = np.arange(100, dtype="f4")
    square = np.arange(100, dtype="f4").reshape(10, 10)
    return {
        "a beginning": (line, line[:10]),
        "an end": (line[40:], line[:60]),
        "turned round": (line, line[::-1]),
        "every other": (line, line[::2]),
        "transposed": (square, square.T),
        "a column and all": (square[:, 1], square),
    }


@pytest.mark.parametrize("kind", sorted(_overlaps()))
@pytest.mark.parametrize("operation", ["xor", "replace", "add"])
def test_overlapping_arrays_are_refused_by_name(kind: str, operation: str) -> None:
    one, two = _overlaps()[kind]
    work = {"v": two, "w": one}
    base = copy(work)
    tuned = {name: array.copy() for name, array in base.items()}
    for array in tuned.values():
        array.reshape(-1)[5] += 4
    with diffkit.open(diffkit.dumps(base, tuned, operation=operation)) as diff:
        for verify in (True, False):
            with pytest.raises(diffkit.Unsupported, match="shares elements with 'v'") as refused:
                diff.apply(work, verify=verify)
            assert refused.value.tensor == "w"
            assert_same(work, base)
        assert diff.state(work) == "base"
        if operation == "xor":
            # On the way back too.
            one[...], two[...] = 0, 0
            with pytest.raises(diffkit.Unsupported, match="shares elements"):
                diff.revert(work, verify=False)
            assert not one.any()


def test_views_that_lie_between_each_other() -> None:
    whole = np.arange(200, dtype="f4")
    work = {"even": whole[::2], "odd": whole[1::2], "none": whole[:0]}
    base = copy(work)
    tuned = {name: array * 2 for name, array in base.items()}
    undo = diffkit.open(diffkit.dumps(base, tuned)).apply(work)
    assert_same(work, tuned)
    undo.restore()
    assert_same(work, base)


def test_an_array_with_several_elements_in_one_place_is_refused() -> None:
    from numpy.lib.stride_tricks import as_strided

    line = np.arange(10, dtype="f4")
    for shape, strides in (((4, 10), (0, 4)), ((8, 3), (4, 4))):
        work = {"w": as_strided(line, shape, strides)}
        base = copy(work)
        tuned = {"w": base["w"] + np.eye(*shape, dtype="f4")}
        with pytest.raises(diffkit.Unsupported, match="'w'.* several elements in one place"):
            diffkit.open(diffkit.dumps(base, tuned)).apply(work)
        assert_same(work, base)


def test_entries_that_mean_one_array_are_refused() -> None:
    base = {"a": np.zeros(3, "f4"), "a:0": np.ones(3, "f4")}
    diff = diffkit.open(diffkit.dumps(base, {}))
    work = {"a:0": np.ones(3, "f4")}
    with pytest.raises(diffkit.Mismatch, match="'a:0'.* 'a'"):
        diff.apply(work, verify=False)
    assert list(work) == ["a:0"]


def test_a_damaged_page_changes_nothing(base: Tensors, tuned: Tensors) -> None:
    made = bytearray(diffkit.dumps(base, tuned))
    with diffkit.open(bytes(made)) as diff:
        sparse = [name for name, entry in diff.items() if entry.operation == "xor"]
        assert len(sparse) > 2
    for verify in (True, False):
        for place in range(24, len(made) // 2, 11):
            damaged = made.copy()
            damaged[place] ^= 4
            weights = copy(base)
            try:
                with diffkit.open(bytes(damaged)) as diff:
                    diff.apply(weights, verify=verify)
            except diffkit.DiffkitError as problem:
                assert isinstance(problem, diffkit.Damaged), problem
                assert_same(weights, base)
            else:
                assert_same(weights, tuned)


def test_types_that_numpy_lacks() -> None:
    bits = np.arange(100, dtype="u2")
    changed = bits.copy()
    changed[7] = 0x3F80
    types = {"w": "bf16"}
    data = diffkit.dumps({"w": bits}, {"w": changed}, types=types)
    diff = diffkit.open(data)
    assert diff["w"].type == "bf16"
    work = {"w": bits.copy()}
    diff.apply(work)
    assert_same(work, {"w": changed})
    with pytest.raises(diffkit.Mismatch):
        diff.verify({"w": bits.astype("f4")})
    with pytest.raises(diffkit.UsageError, match="f99"):
        diffkit.dumps({"w": bits}, {"w": changed}, types={"w": "f99"})
    with pytest.raises(diffkit.Unsupported, match="'w'"):
        diffkit.dumps({"w": np.array(["a"])}, {})
    with pytest.raises(diffkit.Unsupported, match="'w'"):
        diffkit.dumps({"w": bits.astype(">u2")}, {})
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for name, code in (
        ("bfloat16", "bf16"), ("float8_e4m3fn", "f8e4m3"), ("float8_e5m2", "f8e5m2"),
    ):  # fmt: skip
        dtype = np.dtype(getattr(ml_dtypes, name))
        before = {"w": np.arange(20).astype(dtype)}
        after = {"w": before["w"].copy()}
        after["w"][3] = 0.5
        diff = diffkit.open(diffkit.dumps(before, after))
        assert diff["w"].type == code and diff["w"].dtype == dtype
        diff.apply(before)
        assert_same(before, after)


def test_sources(base: Tensors, tuned: Tensors, tmp_path: Path) -> None:
    data = diffkit.dumps(base, tuned)
    (tmp_path / "d.diff").write_bytes(data)
    identity = diffkit.open(data).identity
    for source in (
        str(tmp_path / "d.diff"),
        tmp_path / "d.diff",
        bytearray(data),
        io.BytesIO(data),
    ):
        with diffkit.open(source) as diff:
            assert diff.identity == identity
            work = copy(base)
            diff.apply(work)
            assert_same(work, tuned)
    with open(tmp_path / "d.diff", "rb") as file:
        assert diffkit.open(file).state(tuned) == "applied"

    class Broken(io.BytesIO):
        isBroken = False

        def read(self, *arguments: Any) -> bytes:
            if self.isBroken:
                raise ConnectionError("the network is gone")
            return super().read(*arguments)

    broken = Broken(data)
    diff = diffkit.open(broken)
    broken.isBroken = True
    with pytest.raises(ConnectionError, match="gone"):
        diff["ids"].read()
    with pytest.raises(ConnectionError, match="gone"):
        diffkit.open(broken)


def test_trouble_has_classes(base: Tensors, tuned: Tensors, tmp_path: Path) -> None:
    data = diffkit.dumps(base, tuned)
    with pytest.raises(diffkit.FileMissing) as missing:
        diffkit.open(tmp_path / "none")
    assert isinstance(missing.value, FileNotFoundError) and "none" in str(missing.value)
    with pytest.raises(diffkit.NotADiff):
        diffkit.open(b"PK" + bytes(100))
    with pytest.raises(diffkit.Damaged) as cut:
        diffkit.open(data[:-1])
    assert cut.value.code == "truncated"
    damaged = bytearray(data)
    damaged[40] ^= 1
    diff = diffkit.open(damaged)
    work = copy(base)
    with pytest.raises(diffkit.Damaged, match="checksum"):
        diff.apply(work, verify=False)
    assert_same(work, base)
    with pytest.raises(diffkit.Damaged):
        diff.check()
    again = pickle.loads(pickle.dumps(cut.value))
    assert type(again) is type(cut.value) and str(again) == str(cut.value)
    diffkit.create(base, tuned, tmp_path / "d.diff")
    with pytest.raises(diffkit.OutputExists):
        diffkit.create(base, tuned, tmp_path / "d.diff")
    diffkit.create(base, tuned, tmp_path / "d.diff", overwrite=True)
    for options in (
        {"operation": "insert"}, {"density": 0}, {"density": 2.0}, {"threshold": -1},
        {"density": 0.1, "threshold": 1.0}, {"values": "f64"}, {"metadata": {"a": "\0"}},
        {"operation": "xor", "density": 0.5},
    ):  # fmt: skip
        with pytest.raises(diffkit.UsageError):
            diffkit.dumps(base, tuned, **options)
    with pytest.raises(diffkit.Unsupported, match="float"):
        diffkit.dumps(base, tuned, operation="add")
    with pytest.raises(diffkit.UsageError, match="dicts"):
        diffkit.create(base, "tuned.h5", tmp_path / "x.diff")


def test_progress_and_interruption(base: Tensors, tuned: Tensors, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    diffkit.create(base, tuned, tmp_path / "d.diff", progress=lambda *facts: told.append(facts))
    assert told[-1][0] == "create" and told[-1][1] == told[-1][2]
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        diffkit.create(base, tuned, tmp_path / "e.diff", progress=interrupt)
    assert sorted(os.listdir(tmp_path)) == ["d.diff"]


def test_callers_functions_run_on_the_callers_thread() -> None:
    many = {f"w{i}": np.arange(1 << 16, dtype="f4") for i in range(20)}
    other = {name: array + 1 for name, array in many.items()}
    ran: list[int] = []

    class Noting(io.BytesIO):
        def read(self, *arguments: Any) -> bytes:
            ran.append(threading.get_ident())
            return super().read(*arguments)

    def work() -> None:
        progress = lambda *_: ran.append(threading.get_ident())  # noqa: E731
        data = diffkit.dumps(many, other, progress=progress)
        assert len(ran) > len(many) // 2
        count = len(ran)
        with diffkit.open(Noting(data)) as diff:
            diff.apply(copy(many)).restore()
        assert len(ran) > count + len(many)
        assert set(ran) == {threading.get_ident()}
        done.append(True)

    done: list[bool] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done and threading.get_ident() not in ran


def test_ctrl_c_leaves_no_file(tmp_path: Path) -> None:
    # A child that interrupts itself: from its own callback, or by another thread while C works.
    program = """
import os, signal, sys, threading, numpy as np, diffkit
# Background jobs of some shells ignore the signal.
signal.signal(signal.SIGINT, signal.default_int_handler)
base = {f"w{i}": np.zeros(1 << 20, "f4") for i in range(400)}
tuned = dict(base)
tuned["w0"] = np.ones(1 << 20, "f4")
calls = []
def told(*facts):
    calls.append(facts)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGINT)
try:
    if sys.argv[1] == "told":
        diffkit.create(base, tuned, "d.diff", progress=told)
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    while True:
        diffkit.create(base, tuned, "d.diff", overwrite=True)
except KeyboardInterrupt:
    handler = signal.getsignal(signal.SIGINT)
    print("interrupted", len(calls) < 10, handler is signal.default_int_handler)
"""
    for kind in ("told", "silent"):
        shown = subprocess.run(
            [sys.executable, "-c", program, kind], cwd=tmp_path, capture_output=True, text=True,
            timeout=120,
        )  # fmt: skip
        assert shown.stdout == "interrupted True True\n", shown.stderr
        if kind == "told":
            assert os.listdir(tmp_path) == []


def test_ctrl_c_at_the_end_leaves_no_file(
    base: Tensors, tuned: Tensors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(name: str, *arguments: Any, **options: Any) -> int:
        status = call(name, *arguments, **options)
        if name == "writer_file":
            signal.raise_signal(signal.SIGINT)
        return status

    call = diffkit._create.call
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(diffkit._create, "call", late)
            with pytest.raises(KeyboardInterrupt):
                diffkit.create(base, tuned, tmp_path / "d.diff")
            assert list(tmp_path.iterdir()) == []
            (tmp_path / "d.diff").write_text("old")
            with pytest.raises(KeyboardInterrupt):
                diffkit.create(base, tuned, tmp_path / "d.diff", overwrite=True)
    finally:
        signal.signal(signal.SIGINT, usual)
    assert diffkit.open(tmp_path / "d.diff").state(base) == "base"


@pytest.mark.parametrize("way", ["apply", "revert", "restore"])
def test_ctrl_c_leaves_no_dict_half_changed(way: str, base: Tensors, tuned: Tensors) -> None:
    before = copy(base)
    # Not in one piece, so that it is copied back.
    before["encoder/h"] = np.repeat(base["encoder/h"], 2)[::2]
    diff = diffkit.open(diffkit.dumps(base, tuned))
    made = copy(before)
    diff.apply(made)
    work: Tensors = {}
    undo: Any = None

    def turn() -> None:
        nonlocal undo
        if way == "restore":
            undo.restore()
        else:
            undo = getattr(diff, way)(work)

    times = 0
    work = copy(made if way == "revert" else before)
    if way == "restore":
        undo = diff.apply(work)
    for is_interrupted in interrupted_everywhere(turn):
        times += 1
        if way == "apply":
            assert_same(work, before if is_interrupted else made)
        elif way == "revert":
            assert_same(work, made if is_interrupted else before)
        else:
            # It is all restored or not at all, and in that case can be.
            is_done = undo._is_done
            assert is_done or is_interrupted
            assert_same(work, before if is_done else made)
            if not is_done:
                undo.restore()
                assert_same(work, before)
        work = copy(made if way == "revert" else before)
        if way == "restore":
            undo = diff.apply(work)
    assert times > 50


def test_what_a_mapping_refuses_is_taken_back(base: Tensors, tuned: Tensors) -> None:
    class Refusing(dict[str, Any]):
        def __delitem__(self, name: str) -> None:
            raise RuntimeError("nothing goes")

    diff = diffkit.open(diffkit.dumps(base, tuned))
    work = Refusing(copy(base))
    with pytest.raises(RuntimeError, match="nothing goes"):
        diff.apply(work)
    # What came in between cannot go; the rest is as it was.
    assert_same({name: work[name] for name in base}, base)


def test_from_threads(base: Tensors, tuned: Tensors) -> None:
    diff = diffkit.open(diffkit.dumps(base, tuned))
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                mine = copy(base)
                diff.apply(mine)
                assert_same(mine, tuned)
                with pytest.raises(diffkit.AlreadyApplied):
                    diff.apply(mine)
        except BaseException as problem:
            failed.append(problem)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_after_fork(tmp_path: Path) -> None:
    # In a process of its own: pytest's has threads of others.
    program = """
import os, sys, numpy as np, diffkit
base = {"w": np.arange(8 << 20, dtype="f4")}
tuned = {"w": base["w"].copy()}
tuned["w"][::1000] += 1
diff = diffkit.open(diffkit.dumps(base, tuned))
diff.state(base)
children = []
for _ in range(3):
    child = os.fork()
    if child == 0:
        work = {"w": base["w"].copy()}
        diff.apply(work)
        same = np.array_equal(work["w"], tuned["w"]) and diffkit.dumps(base, work)
        os._exit(0 if same else 1)
    children.append(child)
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=120).returncode == 0


def test_empty_and_scalar_tensors() -> None:
    base = {"none": np.zeros((0, 3), "f4"), "one": np.array(1.0, "f4")}
    tuned = {"none": np.zeros((2, 3), "f4"), "one": np.array(2.0, "f4"), "new": np.zeros(0, "i4")}
    diff = diffkit.open(diffkit.dumps(base, tuned))
    work = copy(base)
    undo = diff.apply(work)
    assert_same(work, tuned)
    undo.restore()
    assert_same(work, base)
    assert len(diffkit.open(diffkit.dumps({}, {}))) == 0
    assert diffkit.open(diffkit.dumps(base, base)).apply(copy(base)).tensors == []
