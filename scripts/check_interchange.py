#!/usr/bin/env python3
"""What gmail writes, loaded by transformers and peft, and what peft writes, loaded by gmail: equal embeddings.

    scripts/check_interchange.py [--gmail build/gmail] [--layers 12] [--width 48] [--tolerance 1e-5] [--keep FOLDER]

A random CLIP in Hugging Face's form, with a small vocabulary and random images, is made in a temporary folder. Then

  alignment     `gmail align` trains an adapter; peft loads it on transformers' CLIPModel. It must find the layers of the image
                tower alone, and its embeddings, through the projection beside the adapter, are those of `gmail embed`
  retrained     the same folder starts a second `gmail align --adapter`
  peft          an adapter on both towers that peft saved; `gmail embed --adapter` against peft, images and texts
  finetune-text the CLIP that `gmail finetune-text` saves, loaded by CLIPModel.from_pretrained
  pretrain      the CLIP that `gmail pretrain` saves, with a tokenizer of its own

Each line says the largest difference, relative to the largest element. Needs the packages of export_goldens.py.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

from goldens.align import MEAN, STD, write_tokenizer
from goldens.common import randomise, save_weights, write_json

SIZE, IMAGES = 32, 8
TEXTS = ["a cat", "a dog and a cat", "the cat on a dog", "dog dog dog", "a", "cat and dog", "one cat", "a dog"]


def make_clip(folder, layers, width):
    folder.mkdir()
    vocab = write_tokenizer(folder)
    tower = dict(hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers, num_attention_heads=width // 16)
    config = CLIPConfig(
        text_config=dict(tower, vocab_size=vocab, max_position_embeddings=24, bos_token_id=vocab - 2,
                         eos_token_id=vocab - 1, pad_token_id=vocab - 1),
        vision_config=dict(tower, image_size=SIZE, patch_size=8), projection_dim=32)
    save_weights(randomise(CLIPModel(config), 1), folder, half=False)
    write_json(folder / "preprocessor_config.json", {
        "do_resize": True, "size": {"shortest_edge": SIZE}, "resample": 3, "do_center_crop": True,
        "crop_size": {"height": SIZE, "width": SIZE}, "do_normalize": True, "image_mean": MEAN, "image_std": STD})


def make_data(folder):
    """images/*.png, a manifest of real and generated ones, a file of texts; the normalised images (N, 3, S, S)"""
    (folder / "images").mkdir()
    rng = np.random.default_rng(2)
    records, pixels = [], []
    for i in range(IMAGES):
        real = rng.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        generated = (real // 2 + rng.integers(0, 128, real.shape)).astype(np.uint8)
        for name, image in (f"r{i}", real), (f"g{i}", generated):
            Image.fromarray(image).save(folder / "images" / f"{name}.png")
            source = {"kind": "real"} if name[0] == "r" else {"kind": "generated", "pair": f"r{i}", "caption": 0,
                                                              "generator": "noise"}
            records.append({"id": name, "image": f"images/{name}.png", "captions": [TEXTS[i]], "split": "train",
                            "source": source})
        pixels.append(real)
    (folder / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in TEXTS))
    return torch.from_numpy(np.stack(pixels)).float() / 255


def normalised(pixels, model):
    config = json.loads((model / "preprocessor_config.json").read_text())
    mean, std = torch.tensor(config["image_mean"]), torch.tensor(config["image_std"])
    return ((pixels - mean) / std).permute(0, 3, 1, 2)


class Check:
    def __init__(self, args, folder):
        self.args, self.folder, self.failed = args, folder, False

    def gmail(self, *arguments):
        command = [str(self.args.gmail), *map(str, arguments), "--threads", "1"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder)
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout

    def embed(self, model, *arguments):
        images = [f"images/r{i}.png" for i in range(IMAGES)]
        self.gmail("embed", "--model", model, "--images", *images, "--texts", "texts.jsonl", "--out", "out.safetensors",
                   *arguments)
        found = load_file(self.folder / "out.safetensors")
        return found["image_embeds"], found["text_embeds"]

    def equal(self, what, ours, theirs):
        difference = ((ours - theirs).abs().max() / theirs.abs().max()).item()
        fine = difference <= self.args.tolerance
        self.failed |= not fine
        print(f"{what:44} {difference:.1e}{'' if fine else '   TOO MUCH'}")

    def require(self, what, fine):
        self.failed |= not fine
        print(f"{what:44} {'yes' if fine else 'NO'}")


def token_ids(model):
    tokenizer = CLIPTokenizer.from_pretrained(model)
    return tokenizer(TEXTS, padding=True, return_tensors="pt").input_ids


@torch.no_grad()
def embeddings(model, folder, pixels):
    """of transformers' CLIPModel, perhaps with peft's layers in it"""
    return (model.get_image_features(pixel_values=normalised(pixels, folder)).pooler_output,
            model.get_text_features(input_ids=token_ids(folder)).pooler_output)


def logits(images, texts):
    return torch.nn.functional.normalize(images) @ torch.nn.functional.normalize(texts).T


def check_model(check, name, folder, pixels):
    model = CLIPModel.from_pretrained(folder).eval()
    theirs, ours = embeddings(model, folder, pixels), check.embed(folder)
    check.equal(f"{name}: images", ours[0], theirs[0])
    check.equal(f"{name}: texts", ours[1], theirs[1])


def check_alignment(check, name, clip, adapter, pixels):
    ours = check.embed(clip, "--adapter", adapter)
    base = CLIPModel.from_pretrained(clip)
    model = PeftModel.from_pretrained(base, check.folder / adapter).eval()
    updated = [n for n, _ in model.named_modules() if n.endswith(".lora_A")]
    layers = check.args.layers
    check.require(f"{name}: updates on the image tower alone", len(updated) == 4 * layers and
                  all(".vision_model.encoder." in n for n in updated))
    check.require(f"{name}: peft knows the base model", model.peft_config["default"].base_model_name_or_path == str(clip))
    weight = load_file(check.folder / adapter / "projections.safetensors")["projection_generated.weight"]
    with torch.no_grad():
        inner = model.get_base_model()
        inner.visual_projection.weight.copy_(weight)
        theirs = embeddings(inner, clip, pixels)
    check.equal(f"{name}: images", ours[0], theirs[0])
    check.equal(f"{name}: texts", ours[1], theirs[1])
    check.equal(f"{name}: cosines", logits(*ours), logits(*theirs))


def run(check):
    args, folder = check.args, check.folder
    clip = folder / "clip"
    make_clip(clip, args.layers, args.width)
    pixels = make_data(folder)
    check_model(check, "transformers' CLIP", clip, pixels)

    steps = ("--steps", 5, "--batch", 6, "--quiet")
    training = ("align", "--model", clip, "--manifest", "manifest.jsonl", "--lr", "1e-2", *steps)
    check.gmail(*training, "--out", "aligned", "--lora-rank", 3, "--lora-alpha", 5)
    check_alignment(check, "alignment", clip, "aligned", pixels)
    check.gmail(*training, "--out", "again", "--adapter", "aligned", "--order", "sequential", "--projection", "copy")
    check_alignment(check, "retrained", clip, "again", pixels)

    torch.manual_seed(4)
    model = get_peft_model(CLIPModel.from_pretrained(clip), LoraConfig(
        r=4, lora_alpha=7, use_rslora=True, target_modules=["q_proj", "v_proj", "fc1"], rank_pattern={"fc1": 2}))
    with torch.no_grad():
        for parameter_name, p in model.named_parameters():
            if "lora_B" in parameter_name:
                p.normal_(0, 0.1)
    model.eval().save_pretrained(folder / "from_peft")
    theirs, ours = embeddings(model.get_base_model(), clip, pixels), check.embed(clip, "--adapter", "from_peft")
    check.equal("peft, both towers: images", ours[0], theirs[0])
    check.equal("peft, both towers: texts", ours[1], theirs[1])
    check.equal("peft, both towers: cosines", logits(*ours), logits(*theirs))
    check.gmail("eval", "retrieval", "--model", clip, "--manifest", "manifest.jsonl", "--adapter", "from_peft", "--out",
                "recall.json")

    check.gmail("finetune-text", "--model", clip, "--manifest", "manifest.jsonl", "--arm", "gmail", "--adapter",
                "aligned", "--out", "text", *steps)
    check_model(check, "finetune-text", folder / "text", pixels)
    check.gmail("pretrain", "--model", clip / "config.json", "--manifest", "manifest.jsonl", "--tokenizer", clip,
                "--out", "pretrained", *steps)
    check_model(check, "pretrain", folder / "pretrained", pixels)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gmail", type=Path, default=Path("build/gmail"), help="the program")
    parser.add_argument("--layers", type=int, default=12, help="of each tower")
    parser.add_argument("--width", type=int, default=48, help="of each tower, a multiple of 16")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    parser.add_argument("--keep", type=Path, help="a new folder for the files, which then stay")
    args = parser.parse_args()
    args.gmail = args.gmail.resolve()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep.resolve() if args.keep else Path(temporary)
        folder.mkdir(exist_ok=True)
        check = Check(args, folder)
        run(check)
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
