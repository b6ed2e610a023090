"""The gpu mode of compare_pytorch.py: see there."""

import contextlib
import copy
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from compare_pytorch import interval, read_safetensors, spread
from torch.nn.attention import SDPBackend, sdpa_kernel

WARM, CHOOSE = 3, 5  # steps before and while the attention backends of PyTorch are compared


class Trained(torch.nn.Module):
    """A linear layer without bias whose float32 weight is trained; the product is made in the input's type."""

    def __init__(self, weight):
        super().__init__()
        self.weight = torch.nn.Parameter(weight)

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype))


class Lora(torch.nn.Module):
    """y = base(x) + scale (x A^T) B^T; the base is frozen."""

    def __init__(self, base, a, b, scale):
        super().__init__()
        self.base, self.a, self.b, self.scale = base, Trained(a), Trained(b), scale

    def forward(self, x):
        return self.base(x) + self.scale * self.b(self.a(x))


class Work:
    """gmail's align-* or encode-* workload from the state that it wrote, in PyTorch."""

    def __init__(self, state, metadata, device, dtype):
        self.tensors = {name: torch.from_numpy(value).to(device) for name, value in state.items()}
        self.metadata, self.device = metadata, device
        self.f_r = self.tower().to(device=device, dtype=dtype).requires_grad_(False).eval()
        self.f_g = self.with_lora(copy.deepcopy(self.f_r))
        self.x_r, self.x_g = (
            self.tensors["bench." + name].permute(0, 3, 1, 2).contiguous().to(dtype) for name in ("x_r", "x_g"))
        self.labels = torch.arange(len(self.x_g), device=device)
        self.tau = float(metadata["tau"])
        self.optimizer = self.adamw()
        self.loss = self.loss_now

    def tower(self):
        config = json.loads(self.metadata["config"])
        model = transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(
            **config["vision_config"], projection_dim=config["projection_dim"], attn_implementation="sdpa"))
        own = dict(model.state_dict())
        weights = {name: value for name, value in self.tensors.items()
                   if not name.startswith("bench.") and ".lora_" not in name and name in own}
        missing = {name for name in own if not name.endswith("position_ids")} - set(weights)
        extra = {name for name in self.tensors if name.startswith(("vision_model.", "visual_projection."))
                 and ".lora_" not in name} - set(weights)
        if missing or extra:
            sys.exit(f"the two models differ: PyTorch alone has {sorted(missing)}, gmail alone {sorted(extra)}")
        model.load_state_dict(weights, strict=False)
        return model

    def with_lora(self, model):
        names = [n.removesuffix(".lora_A.weight") for n in self.tensors if n.endswith(".lora_A.weight")]
        for name in names:
            a, b = (self.tensors[f"{name}.lora_{part}.weight"].clone() for part in "AB")
            base = model.get_submodule(name)
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, Lora(base, a, b, float(self.metadata["lora_scale"])))
        model.visual_projection = Trained(self.tensors["projection_generated.weight"].clone())
        if not names:
            sys.exit("the state holds no LoRA matrices")
        return model

    def adamw(self):
        number = {key: float(self.metadata[key]) for key in ("lr", "weight_decay", "beta1", "beta2", "eps")}
        trained = [p for p in self.f_g.parameters() if p.requires_grad]
        if len(self.metadata["decay"].split("\n")) != len(trained):
            sys.exit("the two sides differ in what is trained and decayed")
        return torch.optim.AdamW(trained, lr=number["lr"], betas=(number["beta1"], number["beta2"]),
                                 eps=number["eps"], weight_decay=number["weight_decay"], fused=True)

    def embeddings(self):
        with torch.no_grad():
            return self.f_r(pixel_values=self.x_r).image_embeds, self.f_g(pixel_values=self.x_g).image_embeds

    def loss_now(self):  # eq. (1) of the paper, over the cosines
        with torch.no_grad():
            z_r = self.f_r(pixel_values=self.x_r).image_embeds
        z_g = self.f_g(pixel_values=self.x_g).image_embeds
        return F.cross_entropy(F.normalize(z_g.float()) @ F.normalize(z_r.float()).T / self.tau, self.labels)

    def align(self):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def encode(self):
        with torch.no_grad():
            return self.f_r(pixel_values=self.x_r).image_embeds

    def step(self, workload, compiled):
        """The function to time: one step of the workload."""
        mode = "max-autotune" if self.device.type == "cuda" else "default"
        if workload.startswith("encode-"):
            return torch.compile(self.encode, mode=mode) if compiled else self.encode
        if compiled:
            self.loss = torch.compile(self.loss_now, mode=mode)
        return self.align


def turn(step, device, warmup, rounds, steps):
    """Milliseconds of a step: the median of the rounds."""
    cuda = device.type == "cuda"
    for _ in range(warmup):
        step()
    ms = []
    for _ in range(rounds):
        if cuda:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
        start = time.perf_counter()
        for _ in range(steps):
            step()
        if cuda:
            end.record()
            end.synchronize()
        ms.append((begin.elapsed_time(end) if cuda else 1e3 * (time.perf_counter() - start)) / steps)
    return statistics.median(ms)


def fastest_attention(make_step, device):
    """PyTorch's attention backends are tried, the fastest is kept."""
    if device.type != "cuda":
        return None
    times = {}
    for backend in (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION):
        with contextlib.suppress(RuntimeError), sdpa_kernel(backend):
            times[backend] = turn(make_step(), device, WARM, 1, CHOOSE)
    return min(times, key=times.get) if times else None


def with_attention(step, backend):
    if backend is None:
        return step

    def run():
        with sdpa_kernel(backend):
            return step()
    return run


def run_gmail(args, *options):
    command = [args.gmail, "bench", "gpu", "--device", "cuda", "--precision", args.precision,
               "--batch", str(args.batch), *(["--tiny"] if args.tiny else []), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def gmail_turn(args):
    """The JSON object of the workload."""
    if args.device == "cuda":
        torch.cuda.empty_cache()
    output = run_gmail(args, "--workload", args.workload, "--warmup", str(args.warmup), "--rounds", str(args.rounds),
                       "--steps", str(args.repeats), "--json", *(["--cuda-graph"] if args.cuda_graph else []))
    for line in map(json.loads, output.splitlines()):
        if line["name"].startswith(args.workload + " ") and line["cuda_graph"] == args.cuda_graph:
            if line["cut_short"]:
                sys.exit(f"gmail made fewer repeats than PyTorch: lower --repeats ({line['steps']})")
            return line
    sys.exit(f"gmail bench gpu printed no line for {args.workload}")


def relative_error(a, b):
    return (torch.linalg.norm(a.double() - b.double()) / torch.linalg.norm(b.double())).item()


def check(args, state, metadata, device, dtype):
    """Embeddings against PyTorch's in float32, losses of the first steps against PyTorch's in the run's type."""
    exact, ours, work = Work(state, metadata, device, torch.float32), state, Work(state, metadata, device, dtype)
    errors = {}
    for name, reference, theirs in zip(("z_r", "z_g"), exact.embeddings(), work.embeddings()):
        mine = torch.from_numpy(ours["bench." + name]).to(device)
        errors[name] = {"gmail": relative_error(mine, reference), "pytorch": relative_error(theirs, reference)}
    losses = ours["bench.losses"].tolist()
    first = exact.loss_now().item()
    errors["loss"] = {"gmail": abs(losses[0] / first - 1), "pytorch": abs(work.loss_now().item() / first - 1)}
    errors["losses"] = {"gmail": max(abs(a / work.align().item() - 1) for a in losses)}
    for name, sides in errors.items():
        print(f"relative error of {name}: " + ", ".join(f"{side} {e:.1e}" for side, e in sides.items()))
    for name, sides in errors.items():
        if not sides["gmail"] <= args.tolerance:
            sys.exit(f"{name}: {sides['gmail']:.1e}, allowed is {args.tolerance:.1e}: no times")
    return errors


def peers_of(args, state, metadata, device, dtype):
    """name -> the step to time, compiled and warm, and the attention backend that all of them use."""
    def make(compiled):
        return Work(state, metadata, device, dtype).step(args.workload, compiled)

    backend = fastest_attention(lambda: make(False), device)
    steps = {name: with_attention(make(name == "compile"), backend) for name in args.peers}
    for step in steps.values():
        turn(step, device, WARM, 1, 1)
    return steps, backend.name if backend else "default"


def timed_pairs(args, steps, device):
    """ms of every side in every pair; gmail's last JSON object; PyTorch's peak memory by peer."""
    ms = {side: [] for side in ("gmail", *steps)}
    line, peak = {}, {}
    for pair in range(args.pairs):
        for side in list(ms) if pair % 2 == 0 else reversed(list(ms)):
            if side == "gmail":
                line = gmail_turn(args)
                ms[side].append(line["median_ms"])
                continue
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            ms[side].append(turn(steps[side], device, args.warmup, args.rounds, args.repeats))
            peak[side] = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else None
        print(f"pair {pair + 1:2d}: " + ", ".join(f"{side} {values[-1]:.3f} ms" for side, values in ms.items()),
              flush=True)
    return ms, line, peak


def compare_gpu(args):
    device, dtype = torch.device(args.device), torch.bfloat16 if args.precision == "bf16" else torch.float32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "state.safetensors")
        run_gmail(args, "--workload", "align-" + args.workload.split("-")[1], "--state", path)
        state, metadata = read_safetensors(path)
    errors = check(args, state, metadata, device, dtype)
    steps, attention = peers_of(args, state, metadata, device, dtype)
    ms, line, peak = timed_pairs(args, steps, device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu (the times mean nothing)"
    result = {
        "workload": args.workload, "batch": args.batch, "precision": args.precision, "device": name,
        "cuda_graph": args.cuda_graph, "tiny": args.tiny, "pairs": args.pairs, "errors": errors, "ms": ms,
        "gmail": line, "spread_gmail": spread(ms["gmail"]), "attention": attention, "peers": {},
        "torch": torch.__version__, "cuda": torch.version.cuda, "transformers": transformers.__version__,
        "cudnn": torch.backends.cudnn.version() if device.type == "cuda" else None, "numpy": np.__version__,
        "version": subprocess.run([args.gmail, "--version"], capture_output=True, text=True).stdout.strip(),
    }
    gmail = statistics.median(ms["gmail"])
    print(f"{args.workload} x {args.batch}, {args.precision}, on {name}: gmail {gmail:.3f} ms, "
          f"{line['tflop'] / gmail * 1e3:.1f} TFLOP/s, {line['peak_mib']:.0f} MiB")
    for side in steps:
        ratios = [a / b for a, b in zip(ms["gmail"], ms[side])]
        low, high = interval(ratios)
        theirs = statistics.median(ms[side])
        result["peers"][side] = {"ms": theirs, "ratio": statistics.median(ratios), "ratio_95": [low, high],
                                 "tflops": line["tflop"] / theirs * 1e3, "spread": spread(ms[side]),
                                 "peak_mib": peak[side]}
        print(f"  PyTorch {side}: {theirs:.3f} ms, ratio {statistics.median(ratios):.3f} "
              f"(95% {low:.3f} to {high:.3f})")
    if args.out:
        with open(args.out, "w") as file:
            json.dump(result, file, indent=2)
            file.write("\n")
