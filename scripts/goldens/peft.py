"""Adapters that peft saved for the CLIPModel in align/model, and what the adapted model gives.

peft/inputs.safetensors: pixels (N, S, S, 3) normalised, input_ids (N, context), end (N). Each peft/NAME is a folder as
save_pretrained writes it, with golden.safetensors beside it: image_embeds and text_embeds (N, E) before normalisation,
logits_per_image (N, N).
"""

import torch
from transformers import CLIPModel

from .align import NEEDS as NEEDS_PEFT
from .align import random_adapter, save_adapter
from .common import about, channels_last, fresh, pixels, save, texts

NEEDS = NEEDS_PEFT

ADAPTERS = {
    "vision_regex": dict(r=3, lora_alpha=5, use_rslora=True, rank_pattern={"q_proj": 2},
                         alpha_pattern={r"layers\.1\.self_attn\.v_proj": 9, r"^vision_model\.encoder\.layers\.0\.mlp\.fc1": 2},
                         target_modules=r"vision_model\.encoder\.layers\.\d+\.(self_attn\.(q|v)_proj|mlp\.fc1)"),
    "both_towers": dict(r=2, lora_alpha=4, target_modules=["q_proj", "v_proj", "fc2"], alpha_pattern={"fc2": 1}),
    "all_linear": dict(r=1, lora_alpha=3, target_modules="all-linear"),
    "saved_projection": dict(r=2, lora_alpha=8, target_modules=["out_proj"], layers_to_transform=[1],
                             modules_to_save=["visual_projection"]),
}


def write(out, versions):
    folder = fresh(out / "peft")
    base = CLIPModel.from_pretrained(out / "align" / "model", dtype=torch.float32).eval()
    config = base.config
    ids, end = texts(7, [3, 12, 5, 8], config.text_config.max_position_embeddings, config.text_config.vocab_size,
                     config.text_config.pad_token_id)
    images = pixels(7, 4, config.vision_config.image_size)
    save(folder / "inputs.safetensors", {"pixels": channels_last(images), "input_ids": ids, "end": end}, {})
    for seed, (name, options) in enumerate(ADAPTERS.items()):
        model = random_adapter(base, 20 + seed, **options).eval()
        save_adapter(model, folder / name)
        inner = model.get_base_model()
        with torch.no_grad():
            result = {"image_embeds": inner.get_image_features(pixel_values=images).pooler_output,
                      "text_embeds": inner.get_text_features(input_ids=ids.long()).pooler_output,
                      "logits_per_image": model(input_ids=ids.long(), pixel_values=images).logits_per_image}
        save(folder / name / "golden.safetensors", result, about(versions, dict.fromkeys(result, 1e-5)))
