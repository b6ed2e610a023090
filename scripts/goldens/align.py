"""Ten steps of the alignment, eq. (1), by PyTorch: f_g is peft's LoRA on transformers' CLIPModel.

align/model, align/init (a peft folder with LoRA matrices that are not zero), align/manifest.jsonl with images of the
model's size, and for each run a safetensors file: losses, norms (global L2, before clipping) and lrs (10), and final.NAME of
every trained matrix; the run's options are in its metadata. The batches take the pairs in order and wrap around; two of
the generated images share their real one.
"""

import copy
import json

import numpy as np
import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from PIL import Image
from transformers import CLIPConfig, CLIPModel

from .common import NEEDS_TORCH, about, fresh, randomise, save, save_weights, write_json

NEEDS = [*NEEDS_TORCH, "peft", "Pillow"]
SIZE, STEPS, BATCH = 16, 10, 3
MERGES = ["c a", "ca t</w>", "d o", "do g</w>"]
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
PREFIX = "base_model.model."

RUNS = {
    "constant": dict(lr=2e-3, weight_decay=0.2, tau=0.07, schedule="constant", clip=0.0, mask_duplicates=True),
    "cosine_clipped": dict(lr=4e-3, weight_decay=0.05, tau=0.1, schedule="cosine", clip=0.5, mask_duplicates=False),
}


def byte_characters():
    """GPT-2's character for each byte, in the order of the vocabulary."""
    printing = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printing]
    return [chr(b) for b in printing] + [chr(256 + i) for i in range(len(rest))]


def write_tokenizer(folder):
    tokens = byte_characters()
    tokens += [t + "</w>" for t in tokens] + [m.replace(" ", "") for m in MERGES] + ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}, ensure_ascii=False) + "\n")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *MERGES]) + "\n")
    return len(tokens)


def write_model(folder):
    vocab = write_tokenizer(folder)
    text = dict(hidden_size=8, intermediate_size=12, num_hidden_layers=2, num_attention_heads=2, vocab_size=vocab,
                max_position_embeddings=12, bos_token_id=vocab - 2, eos_token_id=vocab - 1, pad_token_id=vocab - 1)
    vision = dict(hidden_size=24, intermediate_size=36, num_hidden_layers=2, num_attention_heads=3, image_size=SIZE,
                  patch_size=8)
    model = randomise(CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16)), 11)
    save_weights(model, folder)
    write_json(folder / "preprocessor_config.json", {
        "image_processor_type": "CLIPImageProcessor", "do_convert_rgb": True, "do_resize": True,
        "size": {"shortest_edge": SIZE}, "resample": 3, "do_center_crop": True,
        "crop_size": {"height": SIZE, "width": SIZE}, "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": MEAN, "image_std": STD})
    return model


def write_images(folder):
    """Real images, and generated ones that resemble them: [(generated, real)] in the manifest's order, (16, 16, 3)."""
    rng = np.random.default_rng(5)
    real = [np.clip(rng.normal(128, 20, (1, 1, 3)) + rng.normal(0, 70, (SIZE, SIZE, 3)), 0, 255) for _ in range(6)]
    records, pairs = [], []
    (folder / "images").mkdir()

    def add(name, pixels, source):
        pixels = pixels.astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
        records.append({"id": name, "image": f"images/{name}.png", "captions": ["a cat and a dog"], "split": "train",
                        "source": source})
        return pixels

    real = [add(f"r{i}", pixels, {"kind": "real"}) for i, pixels in enumerate(real)]
    for i, of in enumerate([0, 1, 2, 2, 3, 4, 5]):
        pixels = np.clip(0.6 * real[of] + 40 + rng.normal(0, 30, (SIZE, SIZE, 3)), 0, 255)
        pairs.append((add(f"g{i}", pixels, {"kind": "generated", "pair": f"r{of}", "caption": 0, "generator": "noise"}),
                      real[of], of))
    (folder / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    return pairs


def normalised(images):
    x = torch.from_numpy(np.stack(images)).float() / 255
    return ((x - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2).contiguous()


def random_adapter(base, seed, **options):
    """peft's model of a copy of `base`; everything that it would train is set at random."""
    torch.manual_seed(seed)
    model = get_peft_model(copy.deepcopy(base), LoraConfig(**options))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.requires_grad:
                p.add_(torch.randn(p.shape) * (0.3 if "lora_B" in name else 0.05))
    return model


def save_adapter(model, folder):
    model.save_pretrained(folder)
    (folder / "README.md").unlink()
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "base"  # peft writes the folder of this machine
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()  # a set's order changes from run to run
    write_json(folder / "adapter_config.json", config)
    (folder / "adapter_model.safetensors").chmod(0o644)


def train(base, start, pairs, lr, weight_decay, tau, schedule, clip, mask_duplicates):
    f_g = copy.deepcopy(start)
    projection = copy.deepcopy(base.visual_projection).requires_grad_()
    trained = {name: p for name, p in f_g.named_parameters() if p.requires_grad}
    parameters = [*trained.values(), projection.weight]
    optimizer = torch.optim.AdamW(parameters, lr=lr, weight_decay=weight_decay)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS) if schedule == "cosine" else None
    log = {"losses": [], "norms": [], "lrs": []}
    for step in range(STEPS):
        rows = [pairs[(step * BATCH + i) % len(pairs)] for i in range(BATCH)]
        with torch.no_grad():
            z_r = base.get_image_features(pixel_values=normalised([r for _, r, _ in rows])).pooler_output
        tower = f_g.get_base_model().vision_model
        z_g = projection(tower(pixel_values=normalised([g for g, _, _ in rows])).pooler_output)
        logits = F.normalize(z_g) @ F.normalize(z_r).T / tau
        of = torch.tensor([r for _, _, r in rows])
        if mask_duplicates:
            logits = logits.masked_fill((of[:, None] == of[None]) & ~torch.eye(BATCH, dtype=bool), -torch.inf)
        loss = F.cross_entropy(logits, torch.arange(BATCH))
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, clip if clip > 0 else torch.inf)
        log["losses"].append(loss.item()), log["norms"].append(norm.item())
        log["lrs"].append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if cosine:
            cosine.step()
    final = {f"final.{name.removeprefix(PREFIX).replace('.default', '')}": p.detach() for name, p in trained.items()}
    final["final.projection_generated.weight"] = projection.weight.detach()
    return {name: torch.tensor(values) for name, values in log.items()} | final


def write(out, versions):
    folder = fresh(out / "align")
    base = write_model(fresh(folder / "model")).requires_grad_(False)
    pairs = write_images(folder)
    start = random_adapter(base, 3, r=3, lora_alpha=6,
                           target_modules=r"vision_model\..*\.(q_proj|k_proj|v_proj|out_proj)")
    save_adapter(start, folder / "init")
    for name, options in RUNS.items():
        result = train(base, start, pairs, **options)
        print(name, "losses", [f"{x:.5f}" for x in result["losses"]], "norms", [f"{x:.4f}" for x in result["norms"]])
        save(folder / f"{name}.safetensors", result,
             about(versions, {"losses": 1e-4, "norms": 1e-4, "lrs": 1e-6, "final": 1e-4}) |
             {"batch": BATCH, "steps": STEPS} | {k: int(v) if isinstance(v, bool) else v for k, v in options.items()})
