#!/usr/bin/env python3
"""Makes a folder that gmail reads of CLIP weights that PyTorch pickled.

    scripts/openai_to_safetensors.py ViT-B-32.pt OUT [--vocab bpe_simple_vocab_16e6.txt]
    scripts/openai_to_safetensors.py open_clip_pytorch_model.bin OUT --activation gelu

OpenAI's .pt files are TorchScript archives; a state dict (.bin, .pt) of OpenAI's or open_clip's names will do as well.
OUT gets model.safetensors with the tensors as they are, names and types included, config.json with the sizes that
their shapes tell and with the activation, and preprocessor_config.json with OpenAI's constants. The archive's scalars
input_resolution, context_length and vocab_size are left out, and attn_mask, a constant of traced models. OpenAI's
weights need quick_gelu, so for an archive that is the activation; for anything else --activation must say it, because
nothing in the tensors does. Heads are of 64 numbers unless --head-width says otherwise (ViT-H/14: 80).

Needs Python with PyTorch and safetensors. Pickles are loaded with weights_only, archives run no code of the file.
"""

import argparse
import json
import math
import os
import shutil
import sys

import torch
from safetensors.torch import save_file

NO_WEIGHTS = ("input_resolution", "context_length", "vocab_size", "attn_mask")
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]


def read(path):
    """The tensors, and whether the file is a TorchScript archive."""
    try:
        return torch.jit.load(path, map_location="cpu").state_dict(), True
    except RuntimeError:
        state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    return {name.removeprefix("module."): value for name, value in state.items()}, False


def tower(state, prefix, width, heads, activation):
    layers = sum(name.startswith(prefix) and name.endswith(".ln_1.weight") for name in state)
    return {"hidden_size": width, "intermediate_size": state[f"{prefix}0.mlp.c_fc.weight"].shape[0],
            "num_hidden_layers": layers, "num_attention_heads": heads, "hidden_act": activation,
            "layer_norm_eps": 1e-5}


def config(state, activation, head_width):
    width, _, _, patch = state["visual.conv1.weight"].shape
    vocab, text_width = state["token_embedding.weight"].shape
    side = math.isqrt(state["visual.positional_embedding"].shape[0] - 1)
    return {
        "model_type": "clip", "projection_dim": state["text_projection"].shape[1], "logit_scale_init_value": 2.6592,
        "vision_config": {**tower(state, "visual.transformer.resblocks.", width, width // head_width, activation),
                          "image_size": side * patch, "patch_size": patch},
        "text_config": {**tower(state, "transformer.resblocks.", text_width, text_width // 64, activation),
                        "vocab_size": vocab, "max_position_embeddings": state["positional_embedding"].shape[0],
                        "eos_token_id": vocab - 1},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("out")
    parser.add_argument("--activation", choices=["quick_gelu", "gelu"])
    parser.add_argument("--head-width", type=int, default=64, help="numbers in a head of the image tower")
    parser.add_argument("--vocab", help="tokenizer file to put beside: bpe_simple_vocab_16e6.txt")
    args = parser.parse_args()
    state, archive = read(args.weights)
    if "visual.conv1.weight" not in state or "token_embedding.weight" not in state:
        sys.exit(f"{args.weights}: no CLIP with OpenAI's names and a vision transformer")
    activation = args.activation or ("quick_gelu" if archive else None)
    if activation is None:
        sys.exit(f"{args.weights}: no archive of OpenAI's, so --activation quick_gelu or gelu must be given")
    tensors = {name: value.detach().contiguous() for name, value in state.items() if name not in NO_WEIGHTS}
    os.makedirs(args.out, exist_ok=True)
    save_file(tensors, os.path.join(args.out, "model.safetensors"), {"format": "pt"})
    size = config(state, activation, args.head_width)
    pixels = size["vision_config"]["image_size"]
    preprocessor = {"do_resize": True, "size": pixels, "resample": 3, "do_center_crop": True, "crop_size": pixels,
                    "do_normalize": True, "image_mean": MEAN, "image_std": STD}
    for name, value in (("config.json", size), ("preprocessor_config.json", preprocessor)):
        with open(os.path.join(args.out, name), "w") as file:
            json.dump(value, file, indent=2)
            file.write("\n")
    if args.vocab:
        shutil.copy(args.vocab, os.path.join(args.out, "bpe_simple_vocab_16e6.txt"))
    print(f"{args.out}: {len(tensors)} tensors, {sum(t.numel() for t in tensors.values()):,} numbers, {activation}")


if __name__ == "__main__":
    main()
