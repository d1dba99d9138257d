"""Models of random weights, and mergekit's merge of them: for the benchmarks of merging.

    mergekit_peer.py make FOLDER small|large    base, a, b and c, each tuned one 0.5 % away
    mergekit_peer.py merge FOLDER               merges FOLDER/recipe.yml into FOLDER/out

The second prints the seconds that a merge takes once mergekit is imported, and its peak memory in bytes.
"""

import os
import resource
import sys
import time


def make(folder, size):
    import torch
    from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(1)
    if size == "small":
        # Of the size of MiniLM-L6.
        model = BertModel(BertConfig(
            hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536))
    else:
        # 1 GB.
        model = LlamaForCausalLM(LlamaConfig(
            vocab_size=32000, hidden_size=1536, intermediate_size=4096, num_hidden_layers=14,
            num_attention_heads=12, max_position_embeddings=512, tie_word_embeddings=False))
        model.to(torch.bfloat16)
    model.save_pretrained(f"{folder}/base")
    for name in "abc":
        old = {}
        for key, value in model.state_dict().items():
            if not value.is_floating_point():
                continue
            flat = value.view(-1)
            at = torch.randint(flat.numel(), (max(1, flat.numel() // 200),)).unique()
            old[key] = (at, flat[at].clone())
            flat[at] += (0.01 * torch.randn(len(at))).to(value.dtype)
        model.save_pretrained(f"{folder}/{name}")
        for key, (at, values) in old.items():
            model.state_dict()[key].view(-1)[at] = values


def merge(folder):
    import yaml
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions
    from mergekit.plan import MergePlanner

    # mergekit 0.1.5 fails on an optional tensor that has other names: no model here has this one.
    plan_tensor = MergePlanner.plan_tensor

    def planned(self, weight, *arguments, **more):
        if not weight.name.endswith("position_ids"):
            plan_tensor(self, weight, *arguments, **more)

    MergePlanner.plan_tensor = planned
    os.chdir(folder)
    with open("recipe.yml") as file:
        recipe = MergeConfiguration.model_validate(yaml.safe_load(file))
    start = time.perf_counter()
    run_merge(recipe, "out", MergeOptions(copy_tokenizer=False, write_model_card=False, quiet=True))
    print(time.perf_counter() - start)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], sys.argv[3])
    else:
        merge(sys.argv[2])
