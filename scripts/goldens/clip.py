"""transformers' CLIPModel: embeddings, logits, contrastive loss and the gradients of all parameters.

golden.safetensors: pixels (N, S, S, 3) normalised, input_ids (N, context) and end (N) int32; image_embeds and text_embeds
(N, E) before normalisation, logits_per_image (N, N), loss (1), and grad.NAME for every parameter. A gradient's tolerance is
relative to its own largest element, plus "floor.grad" times the largest of all: the gradient of a key's bias is zero but
for rounding.
"""

import torch
from transformers import CLIPConfig, CLIPModel

from .common import NEEDS_TORCH, about, channels_last, fresh, pixels, randomise, save, save_weights, texts

NEEDS = NEEDS_TORCH

# heads are odd where they can be; an end token of 2 is what old configurations say, and means the largest id
MODELS = {
    "clip_quick_gelu": dict(
        vision=dict(hidden_size=24, intermediate_size=36, num_hidden_layers=2, num_attention_heads=3, image_size=16,
                    patch_size=8, hidden_act="quick_gelu"),
        text=dict(hidden_size=20, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
                  hidden_act="quick_gelu", vocab_size=64, max_position_embeddings=16, eos_token_id=2),
        projection_dim=20, pad=0, lengths=[16, 3, 9, 5, 2]),
    "clip_gelu": dict(
        vision=dict(hidden_size=30, intermediate_size=28, num_hidden_layers=1, num_attention_heads=5, image_size=30,
                    patch_size=6, hidden_act="gelu", layer_norm_eps=1e-4),
        text=dict(hidden_size=27, intermediate_size=30, num_hidden_layers=1, num_attention_heads=1, hidden_act="gelu",
                  vocab_size=64, max_position_embeddings=12, eos_token_id=63, layer_norm_eps=1e-6),
        projection_dim=17, pad=63, lengths=[4, 11, 6]),
    "clip_mixed": dict(
        vision=dict(hidden_size=20, intermediate_size=24, num_hidden_layers=3, num_attention_heads=1, image_size=32,
                    patch_size=8, hidden_act="quick_gelu"),
        text=dict(hidden_size=21, intermediate_size=30, num_hidden_layers=1, num_attention_heads=7, hidden_act="gelu",
                  vocab_size=70, max_position_embeddings=8, eos_token_id=69),
        projection_dim=24, pad=0, lengths=[8, 8, 5, 7]),
}


def write_model(folder, versions, seed, vision, text, projection_dim, pad, lengths):
    text.update(pad_token_id=pad, bos_token_id=text["vocab_size"] - 2)
    config = CLIPConfig(vision_config=vision, text_config=text, projection_dim=projection_dim)
    model = randomise(CLIPModel(config), seed)
    ids, end = texts(seed, lengths, text["max_position_embeddings"], text["vocab_size"], pad)
    images = pixels(seed, len(lengths), vision["image_size"])
    out = model(input_ids=ids.long(), pixel_values=images, return_loss=True)
    out.loss.backward()
    with torch.no_grad():  # the model's own are normalised
        image_embeds = model.get_image_features(pixel_values=images).pooler_output
        text_embeds = model.get_text_features(input_ids=ids.long()).pooler_output
    save_weights(model, folder)
    save(folder / "golden.safetensors", {
        "pixels": channels_last(images), "input_ids": ids, "end": end, "image_embeds": image_embeds,
        "text_embeds": text_embeds, "logits_per_image": out.logits_per_image.detach(),
        "loss": out.loss.detach().reshape(1),
        **{f"grad.{name}": p.grad for name, p in model.named_parameters()},
    }, {**about(versions, {"image_embeds": 1e-5, "text_embeds": 1e-5, "logits_per_image": 1e-5, "loss": 1e-5,
                           "grad": 1e-4}), "floor.grad": "1e-6"})


def write(out, versions):
    for seed, (name, sizes) in enumerate(MODELS.items()):
        write_model(fresh(out / name), versions, seed + 1, **sizes)
