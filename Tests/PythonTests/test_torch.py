"""Diffs on PyTorch's models."""

from __future__ import annotations

import copy
import gc
import weakref
from pathlib import Path
from typing import Any, Iterator

import numpy as np
import pytest
from conftest import devices, interrupted_everywhere

torch = pytest.importorskip("torch")

import diffkit  # noqa: E402
import diffkit.torch as dt  # noqa: E402

TYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]


class Model(torch.nn.Module):
    """An embedding tied to the head before the last, a transposed view, a buffer, a head."""

    def __init__(self, dtype: torch.dtype = torch.float32, classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.words = torch.nn.Embedding(50, 16)
        self.up = torch.nn.Linear(16, 40)
        self.norm = torch.nn.BatchNorm1d(40)
        self.down = torch.nn.Linear(40, 16)
        self.out = torch.nn.Linear(16, 50, bias=False)
        self.head = torch.nn.Linear(16, classes)
        self.to(dtype)
        self.out.weight = self.words.weight

    def forward(self, ids: Any) -> Any:
        hidden = self.down(self.norm(torch.relu(self.up(self.words(ids)).mean(1))))
        return self.head(hidden) + self.out(hidden).sum(-1, keepdim=True)


def bits(model: Any) -> dict[str, bytes]:
    return {
        name: tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        for name, tensor in model.state_dict().items()
    }


def changed(model: Any, seed: int = 0, share: float = 0.1, scale: float = 0.01) -> Any:
    """A copy of a model in which some elements of floats differ."""
    made = copy.deepcopy(model)
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in {t.data_ptr(): t for t in dt._tensors.named(made).values()}.values():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=random, dtype=torch.float32) * scale
                mask = torch.rand(tensor.shape, generator=random) < share
                tensor += (noise * mask).to(tensor.dtype)
    return made


@pytest.fixture(params=devices())
def device(request: pytest.FixtureRequest) -> Iterator[str]:
    yield str(request.param)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kind", ["xor", "replace", "add f16", "add bf16", "add f32"])
def test_attach_and_detach_every_bit(device: str, dtype: Any, kind: str, tmp_path: Path) -> None:
    model = Model(dtype)
    tuned = changed(model)
    operation, *values = kind.split()
    dt.create(
        model, tuned, tmp_path / "d.diff", operation=operation, values=(values or ["f16"])[0],
    )  # fmt: skip
    # What the C library makes of the same tensors in NumPy.
    expected = {
        name: tensor.detach().clone().contiguous() for name, tensor in model.state_dict().items()
    }
    with diffkit.open(tmp_path / "d.diff") as diff:
        for name, entry in diff.items():
            flat = expected[name].view(-1).view(torch.uint8).numpy()
            entry._call("apply", flat.ctypes.data, flat.nbytes, 0)
    expected["out.weight"] = expected["words.weight"]
    model.to(device)
    before, addresses = bits(model), [p.data_ptr() for p in model.parameters()]
    with dt.attach(model, tmp_path / "d.diff") as attached:
        assert attached.is_attached and dt.attached(model) == [attached]
        after = bits(model)
        for name, tensor in expected.items():
            assert after[name] == tensor.reshape(-1).view(torch.uint8).numpy().tobytes(), name
        if operation != "add":
            assert after == bits(tuned)
        assert after != before
        with pytest.raises(diffkit.AlreadyApplied):
            dt.attach(model, tmp_path / "d.diff")
        with pytest.raises(diffkit.UsageError):
            dt.attach(model, attached.prepared)
    assert bits(model) == before and not attached.is_attached
    assert [p.data_ptr() for p in model.parameters()] == addresses
    with pytest.raises(diffkit.UsageError):
        attached.detach()


def test_a_thousand_cycles(device: str, tmp_path: Path) -> None:
    for dtype in (torch.bfloat16, torch.float32):
        model = Model(dtype).to(device)
        before = bits(model)
        for index in range(2):
            tuned = changed(Model(dtype), seed=index)
            dt.create(Model(dtype), tuned, tmp_path / f"{index}.diff", operation="add",
                      overwrite=True)  # fmt: skip
        tasks = [dt.prepare(model, tmp_path / f"{index}.diff") for index in range(2)]
        attached = dt.attach(model, tasks[0])
        for cycle in range(1000):
            attached = attached.switch(tasks[(cycle + 1) % 2])
        attached.detach()
        assert bits(model) == before


def test_wrong_base_by_name(device: str, tmp_path: Path) -> None:
    model = Model()
    dt.create(model, changed(model), tmp_path / "d.diff")
    model.to(device)
    with torch.no_grad():
        model.down.bias[2] += 1
    before = bits(model)
    with pytest.raises(diffkit.WrongBase, match="down.bias"):
        dt.attach(model, tmp_path / "d.diff")
    assert bits(model) == before
    # Not hashed, the elements are what they are.
    with dt.attach(model, tmp_path / "d.diff", verify=False):
        assert bits(model) != before
    assert bits(model) == before
    with pytest.raises(diffkit.Mismatch, match="bfloat16"):
        dt.attach(Model(torch.bfloat16), tmp_path / "d.diff", verify=False)
    with pytest.raises(diffkit.Mismatch, match="no such tensor"):
        dt.attach(torch.nn.Linear(2, 2), tmp_path / "d.diff")
    with pytest.raises(diffkit.Mismatch, match="shape"):
        dt.attach(Model(classes=4), tmp_path / "d.diff")
    with pytest.raises(diffkit.Unsupported, match="meta"):
        dt.attach(Model().to("meta"), tmp_path / "d.diff")


def test_trouble_names_the_tensor(device: str, tmp_path: Path) -> None:
    model = Model()
    tuned = changed(model)
    dt.create(model, tuned, tmp_path / "d.diff")
    with diffkit.open(tmp_path / "d.diff") as diff:
        first = next(iter(diff))
    with pytest.raises(diffkit.AlreadyApplied, match="already applied") as already:
        dt.attach(tuned.to(device), tmp_path / "d.diff")
    assert already.value.tensor == first
    with torch.no_grad():
        model.up.bias.copy_(tuned.up.bias)
    with pytest.raises(diffkit.PartlyApplied, match="'up.bias' is at the result") as partly:
        dt.attach(model.to(device), tmp_path / "d.diff")
    assert partly.value.tensor == "up.bias"


def test_changed_in_between(device: str, tmp_path: Path) -> None:
    model = Model()
    dt.create(model, changed(model), tmp_path / "d.diff")
    model.to(device)
    before = bits(model)
    attached = dt.attach(model, tmp_path / "d.diff")
    position = int(diffkit.open(tmp_path / "d.diff")["up.weight"].positions[-1])
    flat = model.up.weight.detach().view(-1)
    kept = flat[position].clone()
    flat[position] += 1
    there = bits(model)
    with pytest.raises(diffkit.ChangedInBetween, match="up.weight"):
        attached.detach()
    assert bits(model) == there and attached.is_attached
    flat[position] = kept
    # Elsewhere than where the diff changes it, it may be changed.
    free = (set(range(flat.numel())) - set(map(int, _positions(tmp_path, "up.weight")))).pop()
    other = flat[free].clone()
    flat[free] = 9
    attached.detach()
    assert float(flat[free]) == 9
    flat[free] = other
    assert bits(model) == before
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    attached = dt.attach(model, tmp_path / "d.diff")
    model(torch.zeros(4, 3, dtype=torch.int64, device=device)).sum().backward()
    optimizer.step()
    with pytest.raises(diffkit.ChangedInBetween):
        attached.detach()


def _positions(folder: Path, name: str) -> Any:
    with diffkit.open(folder / "d.diff") as diff:
        return diff[name].positions


def test_remembered_hashes_follow_changes(tmp_path: Path) -> None:
    model = Model()
    dt.create(model, changed(model), tmp_path / "d.diff")
    attached = dt.attach(model, tmp_path / "d.diff")
    attached.detach()
    dt.attach(model, tmp_path / "d.diff").detach()
    with torch.no_grad():
        model.down.weight.view(-1)[-1] += 1
    with pytest.raises(diffkit.WrongBase, match="down.weight"):
        dt.attach(model, tmp_path / "d.diff")
    with torch.no_grad():
        model.down.weight.view(-1)[-1] -= 1
    attached = dt.attach(model, tmp_path / "d.diff", verify=False)
    with torch.no_grad():
        model.up.bias.zero_()
    with pytest.raises(diffkit.DiffkitError):
        dt.attach(model, tmp_path / "d.diff")


def test_backward_notices_an_attach_in_between(tmp_path: Path) -> None:
    model = Model()
    dt.create(model, changed(model), tmp_path / "d.diff")
    loss = model.eval()(torch.zeros(4, 3, dtype=torch.int64)).sum()
    with dt.attach(model, tmp_path / "d.diff"):
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


def test_stacks(device: str, tmp_path: Path) -> None:
    model = Model()
    one = copy.deepcopy(model)
    with torch.no_grad():
        one.up.weight[:20] += 1
    two = copy.deepcopy(one)
    with torch.no_grad():
        two.up.weight[10:30] += 1
        two.down.bias += 1
    three = copy.deepcopy(two)
    with torch.no_grad():
        three.norm.weight += 1
    steps = [model, one, two, three]
    for index in range(3):
        dt.create(steps[index], steps[index + 1], tmp_path / f"{index}.diff")
    model.to(device)
    states = [bits(step) for step in steps]
    a, b, c = (dt.attach(model, tmp_path / f"{index}.diff") for index in range(3))
    assert bits(model) == states[3]
    with pytest.raises(diffkit.Unsupported, match="up.weight"):
        a.detach()
    assert bits(model) == states[3]
    b.detach()
    c.detach()
    assert bits(model) == states[1]
    # The second again, as it was prepared; the first is still below.
    b = dt.attach(model, b.prepared)
    assert bits(model) == states[2]
    b.detach()
    a.detach()
    assert bits(model) == states[0]
    with pytest.raises(diffkit.ChangedInBetween):
        dt.attach(model, b.prepared)
    assert bits(model) == states[0]


def test_switch_that_fails_leaves_the_first(tmp_path: Path) -> None:
    model = Model()
    dt.create(model, changed(model), tmp_path / "a.diff")
    dt.create(changed(model, 7), model, tmp_path / "wrong.diff")
    before = bits(model)
    attached = dt.attach(model, tmp_path / "a.diff")
    after = bits(model)
    with pytest.raises(diffkit.DiffkitError):
        attached.switch(tmp_path / "wrong.diff")
    assert bits(model) == after and attached.is_attached
    with pytest.raises(diffkit.FileMissing):
        attached.switch(tmp_path / "none.diff")
    attached.detach()
    assert bits(model) == before


@pytest.mark.parametrize("way", ["attach", "detach", "switch"])
def test_ctrl_c_leaves_no_model_half_changed(way: str, tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 2))
    tuned, other = changed(model, 1, 0.5), changed(model, 2, 0.5)
    tuned[1] = torch.nn.Linear(4, 3)
    for name, made in (("a", tuned), ("b", other)):
        dt.create(model, made, tmp_path / f"{name}.diff")
    states = [bits(model), bits(tuned), bits(other)]
    one, two = (dt.prepare(model, tmp_path / f"{name}.diff") for name in "ab")
    on: Any = None if way == "attach" else dt.attach(model, one)

    def turn() -> None:
        if way == "attach":
            dt.attach(model, one)
        elif way == "detach":
            on.detach()
        else:
            on.switch(two)

    times = 0
    for is_interrupted in interrupted_everywhere(turn):
        times += 1
        after = {"attach": 1, "detach": 0, "switch": 2}[way]
        attached = dt.attached(model)
        # What is attached is what the model is; of a detach, Ctrl-C may come when it is over.
        expected = states[0] if not attached else states[1 if attached[0].prepared is one else 2]
        assert bits(model) == expected and len(attached) <= 1
        if way != "detach":
            assert (expected == states[after]) != is_interrupted
            assert not is_interrupted or len(attached) == (way == "switch")
        for item in attached:
            item.detach()
        assert bits(model) == states[0]
        on = None if way == "attach" else dt.attach(model, one)
    assert times > 20


def test_switch_keeps_the_options(tmp_path: Path) -> None:
    model = Model()
    for seed in range(3):
        dt.create(model, changed(model, seed), tmp_path / f"{seed}.diff", operation="add")
    wrapped = torch.nn.ModuleDict({"inner": model})
    before = bits(wrapped)
    names = {"names": lambda name: "inner." + name}
    third = dt.prepare(wrapped, tmp_path / "2.diff", **names)
    attached = dt.attach(wrapped, tmp_path / "0.diff", **names)
    attached = attached.switch(tmp_path / "1.diff", verify=False)
    attached = attached.switch(third)
    attached = attached.switch(tmp_path / "0.diff")
    with pytest.raises(diffkit.UsageError, match="another model"):
        attached.switch(dt.prepare(model, tmp_path / "0.diff", verify=False))
    assert attached.is_attached
    attached.detach()
    assert bits(wrapped) == before


def test_heads(device: str, tmp_path: Path) -> None:
    model = Model()
    tuned = changed(model)
    tuned.head = torch.nn.Linear(16, 7)
    base = {name: t for name, t in model.state_dict().items() if name != "head.bias"}
    dt.create(base, tuned, tmp_path / "d.diff")
    with diffkit.open(tmp_path / "d.diff") as diff:
        assert diff["head.bias"].operation == "insert"
        assert diff["head.weight"].operation == "reshape"
    model.to(device)
    before, weight = bits(model), model.head.weight
    attached = dt.attach(model, tmp_path / "d.diff")
    assert model.head.weight is weight and tuple(weight.shape) == (7, 16)
    assert weight.device.type == device
    assert bits(model) == bits(tuned)
    attached.detach()
    assert bits(model) == before and tuple(weight.shape) == (3, 16)
    attached = dt.attach(model, attached.prepared)
    with torch.no_grad():
        model.head.bias += 1
    with pytest.raises(diffkit.ChangedInBetween, match="head.bias"):
        attached.detach()


def test_tied_tensors_change_once(device: str, tmp_path: Path) -> None:
    model = Model()
    tuned = changed(model)
    dt.create(model, tuned, tmp_path / "d.diff", operation="add", values="f32")
    names = list(diffkit.open(tmp_path / "d.diff"))
    assert "words.weight" in names and "out.weight" not in names
    # A diff that names both says the same of both, or is refused.
    both = [
        {f"{name}.weight": side.words.weight.detach().numpy() for name in ("words", "out")}
        for side in (model, tuned)
    ]
    diffkit.create(*both, tmp_path / "both.diff")
    before = bits(model)
    model.to(device)
    model.out.weight = model.words.weight
    with dt.attach(model, tmp_path / "both.diff"):
        assert bits(model)["out.weight"] == bits(tuned)["out.weight"]
    assert bits(model) == before
    both[1]["out.weight"] = both[1]["out.weight"] + 1
    diffkit.create(*both, tmp_path / "apart.diff")
    with pytest.raises(diffkit.Unsupported, match="tied"):
        dt.attach(model, tmp_path / "apart.diff")


def test_views_of_one_storage(device: str, tmp_path: Path) -> None:
    class Views(torch.nn.Module):
        def __init__(self, overlapping: bool) -> None:
            super().__init__()
            whole = torch.arange(200, dtype=torch.float32, device=device)
            self.register_buffer("turned", whole[:96].view(8, 12).t())
            self.register_buffer("strided", whole[96 if not overlapping else 90 :: 2])

    for overlapping in (False, True):
        base = {name: b.cpu().clone() for name, b in Views(overlapping).named_buffers()}
        tuned = {name: b + (b % 3 == 0) for name, b in base.items()}
        dt.create(base, tuned, tmp_path / "d.diff", overwrite=True)
        model = Views(overlapping)
        before = bits(model)
        if overlapping:
            with pytest.raises(diffkit.Unsupported, match="shares elements"):
                dt.attach(model, tmp_path / "d.diff")
            continue
        with dt.attach(model, tmp_path / "d.diff"):
            for name, tensor in tuned.items():
                assert torch.equal(getattr(model, name).cpu(), tensor)
        assert bits(model) == before


def _holding(**buffers: Any) -> Any:
    model = torch.nn.Module()
    for name, buffer in buffers.items():
        model.register_buffer(name, buffer)
    return model


def _diff_of(model: Any, positions: dict[str, int], path: Path) -> None:
    """A diff that adds 4 to an element of each buffer."""
    base = {name: b.clone() for name, b in model.named_buffers()}
    tuned = {name: b.clone() for name, b in base.items()}
    for name, position in positions.items():
        tuned[name].view(-1)[position] += 4
    dt.create(base, tuned, path, overwrite=True)


def test_overlaps_of_other_types_and_storages(tmp_path: Path) -> None:
    whole = torch.arange(64, dtype=torch.int32)
    memory = np.arange(64, dtype="i4")
    for wide, narrow in (
        # The second half of an element of the other tensor.
        (whole, whole.view(torch.int16)),
        # Two storages of one memory.
        (torch.from_numpy(memory), torch.from_numpy(memory[1:].view("i2"))),
    ):
        model = _holding(narrow=narrow, wide=wide)
        assert wide.data_ptr() != narrow.data_ptr() or wide.dtype != narrow.dtype
        shift = (narrow.data_ptr() - wide.data_ptr()) // 2
        before = bits(model)
        _diff_of(model, {"wide": 9, "narrow": 19 - shift}, tmp_path / "d.diff")
        with pytest.raises(diffkit.Unsupported, match="shares elements with 'narrow'"):
            dt.attach(model, tmp_path / "d.diff")
        assert bits(model) == before
        # Beside each other they are.
        _diff_of(model, {"wide": 9, "narrow": 20 - shift}, tmp_path / "d.diff")
        with dt.attach(model, tmp_path / "d.diff"):
            assert int(wide[9]) == 13 and bits(model) != before
        assert bits(model) == before


def test_windows_are_refused(tmp_path: Path) -> None:
    line = torch.arange(10, dtype=torch.float32)
    for windows in (line.unfold(0, 3, 1), line.expand(4, 10)):
        model = _holding(w=windows)
        _diff_of(model, {"w": 4}, tmp_path / "d.diff")
        with pytest.raises(diffkit.Unsupported, match="several elements in one place"):
            dt.attach(model, tmp_path / "d.diff")


def test_a_stack_over_one_memory_comes_off_in_order(tmp_path: Path) -> None:
    memory = np.arange(64, dtype="f4")
    model = _holding(a=torch.from_numpy(memory), b=torch.from_numpy(memory[10:]))
    before = bits(model)
    _diff_of(model, {"a": 12}, tmp_path / "a.diff")
    _diff_of(model, {"b": 2}, tmp_path / "b.diff")
    first = dt.attach(model, tmp_path / "a.diff")
    second = dt.attach(model, tmp_path / "b.diff", verify=False)
    with pytest.raises(diffkit.Unsupported, match="attached later"):
        first.detach()
    second.detach()
    first.detach()
    assert bits(model) == before


def test_tied_tensors_that_are_replaced(device: str, tmp_path: Path) -> None:
    # A longer vocabulary, in a diff that has the tied tensor under both of its names.
    model = Model()
    longer = torch.cat([model.words.weight.detach(), torch.ones(3, 16)])
    names = ("words.weight", "out.weight")
    base = {name: model.words.weight.detach() for name in names}
    model.to(device)
    model.out.weight = model.words.weight
    before = bits(model)
    dt.create(
        {name: tensor.clone() for name, tensor in base.items()},
        {name: longer.clone() for name in names}, tmp_path / "both.diff",
    )  # fmt: skip
    with diffkit.open(tmp_path / "both.diff") as diff:
        assert {entry.operation for entry in diff.values()} == {"reshape"} and len(diff) == 2
    attached = dt.attach(model, tmp_path / "both.diff")
    assert torch.equal(model.out.weight.cpu(), longer) and model.out.weight is model.words.weight
    attached.detach()
    assert bits(model) == before
    # What says different things of both is refused: other rows, or other elements.
    other = longer.clone()
    other[-1] = 2
    changed_ = base["words.weight"].clone()
    changed_[0, 0] += 1
    for tuned in (other, changed_):
        for one, two in (names, names[::-1]):
            dt.create(
                {name: tensor.clone() for name, tensor in base.items()},
                {one: longer.clone(), two: tuned}, tmp_path / "apart.diff", overwrite=True,
            )  # fmt: skip
            with pytest.raises(diffkit.Unsupported, match="tied to"):
                dt.attach(model, tmp_path / "apart.diff")
            assert bits(model) == before


def test_names_of_the_model(tmp_path: Path) -> None:
    model = Model()
    dt.create(model, changed(model), tmp_path / "d.diff")
    wrapped = torch.nn.ModuleDict({"inner": model})
    with pytest.raises(diffkit.Mismatch):
        dt.attach(wrapped, tmp_path / "d.diff")
    before = bits(wrapped)
    for names in (
        lambda name: "inner." + name,
        {name: "inner." + name for name in model.state_dict()},
    ):
        with dt.attach(wrapped, tmp_path / "d.diff", names=names):
            assert bits(wrapped) != before
        assert bits(wrapped) == before


def test_moved_model_is_followed(tmp_path: Path) -> None:
    model = Model()
    dt.create(model, changed(model), tmp_path / "d.diff")
    before = bits(model)
    attached = dt.attach(model, tmp_path / "d.diff")
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()
    model.out.weight = model.words.weight
    attached.detach()
    assert bits(model) == before
    attached = dt.attach(model, attached.prepared)
    model.double()
    with pytest.raises(diffkit.ChangedInBetween, match="f64"):
        attached.detach()


def _copied(model: Any) -> dict[str, Any]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_parameters_that_came_in_place_of_others_are_restored(device: str, tmp_path: Path) -> None:
    model = Model()
    dt.create(model, changed(model), tmp_path / "d.diff")
    model.to(device)
    before = bits(model)
    attached = dt.attach(model, tmp_path / "d.diff")
    there = bits(model)
    model.load_state_dict(_copied(model), assign=True)
    # Both names of what was one tensor have tensors of their own now.
    assert bits(model) == there
    with pytest.raises(diffkit.ChangedInBetween, match="no longer one tensor") as refused:
        attached.detach()
    assert refused.value.tensor in ("out.weight", "words.weight")
    assert bits(model) == there and attached.is_attached
    model.out.weight = model.words.weight
    attached.detach()
    assert bits(model) == before
    # The same on the way there.
    model.load_state_dict(_copied(model), assign=True)
    model.out.weight = model.words.weight
    attached = dt.attach(model, attached.prepared)
    assert bits(model) == there
    # Another module, with the elements that the diff left, or others.
    model.up = copy.deepcopy(model.up)
    attached.detach()
    assert bits(model) == before
    up = copy.deepcopy(model.up)
    attached = dt.attach(model, attached.prepared)
    model.up = up
    there = bits(model)
    with pytest.raises(diffkit.ChangedInBetween, match=r"'up\."):
        attached.detach()
    assert bits(model) == there and attached.is_attached


@pytest.mark.parametrize("kind", ["base", "gone", "another type", "another shape", "a module"])
def test_parameters_that_cannot_be_restored_are_refused(kind: str, tmp_path: Path) -> None:
    model = Model()
    dt.create(model, changed(model), tmp_path / "d.diff")
    base = model.down.weight.detach().clone()
    attached = dt.attach(model, tmp_path / "d.diff")
    if kind == "base":
        model.down.weight = torch.nn.Parameter(base)
    elif kind == "gone":
        del model.down.weight
    elif kind == "another type":
        model.down.weight = torch.nn.Parameter(model.down.weight.detach().double())
    elif kind == "another shape":
        model.down.weight = torch.nn.Parameter(model.down.weight.detach().t().contiguous())
    else:
        model.down = torch.nn.Identity()
    there = bits(model)
    for _ in range(2):
        with pytest.raises(diffkit.ChangedInBetween) as refused:
            attached.detach()
        assert refused.value.tensor in ("down.weight", "down.bias")
        assert bits(model) == there and attached.is_attached


def test_buffers_that_a_move_replaces_are_restored(tmp_path: Path) -> None:
    # `Module.to` puts other buffers in place of the old ones.
    model = Model()
    dt.create(model, changed(model), tmp_path / "d.diff")
    with diffkit.open(tmp_path / "d.diff") as diff:
        assert diff["norm.running_var"].changes > 0
    before = bits(model)
    attached = dt.attach(model, tmp_path / "d.diff")
    model._apply(torch.clone)
    attached.detach()
    assert bits(model) == before


def _with_a_longer_head(model: Any, path: Path) -> Any:
    tuned = changed(model)
    tuned.head = torch.nn.Linear(16, 7)
    dt.create(model, tuned, path)
    return tuned


def test_a_prepared_head_that_changed_is_refused(device: str, tmp_path: Path) -> None:
    model = Model()
    tuned = _with_a_longer_head(model, tmp_path / "d.diff")
    model.to(device)
    for verify in (True, False):
        prepared = dt.prepare(model, tmp_path / "d.diff", verify=verify)
        before = bits(model)
        for change in (lambda w: w.add_(1), lambda w: w[-1, -1].neg_()):
            kept = model.head.weight.detach().clone()
            with torch.no_grad():
                change(model.head.weight)
            there = bits(model)
            with pytest.raises(diffkit.ChangedInBetween, match=r"head\.weight"):
                dt.attach(model, prepared)
            assert bits(model) == there and not dt.attached(model)
            with torch.no_grad():
                model.head.weight.copy_(kept)
        for _ in range(2):
            with dt.attach(model, prepared):
                assert bits(model) == bits(tuned)
        assert bits(model) == before
        # Another parameter of the same elements is another one all the same.
        model.head.weight = torch.nn.Parameter(model.head.weight.detach().clone())
        with pytest.raises(diffkit.ChangedInBetween, match="another tensor"):
            dt.attach(model, prepared)
    # What came in place of an attached head is not lost.
    attached = dt.attach(model, tmp_path / "d.diff")
    model.head = torch.nn.Linear(16, 7)
    with pytest.raises(diffkit.ChangedInBetween, match="another tensor"):
        attached.detach()


def test_a_head_over_another_diff_comes_off_first(device: str, tmp_path: Path) -> None:
    model = Model()
    one = changed(model)
    dt.create(model, one, tmp_path / "one.diff")
    two = copy.deepcopy(one)
    two.head = torch.nn.Linear(16, 7)
    dt.create(one, two, tmp_path / "two.diff")
    three = copy.deepcopy(two)
    with torch.no_grad():
        three.head.weight[6] += 1
    dt.create(two, three, tmp_path / "three.diff")
    dt.create(three, changed(three, 9, 1.0), tmp_path / "four.diff")
    model.to(device)
    before = bits(model)
    stack = [dt.attach(model, tmp_path / f"{name}.diff") for name in ("one", "two", "three")]
    assert bits(model) == bits(three)
    for lower in stack[:2]:
        with pytest.raises(diffkit.Unsupported, match="attached later") as refused:
            lower.detach()
        assert refused.value.tensor in ("head.weight", "head.bias")
        assert bits(model) == bits(three)
    # Other tensors under the same names change nothing about that.
    top = dt.attach(model, tmp_path / "four.diff")
    model.up = copy.deepcopy(model.up)
    with pytest.raises(diffkit.Unsupported, match="attached later"):
        stack[0].detach()
    top.detach()
    for item in reversed(stack):
        item.detach()
    assert bits(model) == before


def test_a_head_that_moved_comes_off(tmp_path: Path) -> None:
    model = Model()
    tuned = _with_a_longer_head(model, tmp_path / "d.diff")
    before = bits(model)
    attached = dt.attach(model, tmp_path / "d.diff")
    model._apply(torch.clone)
    model.out.weight = model.words.weight
    assert bits(model) == bits(tuned)
    attached.detach()
    assert bits(model) == before
    attached = dt.attach(model, attached.prepared)
    model._apply(torch.clone)
    model.out.weight = model.words.weight
    with torch.no_grad():
        model.head.weight[0, 0] += 1
    with pytest.raises(diffkit.ChangedInBetween, match="head.weight"):
        attached.detach()


def test_a_prepared_head_follows_the_type(tmp_path: Path) -> None:
    model = Model()
    base = {name: t for name, t in model.state_dict().items() if not name.startswith("head.")}
    dt.create(base, changed(model), tmp_path / "d.diff", operation="xor")
    prepared = dt.prepare(model, tmp_path / "d.diff")
    model.head.half()
    with pytest.raises(diffkit.ChangedInBetween, match=r"head\."):
        dt.attach(model, prepared)


def test_remembered_hashes_are_those_of_the_tensors_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model()
    dt.create(model, changed(model), tmp_path / "d.diff")
    dt.prepare(model, tmp_path / "d.diff")
    # Another parameter comes to be where the old one was, as memory that was freed is used again.
    where = dt._tensors.place(model.up.bias)
    place = dt._tensors.place
    model.up.bias, old = torch.nn.Parameter(model.up.bias.detach().clone()), model.up.bias
    with torch.no_grad():
        model.up.bias += 1
    monkeypatch.setattr(
        dt._tensors, "place", lambda t: where if t is model.up.bias else place(t)
    )
    assert dt._tensors.version(model.up.bias) == dt._tensors.version(old)
    with pytest.raises(diffkit.WrongBase, match="up.bias"):
        dt.prepare(model, tmp_path / "d.diff")


def test_two_objects_of_one_memory(tmp_path: Path) -> None:
    memory = torch.arange(9.0)
    model = _holding(a=memory, b=memory.view(9))
    assert model.a is not model.b
    before = bits(model)
    tuned = {"a": memory.clone().index_fill_(0, torch.tensor([3]), 1)}
    dt.create({"a": memory}, tuned, tmp_path / "d.diff")
    prepared = dt.prepare(model, tmp_path / "d.diff")
    exchange = prepared._exchange
    for _ in range(2):
        with dt.attach(model, prepared):
            assert float(model.b[3]) == 1
        assert bits(model) == before
    # Nothing was prepared again.
    assert prepared._exchange is exchange


def test_empty_tensors_are_not_tied(tmp_path: Path) -> None:
    model = _holding(a=torch.zeros(0), b=torch.zeros(0))
    dt.create({}, {"a": torch.ones(2), "b": torch.ones(2) * 2}, tmp_path / "d.diff")
    with dt.attach(model, tmp_path / "d.diff"):
        assert model.a.tolist() == [1, 1] and model.b.tolist() == [2, 2]
    assert model.a.numel() == model.b.numel() == 0


def test_a_model_is_not_kept(tmp_path: Path) -> None:
    model = Model()
    dt.create(model, changed(model), tmp_path / "d.diff")
    attached = dt.attach(model, tmp_path / "d.diff")
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    with pytest.raises(diffkit.UsageError, match="gone"):
        attached.detach()


def test_inference_tensors(tmp_path: Path) -> None:
    plain = Model()
    dt.create(plain, changed(plain), tmp_path / "d.diff")
    with torch.inference_mode():
        model = Model()
    before = bits(model)
    with dt.attach(model, tmp_path / "d.diff"):
        assert bits(model) == bits(changed(plain))
    assert bits(model) == before


def test_patches(device: str, tmp_path: Path) -> None:
    model = Model(torch.bfloat16)
    tuned = changed(model)
    for operation in ("replace", "xor", "add"):
        dt.create(model, tuned, tmp_path / "d.diff", operation=operation, overwrite=True,
                  values="f32")  # fmt: skip
        base = {name: t.to(device) for name, t in model.state_dict().items()}
        made = {name: t.clone() for name, t in model.state_dict().items()}
        for patch in dt.patches(tmp_path / "d.diff", base):
            assert patch.indices.dtype == torch.int32 and patch.values.dtype == torch.bfloat16
            assert patch.shape == tuple(made[patch.name].shape)
            made[patch.name].view(-1)[patch.indices.long()] = patch.values
        for name in set(made) - {"out.weight"}:
            if operation != "add":
                assert torch.equal(made[name], tuned.state_dict()[name]), name
        if operation != "replace":
            with pytest.raises(diffkit.UsageError, match="base"):
                list(dt.patches(tmp_path / "d.diff"))
    assert diffkit.open(tmp_path / "d.diff")["up.weight"].operation == "add"


def test_fingerprints(device: str) -> None:
    for dtype in (*TYPES, torch.int64, torch.bool, torch.uint8):
        tensor = (torch.arange(300_000) % 251).reshape(300, 1000).to(dtype)
        expected = dt.fingerprint(tensor)
        assert dt.fingerprint(tensor.to(device)) == expected
        assert dt.fingerprint(tensor.to(device).t()) == dt.fingerprint(tensor.t().contiguous())
        if dtype != torch.bfloat16:
            assert diffkit.fingerprint(tensor.numpy()) == expected
    assert dt.fingerprint(torch.tensor(1.5)) == diffkit.fingerprint(np.array(1.5, "f4"))


@pytest.mark.parametrize("shards", [{}, {"max_shard_size": "4KB"}], ids=["one file", "shards"])
def test_load_for_transformers(shards: dict[str, str], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=20, architectures=["BertModel"],
    )  # fmt: skip
    model = transformers.BertModel(config)
    tuned = changed(model)
    model.save_pretrained(tmp_path / "base", **shards)
    tuned.save_pretrained(tmp_path / "tuned", **shards)
    assert (len(list((tmp_path / "base").glob("*.safetensors"))) > 1) == bool(shards)
    diffkit.create(tmp_path / "base", tmp_path / "tuned", tmp_path / "d.diff")
    loaded = dt.load(tmp_path / "base", tmp_path / "d.diff")
    assert type(loaded).__name__ == "BertModel" and bits(loaded) == bits(tuned)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "d.diff", "tuned"]
    # The same diff on the loaded model: its names are those of the checkpoint.
    base = transformers.BertModel.from_pretrained(tmp_path / "base")
    with dt.attach(base, tmp_path / "d.diff"):
        assert bits(base) == bits(tuned)
    assert bits(base) == bits(model)
