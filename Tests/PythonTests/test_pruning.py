"""Diff pruning in PyTorch: the draw and the gates of `diffkit train`, and whole trainings."""

from __future__ import annotations

import ctypes
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

import pytest
from conftest import REPOSITORY, devices

torch = pytest.importorskip("torch")

import diffkit  # noqa: E402
import diffkit.torch as dt  # noqa: E402
from diffkit.torch import _draw, _gates  # noqa: E402

DENSITY = 0.1
on_all_devices = pytest.mark.parametrize("device", devices())
RESOURCES = REPOSITORY / "Tests/DiffTrainingTests/Resources"


def oracle() -> Any:
    """What `Tests/DiffTrainingTests/gates.py` made, which the Swift tests compare with too."""
    return json.loads((RESOURCES / "gates.json").read_text())


@on_all_devices
def test_draws_are_those_of_the_oracle(device: str) -> None:
    expected = torch.tensor(oracle()["draw"], dtype=torch.float64)
    drawn = _draw.uniform(7, 5, 2, 0, 8, device).cpu()
    # Nine digits tell multiples of 2^-24 apart.
    assert torch.equal((drawn.double() * 2**24).round(), (expected * 2**24).round())
    assert torch.equal(drawn.double() * 2**24, (drawn.double() * 2**24).round())
    whole = _draw.uniform(3, 1, 0, 1000, 500)
    assert torch.equal(whole[100:], _draw.uniform(3, 1, 0, 1100, 400))
    assert 0 < float(whole.min()) and float(whole.max()) < 1
    for first in (0, 2**31 - 500, 2**32 - 1000):
        here = _draw.uniform(2**63 + 5, 12345, 1, first, 1000)
        assert torch.equal(here, _draw.uniform(2**63 + 5, 12345, 1, first, 1000, device).cpu())
    with pytest.raises(ValueError):
        _draw.uniform(0, 0, 0, 2**32 - 1, 2)


@pytest.mark.skipif(shutil.which("clang") is None, reason="there is no clang here")
def test_draws_are_those_of_the_kernel_bit_for_bit(tmp_path: Path) -> None:
    sources = REPOSITORY / "Sources/CKernels"
    library = tmp_path / "gates.so"
    # The kernels are hidden in the libraries that they are linked into.
    seen = tmp_path / "seen.c"
    seen.write_text(
        '#include "CKernels.h"\n'
        "float seen_uniform(dk_draw draw, uint32_t position)"
        " { return dk_uniform(draw, position); }\n"
    )
    made = subprocess.run(
        ["clang", "-O1", "-shared", "-fPIC", "-I", str(sources / "include"),
         str(seen), str(sources / "gates.c"), "-lm", "-o", str(library)],
        capture_output=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr

    class Draw(ctypes.Structure):
        _fields_ = [("low", ctypes.c_uint32), ("high", ctypes.c_uint32)]

    function = ctypes.CDLL(str(library)).seen_uniform
    function.restype, function.argtypes = ctypes.c_float, (Draw, ctypes.c_uint32)
    for seed, step, stream in ((0, 0, 0), (2**63 + 5, 12345, 1), (2**64 - 1, 7, 0)):
        draw = Draw(*_draw.keys(seed, step, stream))
        for first in (0, 2**31 - 50, 2**32 - 100):
            drawn = _draw.uniform(seed, step, stream, first, 100)
            native = [function(draw, first + index) for index in range(100)]
            assert drawn.tolist() == native


@on_all_devices
@pytest.mark.parametrize(
    "case",
    oracle()["cases"],
    ids=lambda case: "-".join(case[key] for key in ("grouping", "penalty", "slope")),
)
def test_gates_are_those_of_the_oracle(case: Any, device: str) -> None:
    shapes = {"table": (7, 4), "bias": (5,)}
    names = list(case["base"])

    def tensors(numbers: Any) -> list[Any]:
        made = [torch.tensor(numbers[n], dtype=torch.float32, device=device) for n in names]
        return [t.view(shapes.get(name, (4, 4))) for t, name in zip(made, names)]

    positions, at = [], 0
    for tensor in tensors(case["base"]):
        positions.append(at)
        at = (at + tensor.numel() + 15) // 16 * 16
    gates = _gates.Gates(
        [(name, t, name == "table") for t, name in zip(tensors(case["base"]), names)], positions,
        grouping=case["grouping"].replace("head", "head:2"), penalty=case["penalty"],
        expected=case["slope"] == "expected", seed=7,
    )  # fmt: skip

    def close(found: Any, expected: Any, within: float = 1e-6) -> None:
        torch.testing.assert_close(
            torch.as_tensor(found).double().cpu(),
            torch.as_tensor(expected).double().cpu(),
            rtol=within,
            atol=within,
        )

    for number, step in enumerate(case["steps"]):
        # λ and rates of the oracle.
        found = gates.measure(number, tensors(step["gradients"]), 0.01)
        close(found.weight_norm, step["weight_norm"])
        close(found.gate_norm, step["gate_norm"])
        close(found.expected_density, step["expected"])
        close(found.twice_open_density, step["twice_open"])
        close(found.seen_density, step["seen"], 1e-8)
        close(found.open_density, step["open"], 1e-8)
        for gated, weight, location in zip(
            gates.tensors, tensors(step["weight_gradients"]), tensors(step["gate_gradients"])
        ):
            close(gated.gradients[0], weight)
            close(gated.gradients[1], location)
        gates.update(
            _gates.AdamStep(0.02, number + 1, 0.5), _gates.AdamStep(0.1, number + 1, 0.25),
            _gates.AdamStep(0.1, number + 1, 0.25),
        )  # fmt: skip
        # Adam divides by moments as small as 1e-16: 1e-4 of a step.
        for gated, weight, location in zip(
            gates.tensors, tensors(step["weights"]), tensors(step["gates"])
        ):
            close(gated.weight, weight, 1e-5)
            close(gated.location, location, 1e-4)
        close(gates.group_location, step["groups"], 1e-4)
        for value, expected in zip(gates.values(number + 1), tensors(step["values"])):
            close(value, expected, 1e-4)
    for difference, expected in zip(gates.differences(), tensors(case["differences"])):
        close(difference, expected, 1e-4)


def test_largest_are_exact_and_ties_in_order() -> None:
    tensors = {
        "b": torch.tensor([[1.0, -3.0], [0.0, 2.0]]),
        "a": torch.tensor([2.0, -2.0, 0.5]),
    }
    masks = _gates.largest(tensors, 3)
    assert masks["b"].tolist() == [[False, True], [False, False]]
    assert masks["a"].tolist() == [True, True, False]
    assert sum(int(mask.sum()) for mask in _gates.largest(tensors, 100).values()) == 6
    assert sum(int(mask.sum()) for mask in _gates.largest(tensors, 0).values()) == 0


class Classifier(torch.nn.Module):
    """A bag of words: a table, two layers, a head."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.words = torch.nn.Embedding(200, 24)
        self.hidden = torch.nn.Linear(24, 48)
        self.norm = torch.nn.LayerNorm(48)
        self.classifier = torch.nn.Linear(48, 2)

    def forward(self, ids: Any) -> Any:
        return self.classifier(self.norm(torch.tanh(self.hidden(self.words(ids).mean(1)))))


def data(seed: int = 1) -> tuple[Any, Any]:
    """Texts of numbers up to 150; the label says whether more of them are below 75."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 150, (512, 9), generator=generator)
    return ids, ((ids < 75).sum(1) > 4).long()


def loss_of(model: Any, ids: Any, labels: Any) -> Any:
    return torch.nn.functional.cross_entropy(model(ids), labels)


def trained(model: Any, **options: Any) -> dt.DiffPruning:
    device = next(model.parameters()).device
    pruning = dt.DiffPruning(
        model, DENSITY, head=["classifier.*"], gate_steps=120, fixed_steps=60, learning_rate=3e-2,
        fixed_learning_rate=1e-1, head_learning_rate=1e-2, **options,
    )  # fmt: skip
    ids, labels = (tensor.to(device) for tensor in data())
    for step in range(180):
        part = slice(step * 32 % 512, step * 32 % 512 + 32)
        loss_of(model, ids[part], labels[part]).backward()
        pruning.step()
    return pruning


@on_all_devices
@pytest.mark.parametrize("grouping", ["tensor", "none", "row", "column", "head:8"])
def test_a_training_keeps_the_density_and_learns(
    grouping: str, device: str, tmp_path: Path
) -> None:
    model = Classifier().to(device)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    pruning = trained(model, grouping=grouping)
    assert pruning.is_done and pruning.is_fixed
    # Gates were closing; they have few steps here.
    assert 0.05 < pruning.measure.open_density < 0.6 < pruning.measure.seen_density
    with pytest.raises(diffkit.UsageError):
        pruning.step()
    body = sum(t.numel() for name, t in before.items() if not name.startswith("classifier"))
    kept = sum(at.numel() for at in pruning.masks.values())
    assert kept == int(DENSITY * body)
    made = pruning.save(tmp_path / "d.diff", metadata={"task": "t"})
    ids, labels = (tensor.to(device) for tensor in data(2))
    accuracy = float((model(ids).argmax(1) == labels).float().mean())
    # The head alone comes to 0.67, all weights to 0.91.
    assert accuracy > 0.78, accuracy
    with diffkit.open(tmp_path / "d.diff") as diff:
        assert diff.metadata["task"] == "t"
        assert diff.metadata["diffkit.train.engine"] == "pytorch"
        operations = {name: entry.operation for name, entry in diff.items()}
        assert operations.pop("classifier.weight") == operations.pop("classifier.bias") == "insert"
        assert set(operations.values()) == {"add"}
        assert sum(diff[name].changes for name in operations) == made.changes <= kept
        for name in operations:
            assert set(map(int, diff[name].positions)) <= set(pruning.masks[name].tolist())
    # Base and diff give the model, bit for bit, head included.
    other = Classifier().to(device)
    assert all(torch.equal(t, before[name]) for name, t in other.state_dict().items())
    with dt.attach(other, tmp_path / "d.diff"):
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, other.state_dict()[name]), name
    # Rows that no text has stay as they were.
    assert torch.equal(model.words.weight[150:], before["words.weight"][150:])


@pytest.fixture
def deterministic() -> Iterator[None]:
    """PyTorch's own sums in a fixed order, on GPUs too."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@on_all_devices
@pytest.mark.usefixtures("deterministic")
def test_equal_seeds_give_equal_bits(device: str, tmp_path: Path) -> None:
    for index in range(2):
        trained(Classifier().to(device), seed=3).save(tmp_path / f"{index}.diff")
    assert (tmp_path / "0.diff").read_bytes() == (tmp_path / "1.diff").read_bytes()
    trained(Classifier().to(device), seed=4).save(tmp_path / "2.diff")
    assert (tmp_path / "2.diff").read_bytes() != (tmp_path / "1.diff").read_bytes()


def test_frozen_parameters_stay() -> None:
    model = Classifier()
    model.norm.requires_grad_(False)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    pruning = trained(model, frozen=["words.*"])
    for name in ("words.weight", "norm.weight", "norm.bias"):
        assert torch.equal(model.state_dict()[name], before[name])
    assert set(pruning.masks) == {"hidden.weight", "hidden.bias"}


def test_another_optimizer_for_the_head() -> None:
    model = Classifier()
    optimizer = torch.optim.SGD(model.classifier.parameters(), lr=0.1)
    before = model.classifier.weight.clone()
    trained(model, head_optimizer=optimizer)
    assert not torch.equal(model.classifier.weight, before)


def test_wrong_arguments() -> None:
    steps = {"gate_steps": 1, "fixed_steps": 1}
    for options in (
        {"density": 0.0}, {"density": 2.0}, {"grouping": "rows"}, {"grouping": "head:0"}, {"penalty": "x"}, {"slope": "x"},
        {"start": 0.9}, {"gate_steps": 0}, {"head": ["none.*"]}, {"head": ["*"]}, {"frozen": ["*"]},
    ):  # fmt: skip
        with pytest.raises(diffkit.UsageError):
            dt.DiffPruning(Classifier(), **{**steps, **options})
    pruning = dt.DiffPruning(Classifier(), **steps)
    with pytest.raises(diffkit.UsageError):
        pruning.save("none.diff")
    with pytest.raises(diffkit.UsageError):
        pruning.masks  # noqa: B018


def test_groups_lie_where_heads_are() -> None:
    shapes = {
        "layer.0.attention.self.query.weight": (16, 4), "layer.0.attention.self.query.bias": (16,),
        "layers.0.self_attn.o_proj.weight": (4, 16),
        "layer.0.attention.output.dense.weight": (4, 16), "layer.0.output.dense.weight": (4, 16),
        "layers.0.self_attn.o_proj.bias": (4,), "layers.0.self_attn.k_proj.weight": (15, 4),
    }  # fmt: skip
    boxes = [_gates.box("head:8", name, torch.Size(shape)) for name, shape in shapes.items()]
    assert boxes == [(8, 4), (1, 8), (4, 8), (4, 8), (4, 16), (1, 4), (15, 4)]


@on_all_devices
@pytest.mark.usefixtures("deterministic")
@pytest.mark.parametrize("stop", [1, 70, 120, 150])
def test_an_interrupted_training_goes_on_bit_for_bit(
    stop: int, device: str, tmp_path: Path
) -> None:
    options = {
        "head": ["classifier.*"], "gate_steps": 120, "fixed_steps": 60, "learning_rate": 3e-2,
        "grouping": "row",
    }  # fmt: skip
    ids, labels = (tensor.to(device) for tensor in data())

    def go_on(pruning: dt.DiffPruning, steps: range) -> None:
        for step in steps:
            part = slice(step * 32 % 512, step * 32 % 512 + 32)
            loss_of(pruning.model, ids[part], labels[part]).backward()
            pruning.step()

    whole = dt.DiffPruning(Classifier().to(device), DENSITY, **options)
    go_on(whole, range(180))
    whole.save(tmp_path / "whole.diff")
    first = dt.DiffPruning(Classifier().to(device), DENSITY, **options)
    go_on(first, range(stop))
    torch.save(first.state_dict(), tmp_path / "state.pt")
    # Another process has other numbers in its model until it takes the state up.
    second = dt.DiffPruning(Classifier(seed=9).to(device), DENSITY, **options)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    second.load_state_dict(state)
    assert second.steps == stop
    for one, other in zip(first.model.parameters(), second.model.parameters()):
        assert torch.equal(one, other)
    go_on(second, range(stop, 180))
    second.save(tmp_path / "second.diff")
    assert (tmp_path / "second.diff").read_bytes() == (tmp_path / "whole.diff").read_bytes()
    with pytest.raises(diffkit.UsageError, match="other arguments"):
        dt.DiffPruning(Classifier().to(device), 0.2, **options).load_state_dict(state)
    if stop < 120:
        with pytest.raises(diffkit.UsageError, match="past"):
            second.load_state_dict(state)


def test_a_parameter_that_was_replaced_is_noticed() -> None:
    model = Classifier()
    pruning = dt.DiffPruning(model, DENSITY, head=["classifier.*"], gate_steps=1, fixed_steps=1)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pruning.step()
    model.load_state_dict(state, assign=True)
    for work in (
        pruning.step, lambda: pruning.save("none.diff"),
        lambda: pruning.load_state_dict(pruning.state_dict()),
    ):  # fmt: skip
        with pytest.raises(diffkit.ChangedInBetween, match="another parameter"):
            work()
    assert pruning.steps == 1 and not Path("none.diff").exists()


@pytest.mark.parametrize("stop", [3, 15])
def test_ctrl_c_takes_effect_between_steps(stop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ids, labels = data()

    def parameters(interrupting: bool) -> list[Any]:
        pruning = dt.DiffPruning(
            Classifier(), DENSITY, head=["classifier.*"], gate_steps=10, fixed_steps=10
        )
        for step in range(20):
            loss_of(pruning.model, ids[:32], labels[:32]).backward()
            if not interrupting or step != stop:
                pruning.step()
                continue
            with monkeypatch.context() as patch:
                patch.setattr(dt._gates.AdamStep, "take", interrupted)
                with pytest.raises(KeyboardInterrupt):
                    pruning.step()
            assert pruning.steps == step + 1
        return list(pruning.model.parameters())

    def interrupted(*arguments: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        take(*arguments)

    take = dt._gates.AdamStep.take
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        expected, found = parameters(False), parameters(True)
    finally:
        signal.signal(signal.SIGINT, usual)
    assert all(torch.equal(one, other) for one, other in zip(expected, found))


RANK = """
import os, sys, torch
sys.path.insert(0, {tests!r})
import torch.distributed as dist
from test_pruning import Classifier, data, loss_of
import diffkit.torch as dt
dist.init_process_group("gloo", rank=int(sys.argv[1]), world_size=2,
                        init_method="file://" + sys.argv[2])
torch.set_num_threads(1)
model = torch.nn.parallel.DistributedDataParallel(Classifier())
pruning = dt.DiffPruning(model, 0.02, head=["classifier.*"], gate_steps=60, fixed_steps=30,
                         learning_rate=3e-3)
ids, labels = data()
rank = dist.get_rank()
for step in range(90):
    start = step * 32 % 512 + 16 * rank
    loss_of(model, ids[start : start + 16], labels[start : start + 16]).backward()
    pruning.step()
pruning.save(sys.argv[3])
dist.destroy_process_group()
"""


@pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="there is no gloo here",
)
def test_two_ranks_are_equal_bit_for_bit(tmp_path: Path) -> None:
    program = RANK.format(tests=str(Path(__file__).parent))
    ranks = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(rank), str(tmp_path / "meet"),
             str(tmp_path / f"{rank}.diff")],
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]  # fmt: skip
    for rank in ranks:
        _, errors = rank.communicate(timeout=300)
        assert rank.returncode == 0, errors.decode()[-2000:]
    assert (tmp_path / "0.diff").read_bytes() == (tmp_path / "1.diff").read_bytes()
    # One process with whole batches: nearly the same positions.
    model = Classifier()
    pruning = dt.DiffPruning(
        model, 0.02, head=["classifier.*"], gate_steps=60, fixed_steps=30, learning_rate=3e-3
    )
    ids, labels = data()
    for step in range(90):
        start = step * 32 % 512
        loss_of(model, ids[start : start + 32], labels[start : start + 32]).backward()
        pruning.step()
    with diffkit.open(tmp_path / "0.diff") as diff:
        shared = total = 0
        for name, at in pruning.masks.items():
            there = set(map(int, diff[name].positions)) if name in diff else set()
            shared += len(there & set(at.tolist()))
            total += at.numel()
    assert shared > 0.8 * total, (shared, total)
