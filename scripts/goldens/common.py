"""What the goldens share: reproducible models and files."""

import json
import os
import shutil

import numpy as np
import torch
from safetensors.torch import save_file

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

NEEDS_TORCH = ["torch", "transformers", "numpy", "safetensors"]


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def save(path, tensors, metadata):
    """Metadata values are written as strings; tensors may be NumPy's. The file's permissions are a new file's."""
    data = {name: torch.as_tensor(value).contiguous() for name, value in tensors.items()}
    save_file(data, path, {key: str(value) for key, value in metadata.items()})
    os.chmod(path, 0o644)


def about(versions, tolerances):
    return {**{f"version.{k}": v for k, v in versions.items()},
            **{f"tolerance.{k}": f"{v:g}" for k, v in tolerances.items()}}


def randomise(model, seed):
    """Weights of a size at which every part of the model matters, rounded to float16 so that they can be stored so."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name == "logit_scale":
                continue
            noise = torch.randn(p.shape, generator=draw)
            if "norm" in name or "layrnorm" in name:
                value = (1 if name.endswith("weight") else 0) + 0.2 * noise
            elif p.dim() == 1:
                value = 0.2 * noise
            elif "embedding" in name and "patch" not in name:
                value = 0.5 * noise
            else:
                value = 1.2 * noise / (p[0].numel() ** 0.5)
            p.copy_(value.half().float())
    return model.eval()


def save_weights(model, folder, half=True):
    """config.json as transformers writes it, and the weights, which float16 holds exactly (logit_scale stays)."""
    model.config.save_pretrained(folder)
    save(folder / "model.safetensors",
         {name: p.detach() if name == "logit_scale" or not half else p.detach().half()
          for name, p in model.named_parameters()}, {"format": "pt"})


def pixels(seed, count, size):
    """(count, 3, S, S), about normal"""
    return torch.randn((count, 3, size, size), generator=torch.Generator().manual_seed(seed))


def channels_last(images):
    return images.permute(0, 2, 3, 1).contiguous()


def texts(seed, lengths, context, vocab, pad):
    """ids (N, context): start, words, end, then pad; and where each end stands. The end is the largest id."""
    rng = np.random.default_rng(seed)
    ids = np.full((len(lengths), context), pad, np.int32)
    for row, length in zip(ids, lengths):
        row[0] = vocab - 2
        row[1 : length - 1] = rng.integers(0, vocab - 2, length - 2)
        row[length - 1] = vocab - 1
    return torch.from_numpy(ids), torch.tensor([n - 1 for n in lengths], dtype=torch.int32)


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n")
