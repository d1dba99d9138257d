"""PEFT's sparse adapters: written so that PEFT loads them, and read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

import diffkit  # noqa: E402
import diffkit.torch as dt  # noqa: E402


def model(dtype: Any = torch.float32) -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=128, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, tie_word_embeddings=False,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).to(dtype).eval()


def trained(base: Any, config: Any, seed: int = 1) -> Any:
    """An adapter with some values, and a head that learned."""
    made = peft.get_peft_model(base, config)
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in made.named_parameters():
        if "shira" in name or "supertuning_values" in name:
            parameter.data = (torch.randn(parameter.shape, generator=generator) * 0.02).to(
                parameter.dtype
            )
        elif "modules_to_save" in name:
            parameter.data += 0.5
    return made.eval()


def states_are_equal(one: Any, other: Any) -> bool:
    there = other.state_dict()
    return all(torch.equal(tensor, there[name]) for name, tensor in one.state_dict().items())


CONFIGS = {
    "shira": lambda: peft.ShiraConfig(r=2, target_modules=["q_proj", "v_proj"], random_seed=3),
    "shira and head": lambda: peft.ShiraConfig(
        r=2, target_modules=["q_proj"], random_seed=3, modules_to_save=["lm_head"]
    ),
}
if hasattr(peft, "SupertuningConfig"):
    CONFIGS["super-tuning"] = lambda: peft.SupertuningConfig(
        sparsity=0.98, target_modules=["q_proj", "down_proj"]
    )


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_adapters_are_read(kind: str, dtype: Any, tmp_path: Path) -> None:
    model(dtype).save_pretrained(tmp_path / "base")
    adapter = trained(model(dtype), CONFIGS[kind]())
    adapter.save_pretrained(tmp_path / "adapter")
    merged = adapter.merge_and_unload()
    diffkit.convert(
        tmp_path / "adapter", tmp_path / "d.diff", base=tmp_path / "base/model.safetensors"
    )
    with diffkit.open(tmp_path / "d.diff") as diff:
        operations = {entry.operation for entry in diff.values()}
        assert operations == ({"add", "xor"} if "head" in kind else {"add"})
    base = model(dtype)
    with dt.attach(base, tmp_path / "d.diff"):
        assert states_are_equal(merged, base)
    assert states_are_equal(model(dtype), base)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_shira_is_written_so_that_peft_loads_it(dtype: Any, tmp_path: Path) -> None:
    base = model(dtype)
    tuned = model(dtype)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        # Densities that differ: one r must do for all.
        for layer, share in enumerate((0.01, 0.05)):
            for name in ("q_proj", "o_proj"):
                weight = getattr(tuned.model.layers[layer].self_attn, name).weight
                mask = torch.rand(weight.shape, generator=generator) < share
                weight += (0.125 * mask).to(dtype)
    dt.create(base, tuned, tmp_path / "d.diff", operation="add", values="f32")
    made = diffkit.convert(tmp_path / "d.diff", tmp_path / "adapter", to="shira")
    assert made.format == "shira" and made.tensors == 4
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert config["peft_type"] == "SHIRA" and len(config["target_modules"]) == 4
    loaded = peft.PeftModel.from_pretrained(model(dtype), str(tmp_path / "adapter")).eval()
    ids = torch.arange(20).view(2, 10)
    with dt.attach(base, tmp_path / "d.diff"), torch.no_grad():
        assert torch.equal(loaded(ids).logits, base(ids).logits)
    assert states_are_equal(loaded.merge_and_unload(), tuned)
    # And back: the same changes.
    model(dtype).save_pretrained(tmp_path / "base")
    diffkit.convert(
        tmp_path / "adapter", tmp_path / "back.diff", base=tmp_path / "base/model.safetensors"
    )
    with diffkit.open(tmp_path / "d.diff") as diff, diffkit.open(tmp_path / "back.diff") as back:
        assert list(diff) == list(back)
        for name, entry in diff.items():
            assert (back[name].positions == entry.positions).all()
    with pytest.raises(diffkit.OutputExists):
        diffkit.convert(tmp_path / "d.diff", tmp_path / "adapter", to="shira")


def test_a_head_goes_along(tmp_path: Path) -> None:
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=20, num_labels=3,
    )  # fmt: skip
    torch.manual_seed(1)
    base = transformers.BertForSequenceClassification(config).eval()
    tuned = transformers.BertForSequenceClassification(config).eval()
    tuned.load_state_dict(base.state_dict())
    with torch.no_grad():
        tuned.bert.encoder.layer[0].output.dense.weight[3, 5] += 0.5
        tuned.classifier.weight += 1
        tuned.classifier.bias -= 1
    headless = {n: t for n, t in base.state_dict().items() if not n.startswith("classifier")}
    dt.create(headless, tuned, tmp_path / "d.diff", operation="add", values="f32")
    diffkit.convert(tmp_path / "d.diff", tmp_path / "adapter", to="shira")
    loaded = peft.PeftModel.from_pretrained(base, str(tmp_path / "adapter")).eval()
    ids = torch.arange(10).view(1, 10)
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, tuned(ids).logits)


def test_what_shira_does_not_hold(tmp_path: Path) -> None:
    base, tuned = model(), model()
    with torch.no_grad():
        tuned.model.norm.weight += 1
    dt.create(base, tuned, tmp_path / "d.diff", operation="add")
    with pytest.raises(diffkit.Unsupported, match="matrix") as refused:
        diffkit.convert(tmp_path / "d.diff", tmp_path / "adapter", to="shira")
    assert refused.value.tensor == "model.norm.weight"
    small = {"a.weight": torch.zeros(2, 2)}
    dense = {"a.weight": torch.ones(2, 2)}
    dt.create(small, dense, tmp_path / "small.diff", operation="add")
    # Four elements are one r of 2 + 2; with another matrix of a larger r they are too few.
    diffkit.convert(tmp_path / "small.diff", tmp_path / "small", to="shira")
    small["b.weight"], dense["b.weight"] = torch.zeros(20, 20), torch.ones(20, 20)
    dt.create(small, dense, tmp_path / "both.diff", operation="add")
    with pytest.raises(diffkit.Unsupported, match="too small"):
        diffkit.convert(tmp_path / "both.diff", tmp_path / "both", to="shira")
    assert not (tmp_path / "both").exists() and not (tmp_path / "adapter").exists()
