"""transformers' GPT2LMHeadModel: the logits of two rows of tokens.

gpt2/ is a folder as transformers writes it (names with "transformer.", the head tied and left out), its weights in float16,
which holds them exactly; golden.safetensors: input_ids (2, T) int32, logits (2, T, V).
"""

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from .common import NEEDS_TORCH, about, fresh, save, save_weights

NEEDS = NEEDS_TORCH


def randomise(model, seed):
    """Every part matters: no bias is zero, no norm is one."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=draw)
            value = 0.25 * noise if p.dim() == 2 else 0.2 * noise + (".ln_" in name and name.endswith("weight"))
            p.copy_(value.half().float())
    return model.eval()


def write(out, versions):
    folder = fresh(out / "gpt2")
    config = GPT2Config(vocab_size=51, n_positions=16, n_embd=32, n_layer=2, n_head=4, bos_token_id=50,
                        eos_token_id=50, attn_implementation="eager")
    model = randomise(GPT2LMHeadModel(config), 1)
    save_weights(model, folder)
    ids = torch.randint(0, 51, (2, 16), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        logits = model(ids).logits
    save(folder / "golden.safetensors", {"input_ids": ids.int(), "logits": logits},
         about(versions, {"logits": 1e-5}))
