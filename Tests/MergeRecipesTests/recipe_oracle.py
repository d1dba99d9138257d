"""The results of mergekit 0.1.5 for recipes, with tiny models of random weights.

    recipe_oracle.py FOLDER

Writes FOLDER/recipes.json, the models as {llama,bert}-{base,a,b,c}.safetensors, and results.safetensors:
for each recipe and tensor

    NAME exact TENSOR    the result in float64 (mergekit with dtype float64), rounded to float32
    NAME own TENSOR      the result in the type that the recipe asks for
    NAME tied TENSOR     1 where a selection has to break ties
    NAME mean TENSOR, NAME deviation TENSOR    of random methods, over SEEDS runs in float64
"""

import json
import os
import sys
import tempfile

import mergekit.merge_methods.generalized_task_arithmetic as gta
import torch
import yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
from mergekit.plan import MergePlanner
from mergekit.sparsify import SparsificationMethod
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

SEEDS = 60
TYPES = {"llama": torch.bfloat16, "bert": torch.float16}
MODELS = ["base", "a", "b", "c"]


def architecture(name):
    if name == "llama":
        return LlamaForCausalLM(LlamaConfig(
            vocab_size=20, hidden_size=8, intermediate_size=12, num_hidden_layers=3,
            num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=16,
            initializer_range=0.3, tie_word_embeddings=False))
    return BertModel(BertConfig(
        vocab_size=20, hidden_size=8, intermediate_size=12, num_hidden_layers=3,
        num_attention_heads=2, max_position_embeddings=8, initializer_range=0.3))


def make_models(name):
    """A base, two finetunes that change everything, and one that changes a third."""
    torch.manual_seed(len(name))
    model = architecture(name)
    base = {key: value.detach().clone() for key, value in model.state_dict().items()}
    for kind in MODELS:
        state = {}
        for key, value in base.items():
            if not value.is_floating_point():
                continue
            delta = 0.05 * torch.randn(value.shape)
            if kind == "base":
                delta = torch.zeros_like(value)
            if kind == "c":
                delta = 2 * delta * (torch.rand(value.shape) < 0.3)
            state[key] = (value.to(TYPES[name]).float() + delta).to(TYPES[name])
        model.load_state_dict(state, strict=False)
        model.to(TYPES[name]).save_pretrained(f"{name}-{kind}")


def entry(model, **parameters):
    return {"model": f"X-{model}.safetensors", "parameters": parameters}


def recipe(method, models, parameters=None, **more):
    out = {"merge_method": method, "base_model": "X-base.safetensors", "models": models}
    if parameters:
        out["parameters"] = parameters
    return out | more


def weighted(*weights, **more):
    return [entry(model, weight=weight, **{key: value[i] if isinstance(value, tuple) else value
                                           for key, value in more.items()})
            for i, (model, weight) in enumerate(zip("abc", weights))]


def sliced(method, first, second, parameters=None):
    """Two slices of other models."""
    slices = [{"sources": [{"model": f"X-{model}.safetensors", "layer_range": layers}
                           for model in models]}
              for models, layers in ((first, [0, 2]), (second, [2, 3]))]
    out = {"merge_method": method, "base_model": "X-base.safetensors", "slices": slices}
    return out | ({"parameters": parameters} if parameters else {})


GRADIENT = [0.2, 0.9, 0.5]
FILTERED = [{"filter": "mlp", "value": 0.3}, {"filter": "attention", "value": 0.3},
            {"value": [1.0, 0.4]}]

RECIPES = {
    "task": recipe("task_arithmetic", weighted(0.6, -0.3, 1.0)),
    "task-lambda": recipe("task_arithmetic", weighted(0.6, 0.3, 1.0), {"lambda": 0.7}),
    "task-normalized": recipe("task_arithmetic", weighted(0.6, 0.3, 1.0), {"normalize": True}),
    "task-gradient": recipe("task_arithmetic", weighted(GRADIENT, 0.3, FILTERED)),
    "linear": recipe("linear", [entry("base", weight=0.5)] + weighted(1.0, 0.3, 0.5)),
    "linear-gradient": recipe(
        "linear", [entry("base", weight=GRADIENT)] + weighted(1.0, FILTERED, 0.5)),
    "linear-sum": recipe(
        "linear", [entry("base", weight=0.5)] + weighted(0.1, 0.2, 0.2), {"normalize": False}),
    "ties": recipe("ties", weighted(1.0, 0.3, 0.5, density=(0.5, 0.3, 0.2))),
    "ties-plain": recipe("ties", weighted(0.5, 0.5, density=0.5),
                         {"normalize": False, "int8_mask": True}),
    "ties-gradient": recipe("ties", weighted(GRADIENT, 0.8, FILTERED, density=(
        [1, 0.7, 0.1], 0.33, FILTERED))),
    "breadcrumbs": recipe("breadcrumbs", weighted(1.0, 0.3, 0.5, density=0.6, gamma=0.05)),
    "breadcrumbs-ties": recipe(
        "breadcrumbs_ties", weighted(1.0, 0.3, -0.5, density=0.6, gamma=0.1),
        {"rescale": True, "lambda": 1.2}),
    "stock": recipe("model_stock", [{"model": f"X-{model}.safetensors"} for model in "abc"]),
    "sce": recipe("sce", [{"model": f"X-{model}.safetensors"} for model in "abc"]),
    "sce-top": recipe("sce", [{"model": f"X-{model}.safetensors"} for model in "abc"],
                      {"select_topk": 0.4}),
    "dare-whole": recipe("dare_ties", weighted(1.0, 0.3, 0.5, density=1.0)),
    "slices": {
        "merge_method": "ties", "base_model": "X-base.safetensors",
        "slices": [
            {"sources": [
                {"model": "X-a.safetensors", "layer_range": [0, 2],
                 "parameters": {"weight": [0.2, 0.6], "density": 0.7}},
                {"model": "X-b.safetensors", "layer_range": [0, 2]},
                {"model": "X-base.safetensors", "layer_range": [0, 2]}]},
            {"sources": [
                {"model": "X-c.safetensors", "layer_range": [2, 3]},
                {"model": "X-base.safetensors", "layer_range": [2, 3]}],
             "parameters": {"weight": 0.9}}],
        "parameters": {"weight": 0.5, "density": [0.4, 0.9]}},
    "slices-linear": sliced("linear", ["a", "base"], ["b", "c"], {"weight": 0.5}),
    "slices-stock": sliced("model_stock", ["a", "b", "c", "base"], ["a", "c", "base"]),
    "slices-sce": sliced("sce", ["a", "b", "c", "base"], ["c", "b", "base"]),
}
RANDOM = {
    "dare-linear": recipe("dare_linear", weighted(1.0, 0.3, 0.5, density=0.6)),
    "dare-ties": recipe("dare_ties", weighted(1.0, 0.3, 0.5, density=0.6)),
    "della": recipe("della", weighted(1.0, 0.3, 0.5, density=0.6, epsilon=0.2)),
    "della-linear": recipe("della_linear", weighted(1.0, 0.3, 0.5, density=0.6)),
}


def run(config, kind, dtype, seed=0):
    """The tensors of a merge. Files are folders to mergekit."""
    text = yaml.safe_dump(config | {"dtype": dtype}).replace("X-", f"{kind}-")
    loaded = MergeConfiguration.model_validate(yaml.safe_load(text.replace(".safetensors", "")))
    with tempfile.TemporaryDirectory() as out:
        run_merge(loaded, out, MergeOptions(
            copy_tokenizer=False, write_model_card=False, quiet=True, random_seed=seed))
        return {key: value.clone() for key, value in load_file(out + "/model.safetensors").items()}


TIES = {}


def watch_ties():
    """Makes mergekit's selections note where they have to choose among equal magnitudes."""
    current = [None]
    merge_group, sparsify = gta.GeneralizedTaskArithmeticMerge.merge_group, gta.sparsify

    def named(self, group, /, **parameters):
        current[0] = group.metadata.name
        return merge_group(self, group, **parameters)

    def watched(tensor, density, method, rescale_norm=None, gamma=0, epsilon=0):
        more = {"gamma": gamma} if method == SparsificationMethod.magnitude_outliers else {}
        more |= {"epsilon": epsilon} if method == SparsificationMethod.della_magprune else {}
        top = int(gamma * tensor.numel()) if more.get("gamma") else 0
        kept = max(1, int(density * tensor.numel()))
        top = min(top, tensor.numel() - kept)
        if density < 1 and method.value.startswith("magnitude"):
            note(current[0], tensor.abs().float(), [top, top + kept])
        return sparsify(tensor, density=density, method=method, rescale_norm=rescale_norm, **more)

    gta.GeneralizedTaskArithmeticMerge.merge_group = named
    gta.sparsify = watched


def skip_position_ids():
    """mergekit 0.1.5 fails on an optional tensor that has aliases: no model here has this one."""
    plan_tensor = MergePlanner.plan_tensor

    def planned(self, weight, *arguments, **more):
        if not weight.name.endswith("position_ids"):
            plan_tensor(self, weight, *arguments, **more)

    MergePlanner.plan_tensor = planned


def note(name, scores, cuts):
    order = scores.reshape(-1).sort(descending=True).values
    for cut in cuts:
        if 0 < cut < len(order) and order[cut - 1] == order[cut] and order[cut] > 0:
            mask = (scores.reshape(-1) == order[cut]).to(torch.uint8)
            TIES[name] = TIES.get(name, torch.zeros_like(mask)) | mask


def note_variances(config, kind):
    models = {model: load_file(f"{kind}-{model}/model.safetensors") for model in MODELS}
    for key in models["base"]:
        deltas = [models[model][key].double() - models["base"][key].double() for model in "abc"]
        variance = torch.stack(deltas).var(0, unbiased=False).float()
        share = config.get("parameters", {}).get("select_topk", 1)
        note(key, variance, [int(share * variance.count_nonzero())])


def main():
    folder = os.path.abspath(sys.argv[1])
    os.makedirs(folder, exist_ok=True)
    results, listed = {}, []
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        watch_ties()
        skip_position_ids()
        for kind, dtype in TYPES.items():
            make_models(kind)
            for model in MODELS:
                save_file(load_file(f"{kind}-{model}/model.safetensors"),
                          f"{folder}/{kind}-{model}.safetensors")
            for name, config in (RECIPES | RANDOM).items():
                if kind == "bert" and name in ("task-lambda", "linear-sum", "ties-plain"):
                    continue
                label = f"{kind}-{name}"
                text = yaml.safe_dump(config | {"dtype": str(dtype)[6:]}, sort_keys=False)
                listed.append({"name": label, "kind": kind, "isRandom": name in RANDOM,
                               "text": text.replace("X-", f"{kind}-")})
                if name in RANDOM:
                    runs = []
                    for seed in range(SEEDS):
                        runs.append(run(config, kind, "float64", seed))
                    for key in runs[0]:
                        all_runs = torch.stack([one[key] for one in runs])
                        results[f"{label} mean {key}"] = all_runs.mean(0).float()
                        results[f"{label} deviation {key}"] = all_runs.std(0).float()
                    continue
                TIES.clear()
                exact = run(config, kind, "float64")
                if config["merge_method"] == "sce":
                    note_variances(config, kind)
                ties = dict(TIES)
                own = run(config, kind, str(dtype)[6:])
                for key in exact:
                    results[f"{label} exact {key}"] = exact[key].float()
                    results[f"{label} own {key}"] = own[key]
                    if key in ties:
                        results[f"{label} tied {key}"] = ties[key]
    json.dump({"seeds": SEEDS, "recipes": listed}, open(f"{folder}/recipes.json", "w"), indent=1)
    save_file(results, f"{folder}/results.safetensors")


main()
