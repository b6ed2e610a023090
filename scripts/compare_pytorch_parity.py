"""The parity mode of compare_pytorch.py: see there."""

import filecmp
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import open_clip
import torch
from compare_pytorch import read_safetensors
from open_clip.tokenizer import SimpleTokenizer, tokenize
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

# (vision width, layers, heads, patch), (text width, heads), projection, parameters of both and of all
# [openai/CLIP: clip/model.py; open_clip: docs/openclip_results.csv]
MODELS = {
    "b32": ((768, 12, 12, 32), (512, 12, 8), 512, (87_849_216, 63_428_096, 151_277_313)),
    "b16": ((768, 12, 12, 16), (512, 12, 8), 512, (86_192_640, 63_428_096, 149_620_737)),
    "l14": ((1024, 24, 16, 14), (768, 12, 12), 768, (303_966_208, 123_650_304, 427_616_513)),
    "h14": ((1280, 32, 16, 14), (1024, 24, 16), 1024, (632_076_800, 354_032_640, 986_109_441)),
}
TEXTS = ["a photo of a cat.", "a diagram", "", "two GIRLS playing  in the snow!!", "naïve café, 1234",
         "a very long caption " * 40]


def config(name):
    (width, layers, heads, patch), (text_width, text_layers, text_heads), dim, _ = MODELS[name]
    act = "gelu" if name == "h14" else "quick_gelu"
    return CLIPConfig(
        projection_dim=dim,
        vision_config=dict(hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
                           num_attention_heads=heads, image_size=224, patch_size=patch, hidden_act=act,
                           projection_dim=dim),
        text_config=dict(hidden_size=text_width, intermediate_size=4 * text_width, num_hidden_layers=text_layers,
                         num_attention_heads=text_heads, hidden_act=act, projection_dim=dim))


def make_model(name, seed):
    """Random weights as transformers draws them, but with biases and norms that count."""
    torch.manual_seed(seed)
    model = CLIPModel(config(name)).eval()
    with torch.no_grad():
        for parameter in (p for n, p in model.named_parameters() if p.dim() == 1 and n != "logit_scale"):
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model


def write_tokenizer(folder):
    """OpenAI's vocabulary, which open_clip brings, as Hugging Face's two files."""
    tokenizer = SimpleTokenizer()
    names = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    with open(os.path.join(folder, "vocab.json"), "w") as file:
        json.dump({names.get(token, token): number for token, number in tokenizer.encoder.items()}, file)
    with open(os.path.join(folder, "merges.txt"), "w") as file:
        file.write("#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in tokenizer.bpe_ranks))


def write_inputs(folder, count):
    rng = np.random.default_rng(0)
    paths = []
    for i in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((224, 224), Image.BICUBIC)
        noise = rng.integers(-20, 21, (224, 224, 3))
        paths.append(os.path.join(folder, f"{i}.png"))
        Image.fromarray(np.clip(np.asarray(coarse, np.int64) + noise, 0, 255).astype(np.uint8)).save(paths[-1])
    lines = os.path.join(folder, "texts.jsonl")
    with open(lines, "w") as file:
        for text in TEXTS:
            file.write(json.dumps({"text": text}) + "\n")
    return paths, lines


def gmail(args, *options):
    done = subprocess.run([args.gmail, *options], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"gmail {' '.join(options)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def difference(ours, theirs):
    """The largest difference over the embeddings' scale, which is their root mean square."""
    scale = theirs.square().mean().sqrt()
    return ((torch.from_numpy(ours) - theirs).abs().max() / scale).item()


def check_counts(args, name, model, folder):
    image, text, total = MODELS[name][3]
    parameters = dict(model.named_parameters())
    there = (sum(p.numel() for n, p in parameters.items() if n.startswith("vis")),
             sum(p.numel() for n, p in parameters.items() if n.startswith("text_")),
             sum(p.numel() for p in parameters.values()))
    said = gmail(args, "info", folder)
    for expected, found in zip((image, text, total), there):
        if expected != found or f"{expected:,} parameters" not in said:
            sys.exit(f"{name}: expected {expected:,} parameters, transformers has {found:,}, gmail says\n{said}")


def check_forms(args, folder, pixels, theirs):
    """To open_clip's form and back; returns open_clip's difference from transformers."""
    there, back = os.path.join(folder, "open_clip"), os.path.join(folder, "back")
    gmail(args, "convert", "clip", folder, "--out", there, "--naming", "open_clip")
    gmail(args, "convert", "clip", there, "--out", back, "--naming", "hf")
    if not filecmp.cmp(os.path.join(folder, "model.safetensors"), os.path.join(back, "model.safetensors"), False):
        sys.exit("the weights that came back are not the bytes that transformers wrote")
    same, report = CLIPModel.from_pretrained(back, output_loading_info=True)
    if any(report.get(key) for key in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        sys.exit(f"transformers does not take the weights that came back: {report}")
    model = open_clip.create_model("local-dir:" + there).eval()
    with torch.no_grad():
        found = {"image_embeds": model.encode_image(pixels), "text_embeds": model.encode_text(tokenize(TEXTS))}
        again = same.get_image_features(pixel_values=pixels).pooler_output
    if not torch.equal(again, theirs["image_embeds"]):
        sys.exit("transformers gives other embeddings for the weights that came back")
    return max(difference(found[key].numpy(), theirs[key]) for key in found)


def compare_model(args, name, folder):
    model = make_model(name, 1)
    model.save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)
    write_tokenizer(folder)
    check_counts(args, name, model, folder)
    images, texts = write_inputs(folder, 6)
    out = os.path.join(folder, "e.safetensors")
    gmail(args, "embed", "--model", folder, "--images", *images, "--texts", texts, "--out", out, "--device",
          args.embed_device, "--threads", str(args.threads))
    ours, _ = read_safetensors(out)
    pixels = np.stack([np.asarray(Image.open(path)) for path in images]).astype(np.float64) / 255
    processor = CLIPImageProcessor()
    pixels = torch.from_numpy((pixels - processor.image_mean) / processor.image_std).float().permute(0, 3, 1, 2)
    with torch.no_grad():
        theirs = {
            "image_embeds": model.get_image_features(pixel_values=pixels).pooler_output,
            "text_embeds": model.get_text_features(input_ids=tokenize(TEXTS)).pooler_output,
        }
    found = {key: difference(ours[key], value) for key, value in theirs.items()}
    del model
    return {**found, "open_clip": check_forms(args, folder, pixels, theirs)}


def compare_parity(args):
    torch.set_num_threads(args.threads)
    tolerance, failed = args.tolerance, False
    for name in args.models:
        with tempfile.TemporaryDirectory(dir=args.tmp) as folder:
            found = compare_model(args, name, folder)
        good = all(value <= tolerance for value in found.values())
        failed = failed or not good
        print(f"{name}: {MODELS[name][3][2]:,} parameters as expected; largest difference over the scale: "
              f"images {found['image_embeds']:.1e}, texts {found['text_embeds']:.1e}, "
              f"open_clip with the converted weights {found['open_clip']:.1e} "
              f"({'within' if good else 'beyond'} {tolerance:.0e})", flush=True)
    if failed:
        sys.exit("parity: beyond the tolerance")
