"""ClipCap's losses and all of their gradients, by PyTorch on transformers' GPT2LMHeadModel.

clipcap/mlp and clipcap/transformer are folders as `gmail convert clipcap` takes them: config.json, and the state dict of
the original's names with weights that float16 holds exactly, once with gpt.transformer., lm_head and a mask buffer, once
without. golden.safetensors: embeddings (B, E), captions (B, T) int32 with -1 behind the end, and for each loss NAME
  standard   every token and the end token are predicted
  released   as the original's training has it: padded with 0, token 0 is ignored, no end token
its value NAME.loss and NAME.grad.PARAMETER for every parameter, called as in the folder. In mlp also peft's LoRA of the
decoder's attention, rank 2 and alpha 6: lora.value.PATH.lora_A.weight (and lora_B), the standard loss lora.loss, and
lora.grad.PATH..; PATH as in h.0.attn.c_attn.
"""

import copy

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

from .common import NEEDS_TORCH, about, fresh, save, write_json

NEEDS = [*NEEDS_TORCH, "peft"]
CAPTIONS = [[5, 3, 0, 11], [7, 0, 0, 2, 20, 13], [13]]  # token 0 is a word too

RUNS = {
    "mlp": dict(mapper="mlp", prefix_length=3, clip_dim=7, normalize_prefix=True),
    "transformer": dict(mapper="transformer", prefix_length=2, clip_length=3, mapper_heads=2, clip_dim=7,
                        normalize_prefix=False),
}
GPT = dict(vocab_size=23, n_positions=12, n_embd=12, n_layer=2, n_head=3)
MAPPER_LAYERS, END = 2, 22


class MapperAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.to_queries = nn.Linear(width, width, bias=False)
        self.to_keys_values = nn.Linear(width, 2 * width, bias=False)
        self.project = nn.Linear(width, width)

    def forward(self, x):
        split = lambda t: t.unflatten(2, (self.heads, -1)).transpose(1, 2)
        keys, values = self.to_keys_values(x).chunk(2, dim=2)
        y = F.scaled_dot_product_attention(split(self.to_queries(x)), split(keys), split(values))
        return self.project(y.transpose(1, 2).flatten(2))


class MapperMlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


class MapperLayer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn, self.mlp = MapperAttention(width, heads), MapperMlp(width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class MlpMapper(nn.Module):
    def __init__(self, config, width):
        super().__init__()
        out = width * config["prefix_length"]
        self.model = nn.Sequential(nn.Linear(config["clip_dim"], out // 2), nn.Tanh(), nn.Linear(out // 2, out))

    def forward(self, e):
        return self.model(e)


class TransformerMapper(nn.Module):
    def __init__(self, config, width):
        super().__init__()
        self.length, layers = config["clip_length"], config.get("mapper_layers", MAPPER_LAYERS)
        self.linear = nn.Linear(config["clip_dim"], self.length * width)
        self.prefix_const = nn.Parameter(torch.randn(config["prefix_length"], width))
        self.transformer = nn.ModuleDict({"layers": nn.ModuleList(
            MapperLayer(width, config["mapper_heads"]) for _ in range(layers))})

    def forward(self, e):
        x = self.linear(e).unflatten(1, (self.length, -1))
        x = torch.cat([x, self.prefix_const.expand(len(e), -1, -1)], dim=1)
        for layer in self.transformer["layers"]:
            x = layer(x)
        return x[:, self.length:]


class ClipCap(nn.Module):
    def __init__(self, config, gpt=None):
        super().__init__()
        self.config = config
        self.gpt = GPT2LMHeadModel(GPT2Config(**(gpt or GPT), bos_token_id=END, eos_token_id=END,
                                              attn_implementation="eager"))
        kind = MlpMapper if config["mapper"] == "mlp" else TransformerMapper
        self.clip_project = kind(config, self.gpt.config.n_embd)

    def prefix(self, embeddings):
        if self.config["normalize_prefix"]:
            embeddings = embeddings / embeddings.norm(2, -1, keepdim=True)
        return self.clip_project(embeddings).view(len(embeddings), self.config["prefix_length"], -1)

    def logits(self, embeddings, tokens, mask):
        """tokens (B, T) -> (B, T + 1, V): what follows the prefix and each token"""
        k = self.config["prefix_length"]
        prefix = self.prefix(embeddings)
        inputs = torch.cat([prefix, self.gpt.transformer.wte(tokens)], dim=1)
        mask = torch.cat([torch.ones(len(embeddings), k), mask.float()], dim=1)
        return self.gpt(inputs_embeds=inputs, attention_mask=mask).logits[:, k - 1:]


def standard(model, embeddings, captions):
    there = captions >= 0
    logits = model.logits(embeddings, captions.clamp(min=0), there)
    rows, targets = [], []
    for caption, row in zip(CAPTIONS, logits):
        rows.append(row[: len(caption) + 1])
        targets += [*caption, END]
    return F.cross_entropy(torch.cat(rows), torch.tensor(targets))


def released(model, embeddings, captions):
    there = captions >= 0
    tokens = captions.clamp(min=0)
    logits = model.logits(embeddings, tokens, there)[:, :-1]
    return F.cross_entropy(logits.reshape(-1, logits.shape[-1]), tokens.flatten(), ignore_index=0)


def randomise(model, seed):
    """Every part matters: no bias is zero, no norm is one."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=draw)
            norm = (".ln_" in name or ".norm" in name) and name.endswith("weight")
            p.copy_((0.3 * noise if p.dim() == 2 else 0.2 * noise + norm).half().float())
    return model.eval()


def with_lora(model, embeddings, captions):
    """The decoder frozen, its updates at random."""
    model = copy.deepcopy(model).requires_grad_(False)
    model.gpt = get_peft_model(model.gpt, LoraConfig(r=2, lora_alpha=6, fan_in_fan_out=True,
                                                     target_modules=r".*attn\.(c_attn|c_proj)")).base_model.model
    updates = {n.removeprefix("gpt.transformer.").replace(".default", ""): p for n, p in model.named_parameters()
               if "lora_" in n}
    draw = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for p in updates.values():
            p.copy_(0.3 * torch.randn(p.shape, generator=draw))
    loss = standard(model, embeddings, captions)
    loss.backward()
    return {"lora.loss": loss.detach(), **{f"lora.value.{n}": p.detach() for n, p in updates.items()},
            **{f"lora.grad.{n}": p.grad for n, p in updates.items()}}


def write_run(folder, name, config, versions):
    model = randomise(ClipCap(config), len(name))
    plain = name == "transformer"  # GPT-2 without transformer., lm_head and buffers
    called = lambda n: n.replace("gpt.transformer.", "gpt.") if plain else n
    tensors = {called(n): p.detach().half() for n, p in model.named_parameters()}
    if not plain:
        tensors["gpt.lm_head.weight"] = tensors["gpt.transformer.wte.weight"].clone()
        tensors["gpt.transformer.h.0.attn.bias"] = torch.ones(1, 1, 12, 12).tril().bool()
    save(folder / "model.safetensors", tensors, {"format": "pt"})
    write_json(folder / "config.json", {**config, **GPT})
    captions = torch.full((len(CAPTIONS), max(map(len, CAPTIONS))), -1)
    for row, caption in zip(captions, CAPTIONS):
        row[: len(caption)] = torch.tensor(caption)
    embeddings = torch.randn(len(CAPTIONS), config["clip_dim"], generator=torch.Generator().manual_seed(9))
    golden = {"embeddings": embeddings, "captions": captions.int()}
    for kind, loss_of in (("standard", standard), ("released", released)):
        model.zero_grad()
        loss = loss_of(model, embeddings, captions)
        loss.backward()
        golden[f"{kind}.loss"] = loss.detach()
        golden |= {f"{kind}.grad.{called(n)}": p.grad.clone() for n, p in model.named_parameters()}
    if not plain:
        golden |= with_lora(model, embeddings, captions)
    print(name, "losses", *(f"{golden[f'{kind}.loss']:.5f}" for kind in ("standard", "released")))
    save(folder / "golden.safetensors", golden, about(versions, {"loss": 1e-5, "grad": 1e-4}))


def write(out, versions):
    folder = fresh(out / "clipcap")
    for name, config in RUNS.items():
        write_run(fresh(folder / name), name, config, versions)
