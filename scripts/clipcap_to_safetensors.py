#!/usr/bin/env python3
"""Makes a folder that `gmail convert clipcap` takes of a captioner that ClipCap's own code saved.

    scripts/clipcap_to_safetensors.py coco_weights.pt OUT --normalize-prefix no [--vocab FOLDER]
    gmail convert clipcap OUT --out CAPTIONER

The .pt is the state dict of the original's model: clip_project.* and gpt.*. OUT gets model.safetensors with the tensors
as they are, names and types included, and config.json with the sizes that their shapes tell. The tied head and the
attention's mask buffers are left out. Whether embeddings are divided by their norm before the mapper is nowhere in the
tensors, so --normalize-prefix must say it: no for weights that the original's train.py made without --normalize_prefix,
yes for the published transformer captioner. GPT-2's heads are of 64 numbers unless --heads says otherwise, the
transformer mapper has 8. --vocab: a folder with GPT-2's vocab.json and merges.txt, put beside the weights.

Needs Python with PyTorch and safetensors. The pickle is loaded with weights_only and runs no code of the file.
"""

import argparse
import json
import os
import shutil
import sys

import torch
from safetensors.torch import save_file

MAPPER = "clip_project."


def read(path):
    state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    return {name.removeprefix("module."): value for name, value in state.items()}


def count(state, start, end):
    return sum(name.startswith(start) and name.endswith(end) for name in state)


def mapper_config(state, width, heads):
    if MAPPER + "prefix_const" in state:
        rows, clip_dim = state[MAPPER + "linear.weight"].shape
        return {"mapper": "transformer", "prefix_length": state[MAPPER + "prefix_const"].shape[0], "clip_dim": clip_dim,
                "clip_length": rows // width, "mapper_layers": count(state, MAPPER, ".norm1.weight"),
                "mapper_heads": heads}
    if MAPPER + "model.2.weight" not in state or MAPPER + "model.4.weight" in state:
        sys.exit("expected clip_project.model.0 and .2 (MLP) or clip_project.prefix_const (transformer), found "
                 + ", ".join(sorted(name for name in state if name.startswith(MAPPER))[:6]))
    return {"mapper": "mlp", "prefix_length": state[MAPPER + "model.2.weight"].shape[0] // width,
            "clip_dim": state[MAPPER + "model.0.weight"].shape[1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("out")
    parser.add_argument("--normalize-prefix", choices=["yes", "no"], required=True)
    parser.add_argument("--heads", type=int, help="GPT-2's attention heads")
    parser.add_argument("--mapper-heads", type=int, default=8)
    parser.add_argument("--vocab", help="folder with vocab.json and merges.txt")
    args = parser.parse_args()
    state = read(args.weights)
    gpt = "gpt.transformer." if "gpt.transformer.wte.weight" in state else "gpt."
    if gpt + "wte.weight" not in state:
        sys.exit(f"{args.weights}: no captioner of ClipCap's: there is no gpt.transformer.wte.weight")
    head = state.pop("gpt.lm_head.weight", None)
    if head is not None and not torch.equal(head, state[gpt + "wte.weight"]):
        sys.exit(f"{args.weights}: gpt.lm_head.weight differs from {gpt}wte.weight: only a tied head is supported")
    tensors = {name: value.detach().contiguous() for name, value in state.items()
               if not (name.startswith(gpt + "h.") and name.endswith((".attn.bias", ".attn.masked_bias")))}
    vocab, width = state[gpt + "wte.weight"].shape
    config = {**mapper_config(state, width, args.mapper_heads), "normalize_prefix": args.normalize_prefix == "yes",
              "vocab_size": vocab, "n_positions": state[gpt + "wpe.weight"].shape[0], "n_embd": width,
              "n_layer": count(state, gpt + "h.", ".ln_1.weight"), "n_head": args.heads or width // 64}
    os.makedirs(args.out, exist_ok=True)
    save_file(tensors, os.path.join(args.out, "model.safetensors"), {"format": "pt"})
    with open(os.path.join(args.out, "config.json"), "w") as file:
        json.dump(config, file, indent=2)
        file.write("\n")
    for name in ("vocab.json", "merges.txt") if args.vocab else ():
        shutil.copy(os.path.join(args.vocab, name), os.path.join(args.out, name))
    numbers = sum(value.numel() for value in tensors.values())
    print(f"{args.out}: {len(tensors)} tensors, {numbers:,} numbers, {config['mapper']} mapper, prefix of "
          f"{config['prefix_length']}")


if __name__ == "__main__":
    main()
