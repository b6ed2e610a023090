#!/usr/bin/env python3
"""Times gmail against PyTorch on the same work, in pairs on the same machine.

    scripts/compare_pytorch.py cpu [--gmail build/gmail] [--threads 2] [--pairs 10] [--compile] [--out FILE.json]

Workload C3: one training step of a tiny ViT. 32 images of 32 x 32, patches of 4 (65 tokens with the class token),
width 192, 6 layers, 3 heads, MLP 4 x 192, quick_gelu; the projection of the class token gives 10 logits, softmax
cross entropy, AdamW; float32.

1. The check. `gmail bench cpu --workload C3 --state FILE` writes its initial weights (Hugging Face's names), the images
   "bench.images" (32, 32, 32, 3), "bench.labels" (32) and "bench.losses", the losses of its first steps, and as
   metadata "lr", "weight_decay", "beta1", "beta2", "eps" and "decay" (the names of the decayed parameters, one a line).
   PyTorch starts from the same weights and must reach the same losses; otherwise nothing is timed.
2. The times. Pairs of (gmail, PyTorch), every second one in the other order; within a turn --repeats steps after
   --warmup steps. `gmail bench cpu --workload C3 --threads N --warmup W --repeats R --json` prints one line
   {"name": "C3", "ms": [..], "median": M}. A turn counts with its median; the result is the median of the paired
   ratios gmail / PyTorch (below 1: gmail is faster) with a bootstrap 95% interval.

    scripts/compare_pytorch.py gpu [--workload align-b32] [--batch 256] [--precision bf16] [--cuda-graph] [--pairs 10]

The step of stage A (align-b32, -b16, -l14) or the image encoder (encode-b32, ..) on the GPU. PyTorch's side is
transformers' CLIP tower with SDPA: frozen weights in the run's precision without gradients, f_r under no_grad, LoRA
and the projection in float32, fused AdamW; eager and torch.compile. `gmail bench gpu --workload align-b32 --state FILE`
writes weights, images, embeddings and first losses. First the outputs are compared: embeddings and loss with PyTorch's
in float32, then the losses of the first steps; otherwise nothing is timed. A turn is --rounds of --repeats steps by
the device's clock. --device cpu --tiny runs the same script where there is no GPU, against an emulated build.

    scripts/compare_pytorch.py parity [--models b32 b16 l14] [--tmp FOLDER]

CLIP at full size with random weights: transformers writes the folder (L/14: 1.7 GB), `gmail info` must count its
parameters as published and `gmail embed` give its embeddings of six images of 224 x 224 (no resize is involved) and six
texts; the largest difference over the embeddings' root mean square is at most --tolerance (2e-5).

`gmail convert clip` then takes the folder to open_clip's form, in which open_clip must load it and give the same
embeddings, and back, where the weights must be the bytes that transformers wrote and transformers must load them.

Needs Python with PyTorch and NumPy, gpu and parity with transformers as well, parity with Pillow and open_clip. Never
needed to build, test or run gmail.
"""

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F

WIDTH, LAYERS, HEADS, PATCH = 192, 6, 3, 4


def read_safetensors(path):
    """name -> array, and the metadata; float32 and int32 only."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    kinds = {"F32": np.float32, "I32": np.int32}
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], kinds[entry["dtype"]]).reshape(entry["shape"]).copy()
        for name, entry in header.items()
    }, metadata


class Block(torch.nn.Module):
    """Pre-LN block of CLIP; q, k and v in one product, as OpenAI's code has it."""

    def __init__(self):
        super().__init__()
        self.layer_norm1 = torch.nn.LayerNorm(WIDTH)
        self.in_proj = torch.nn.Linear(WIDTH, 3 * WIDTH)
        self.out_proj = torch.nn.Linear(WIDTH, WIDTH)
        self.layer_norm2 = torch.nn.LayerNorm(WIDTH)
        self.fc1 = torch.nn.Linear(WIDTH, 4 * WIDTH)
        self.fc2 = torch.nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        images, tokens, _ = x.shape
        qkv = self.in_proj(self.layer_norm1(x)).view(images, tokens, 3, HEADS, WIDTH // HEADS)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(images, tokens, WIDTH)
        x = x + self.out_proj(attended)
        hidden = self.fc1(self.layer_norm2(x))
        return x + self.fc2(hidden * torch.sigmoid(1.702 * hidden))


class Vit(torch.nn.Module):
    """CLIP's image tower."""

    def __init__(self, classes):
        super().__init__()
        self.class_embedding = torch.nn.Parameter(torch.zeros(WIDTH))
        self.patch_embedding = torch.nn.Conv2d(3, WIDTH, PATCH, stride=PATCH, bias=False)
        self.position_embedding = torch.nn.Parameter(torch.zeros(65, WIDTH))
        self.pre_layrnorm = torch.nn.LayerNorm(WIDTH)
        self.layers = torch.nn.ModuleList([Block() for _ in range(LAYERS)])
        self.post_layernorm = torch.nn.LayerNorm(WIDTH)
        self.visual_projection = torch.nn.Linear(WIDTH, classes, bias=False)

    def forward(self, images):
        patches = self.patch_embedding(images).flatten(2).transpose(1, 2)
        token = self.class_embedding.expand(len(images), 1, WIDTH)
        x = self.pre_layrnorm(torch.cat([token, patches], dim=1) + self.position_embedding)
        for layer in self.layers:
            x = layer(x)
        return self.visual_projection(self.post_layernorm(x[:, 0]))


def sources(name):
    """The names in gmail's file that make up one parameter of Vit, in order."""
    if name == "visual_projection.weight":
        return [name]
    if not name.startswith("layers."):
        name = name.replace("class_embedding", "embeddings.class_embedding")
        name = name.replace("patch_embedding", "embeddings.patch_embedding")
        name = name.replace("position_embedding", "embeddings.position_embedding.weight")
        return ["vision_model." + name]
    _, index, module, kind = name.split(".")
    prefix = f"vision_model.encoder.layers.{index}."
    if module == "in_proj":
        return [f"{prefix}self_attn.{part}_proj.{kind}" for part in "qkv"]
    if module == "out_proj":
        return [f"{prefix}self_attn.out_proj.{kind}"]
    if module in ("fc1", "fc2"):
        return [f"{prefix}mlp.{module}.{kind}"]
    return [f"{prefix}{module}.{kind}"]


class TorchStep:
    """The training step from gmail's initial state; each call makes one and returns the loss before it."""

    def __init__(self, state, metadata, compiled):
        self.images = torch.from_numpy(state["bench.images"]).permute(0, 3, 1, 2).contiguous()
        self.labels = torch.from_numpy(state["bench.labels"]).long()
        model = Vit(len(state["visual_projection.weight"]))
        decayed_names = set(metadata["decay"].split("\n"))
        groups = {True: [], False: []}
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parts = [torch.from_numpy(state[s]) for s in sources(name)]
                value = torch.cat(parts) if len(parts) > 1 else parts[0]
                if parameter.shape != value.shape:
                    sys.exit(f"{name}: {tuple(parameter.shape)} here, {tuple(value.shape)} there")
                parameter.copy_(value)
                decays = {s in decayed_names for s in sources(name)}
                groups[decays.pop()].append(parameter)
        weights = sum(v.size for n, v in state.items() if not n.startswith("bench."))
        if sum(p.numel() for p in model.parameters()) != weights:
            sys.exit("the two models differ in their number of parameters")
        number = {key: float(metadata[key]) for key in ("lr", "weight_decay", "beta1", "beta2", "eps")}
        self.optimizer = torch.optim.AdamW(
            [{"params": groups[True], "weight_decay": number["weight_decay"]},
             {"params": groups[False], "weight_decay": 0.0}],
            lr=number["lr"], betas=(number["beta1"], number["beta2"]), eps=number["eps"], fused=True)
        self.model = torch.compile(model) if compiled else model

    def __call__(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.model(self.images), self.labels)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def run_gmail(args, *options):
    command = [args.gmail, "bench", "cpu", "--workload", "C3", "--threads", str(args.threads), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def gmail_turn(args):
    output = run_gmail(args, "--warmup", str(args.warmup), "--repeats", str(args.repeats), "--json")
    for line in output.splitlines():
        if line.startswith("{") and json.loads(line).get("name") == "C3":
            ms = json.loads(line)["ms"]
            if len(ms) != args.repeats:
                sys.exit(f"gmail bench gave {len(ms)} times, {args.repeats} were asked for")
            return statistics.median(ms)
    sys.exit("gmail bench printed no line for C3")


def torch_turn(args, step):
    for _ in range(args.warmup):
        step()
    ms = []
    for _ in range(args.repeats):
        begin = time.perf_counter()
        step()
        ms.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(ms)


def check(args, state, metadata):
    """Largest relative difference of the losses; both sides start from the same weights."""
    step = TorchStep(state, metadata, args.compile)
    ours = state["bench.losses"].tolist()
    theirs = [step() for _ in ours]
    difference = max(abs(a - b) / abs(b) for a, b in zip(ours, theirs))
    if not difference <= args.tolerance:
        sys.exit(f"the losses differ by {difference:.2e} (relative), allowed {args.tolerance:.0e}: no times\n"
                 f"  gmail   {ours}\n  PyTorch {theirs}")
    return difference


def steal():
    """Stolen and all CPU ticks so far."""
    with open("/proc/stat") as file:
        ticks = [int(x) for x in file.readline().split()[1:]]
    return ticks[7], sum(ticks[:8])


def cpu_model():
    with open("/proc/cpuinfo") as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")


def interval(ratios, seed=0, resamples=10000):
    """Bootstrap 95% interval of the median."""
    draws = np.random.default_rng(seed).choice(np.asarray(ratios), (resamples, len(ratios)))
    return np.percentile(np.median(draws, axis=1), [2.5, 97.5]).tolist()


def spread(values):
    """How much one side differs from its own next turn: the median of |a / b - 1|."""
    return statistics.median(abs(a / b - 1) for a, b in zip(values, values[1:]))


def compare_cpu(args):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])  # gmail inherits it
    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    torch.set_float32_matmul_precision("highest")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "state.safetensors")
        run_gmail(args, "--state", path)
        state, metadata = read_safetensors(path)
    difference = check(args, state, metadata)
    print(f"same losses over {len(state['bench.losses'])} steps: relative difference {difference:.1e}")

    step = TorchStep(state, metadata, args.compile)
    torch_turn(args, step)  # compilation and first allocations
    gmail_ms, torch_ms = [], []
    load = os.getloadavg()[0]
    stolen, ticks = steal()
    for pair in range(args.pairs):
        turns = [lambda: gmail_ms.append(gmail_turn(args)), lambda: torch_ms.append(torch_turn(args, step))]
        for turn in turns if pair % 2 == 0 else reversed(turns):
            turn()
        print(f"pair {pair + 1:2d}: gmail {gmail_ms[-1]:8.2f} ms, PyTorch {torch_ms[-1]:8.2f} ms, "
              f"ratio {gmail_ms[-1] / torch_ms[-1]:.3f}", flush=True)
    stolen, ticks = (b - a for a, b in zip((stolen, ticks), steal()))
    ratios = [a / b for a, b in zip(gmail_ms, torch_ms)]
    low, high = interval(ratios)
    result = {
        "workload": "C3", "threads": args.threads, "pairs": args.pairs, "repeats": args.repeats,
        "peer": "torch.compile" if args.compile else "eager",
        "gmail_ms": statistics.median(gmail_ms), "pytorch_ms": statistics.median(torch_ms),
        "ratio": statistics.median(ratios), "ratio_95": [low, high],
        "spread_gmail": spread(gmail_ms), "spread_pytorch": spread(torch_ms),
        "loss_difference": difference, "steal_percent": 100 * stolen / ticks, "load_before": load,
        "cpu": cpu_model(), "torch": torch.__version__, "numpy": np.__version__,
        "gmail": subprocess.run([args.gmail, "--version"], capture_output=True, text=True).stdout.strip(),
    }
    print(f"C3, {args.threads} threads: gmail {result['gmail_ms']:.1f} ms, PyTorch {result['peer']} "
          f"{result['pytorch_ms']:.1f} ms, ratio {result['ratio']:.3f} (95% {low:.3f} to {high:.3f})")
    print(f"one side against itself: gmail {100 * result['spread_gmail']:.1f}%, "
          f"PyTorch {100 * result['spread_pytorch']:.1f}%; stolen CPU time {result['steal_percent']:.1f}%")
    print(f"{result['cpu']}; torch {torch.__version__}")
    if args.out:
        with open(args.out, "w") as file:
            json.dump(result, file, indent=2)
            file.write("\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("where", choices=["cpu", "gpu", "parity"])
    parser.add_argument("--gmail", default="build/gmail", help="the program")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--repeats", type=int, help="timed steps in a turn (gpu: in a round); 10, gpu 50")
    parser.add_argument("--warmup", type=int, help="steps before them; 3, gpu 20")
    parser.add_argument("--tolerance", type=float,
                        help="largest relative difference of the outputs; 1e-5, in bf16 1e-2")
    parser.add_argument("--out", help="write the result as JSON")
    cpu = parser.add_argument_group("cpu")
    cpu.add_argument("--threads", type=int, default=2)
    cpu.add_argument("--compile", action="store_true", help="torch.compile instead of eager")
    gpu = parser.add_argument_group("gpu")
    gpu.add_argument("--workload", default="align-b32",
                     choices=[f"{work}-{tower}" for work in ("align", "encode") for tower in ("b32", "b16", "l14")])
    gpu.add_argument("--batch", type=int, default=256)
    gpu.add_argument("--precision", default="bf16", choices=["fp32", "bf16"])
    gpu.add_argument("--rounds", type=int, default=5, help="of --repeats steps in a turn, which counts with their median")
    gpu.add_argument("--peers", nargs="+", default=["eager", "compile"], choices=["eager", "compile"])
    gpu.add_argument("--cuda-graph", action="store_true", help="gmail's step as a CUDA graph")
    gpu.add_argument("--device", default="cuda", choices=["cpu", "cuda"], help="PyTorch's")
    gpu.add_argument("--tiny", action="store_true", help="models of a few numbers, to try the script")
    parity = parser.add_argument_group("parity")
    parity.add_argument("--models", nargs="+", default=["b32", "b16", "l14"], choices=["b32", "b16", "l14", "h14"])
    parity.add_argument("--embed-device", default="cpu", choices=["cpu", "cuda"], help="gmail's")
    parity.add_argument("--tmp", help="where the models are written for a while")
    args = parser.parse_args()
    on_gpu = args.where == "gpu"
    defaults = {"repeats": 50 if on_gpu else 10, "warmup": 20 if on_gpu else 3,
                "tolerance": 2e-5 if args.where == "parity" else 1e-2 if on_gpu and args.precision == "bf16" else 1e-5}
    for name, value in defaults.items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    if min(args.threads, args.repeats, args.rounds, args.batch) < 1 or args.pairs < 2 or args.warmup < 0:
        parser.error("threads, batch, rounds and repeats must be positive, pairs at least 2")
    return args


def main():
    args = arguments()
    if args.where == "cpu":
        return compare_cpu(args)
    if args.where == "parity":
        from compare_pytorch_parity import compare_parity  # it needs transformers

        return compare_parity(args)
    from compare_pytorch_gpu import compare_gpu  # it needs transformers

    return compare_gpu(args)


if __name__ == "__main__":
    main()
