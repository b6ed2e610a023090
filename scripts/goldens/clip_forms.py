"""open_clip's CLIP in its own folder, and PyTorch's resizing of position tables.

clip_open_clip/: open_clip_config.json, open_clip_model.safetensors, and golden.safetensors: pixels (N, S, S, 3) normalised,
input_ids (N, context), image_embeds and text_embeds (N, E) before normalisation, and the same for images of another size
(pixels.20, image_embeds.20), for which open_clip resizes the positions itself.
clip_positions/: table.N (1 + N N, W) and resized.N.M (1 + M M, W).
"""

import open_clip
import torch
import torch.nn.functional as F

from .common import about, channels_last, fresh, pixels, save, texts, write_json

NEEDS = ["torch", "open_clip_torch", "numpy", "safetensors"]
MODEL = {
    "embed_dim": 20,  # quick_gelu is missing: gelu
    "vision_cfg": {"image_size": 12, "layers": 2, "width": 24, "head_width": 8, "mlp_ratio": 1.5, "patch_size": 4},
    "text_cfg": {"context_length": 12, "vocab_size": 64, "width": 20, "heads": 4, "layers": 2, "mlp_ratio": 2.0},
}
OTHER = 20
PAIRS = [(3, 2), (3, 5), (4, 7), (7, 3), (2, 2), (1, 3)]


def make(size):
    vision = {**MODEL["vision_cfg"], "image_size": size}
    return open_clip.CLIP(MODEL["embed_dim"], open_clip.CLIPVisionCfg(**vision),
                          open_clip.CLIPTextCfg(**MODEL["text_cfg"])).eval()


def randomise(model, seed):
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name == "logit_scale":
                continue
            noise = torch.randn(p.shape, generator=draw)
            norm = ".ln_" in name or name.startswith("ln_")
            scale = 0.2 if norm or p.dim() == 1 else 0.5 if "embedding" in name else 1.2 / (p[0].numel() ** 0.5)
            p.copy_((scale * noise + (1 if norm and name.endswith("weight") else 0)).half().float())
    return model


def write_open_clip(folder, versions):
    model = randomise(make(MODEL["vision_cfg"]["image_size"]), 11)
    state = model.state_dict()
    save(folder / "open_clip_model.safetensors",
         {name: p if name == "logit_scale" else p.half() for name, p in state.items()}, {"format": "pt"})
    write_json(folder / "open_clip_config.json", {
        "model_cfg": MODEL,
        "preprocess_cfg": {"mean": [0.4, 0.45, 0.5], "std": [0.25, 0.26, 0.27], "interpolation": "bicubic",
                           "resize_mode": "shortest"}})
    ids, _ = texts(3, [12, 3, 7], 12, 64, 0)
    images, larger = pixels(5, 3, 12), pixels(6, 2, OTHER)
    resized = make(OTHER)
    open_clip.model.resize_pos_embed(state, resized)
    resized.load_state_dict(state)
    with torch.no_grad():
        save(folder / "golden.safetensors", {
            "pixels": channels_last(images), "input_ids": ids, "image_embeds": model.encode_image(images),
            "text_embeds": model.encode_text(ids.long()), f"pixels.{OTHER}": channels_last(larger),
            f"image_embeds.{OTHER}": resized.encode_image(larger),
        }, about(versions, {"image_embeds": 1e-5, "text_embeds": 1e-5}))


def write_positions(folder, versions):
    draw = torch.Generator().manual_seed(2)
    tensors = {}
    for n, m in PAIRS:
        table = tensors.setdefault(f"table.{n}", torch.randn((1 + n * n, 5), generator=draw))
        grid = table[1:].reshape(1, n, n, 5).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(m, m), mode="bicubic", align_corners=False, antialias=True)
        tensors[f"resized.{n}.{m}"] = torch.cat([table[:1], grid.permute(0, 2, 3, 1).reshape(m * m, 5)])
    save(folder / "golden.safetensors", tensors, about(versions, {"resized": 1e-6}))


def write(out, versions):
    write_open_clip(fresh(out / "clip_open_clip"), versions)
    write_positions(fresh(out / "clip_positions"), versions)
