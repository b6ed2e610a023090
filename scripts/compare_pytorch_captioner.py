#!/usr/bin/env python3
"""Compares captioners at full size, GPT-2 small under ClipCap's mappers, with transformers on the same random weights.

    scripts/compare_pytorch_captioner.py [--gmail build/gmail] [--tests build/gmail_tests] [--prompts 50] [--tmp FOLDER]

For each mapper a folder of the original's names is written, `gmail convert clipcap` makes a captioner of it, and
`gmail caption run --json` decodes random embeddings:

  logits     GPT-2's folder as transformers saves it, read by the hidden test [.gpt2] of --tests: the largest difference
             over the largest logit
  standard   greedy and --beam 5: the tokens are those of transformers' generate; the printed log probabilities are
             those that transformers' logits give these tokens: the largest difference per token over the largest logit
  released   greedy and --beam 5 with --clipcap-released: the tokens are those of the rule of the original's predict.py,
             written out below

Differences are at most --tolerance (2e-5), tokens are all equal. Matrices are scaled up so that random weights make
texts that vary; two frequent tokens take the ids of the end, 50256, and of the full stop, 13, so that texts end.

Needs Python with PyTorch, transformers and safetensors. Never needed to build, test or run gmail.
"""

import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
import time

import torch
from goldens.clipcap import ClipCap
from safetensors.torch import save_file

GPT = dict(vocab_size=50257, n_positions=1024, n_embd=768, n_layer=12, n_head=12)
MAPPERS = {
    "mlp": dict(mapper="mlp", prefix_length=10, clip_dim=512, normalize_prefix=False),
    "transformer": dict(mapper="transformer", prefix_length=10, clip_length=10, clip_dim=640, normalize_prefix=True,
                        mapper_layers=8, mapper_heads=8),
}
SCALES = dict(wte=5, wpe=1, c_attn=2, c_fc=3, c_proj=10)  # the attention's scores stay small: they are exponents
END, STOP = 50256, 13
BATCH = 10  # prompts at a time


def make_model(mapper, seed):
    torch.manual_seed(seed)
    model = ClipCap(MAPPERS[mapper], GPT).eval()
    with torch.no_grad():
        for name, p in model.gpt.named_parameters():
            if p.dim() == 1:
                p.add_(0.05 * torch.randn_like(p))
            else:
                p.mul_(SCALES[name.split(".")[-2]])
    return model


def batches(embeddings):
    return torch.split(embeddings, BATCH)


def generate(model, embeddings, beams, length, end=END):
    texts = []
    for batch in batches(embeddings):
        prefix = model.prefix(batch)
        out = model.gpt.generate(
            inputs_embeds=prefix, attention_mask=torch.ones(prefix.shape[:2], dtype=torch.long), num_beams=beams,
            do_sample=False, max_new_tokens=length, length_penalty=1.0, early_stopping=False, eos_token_id=end,
            pad_token_id=END)
        for row in out.tolist():
            texts.append(row[: row.index(END)] if end is not None and END in row else row)
    return texts


def make_frequent(model, embeddings):
    """The tokens that greedy texts have most become STOP and END."""
    seen = collections.Counter(token for text in generate(model, embeddings[:BATCH], 1, 12, None) for token in set(text))
    table = model.gpt.transformer.wte.weight
    with torch.no_grad():
        for (token, _), special in zip(seen.most_common(2), (STOP, END)):
            table[[token, special]] = table[[special, token]]


def log_probabilities(model, embeddings, texts, length):
    """Of each text and its end, where it ended before `length`, in float64; and the largest logit."""
    sums, largest = [], 0
    for embedding, text in zip(embeddings, texts):
        tokens = torch.tensor([text], dtype=torch.long)
        logits = model.logits(embedding[None], tokens, torch.ones_like(tokens))[0].double()
        largest = max(largest, logits.abs().max().item())
        targets = text if len(text) == length else [*text, END]
        sums.append(logits.log_softmax(-1)[range(len(targets)), targets].sum().item())
    return sums, largest


def released(model, embedding, beams, length):
    """The beam search of the original's predict.py. Texts are ranked by the mean log probability of their tokens in
    every step; one that has stopped goes on with token 0, which costs nothing and does not count."""
    out = model.gpt(inputs_embeds=model.prefix(embedding[None]), use_cache=True)
    total, tokens = out.logits[0, -1].softmax(-1).log().topk(beams)
    texts, lengths = tokens[:, None], torch.ones(beams)
    stopped = tokens == STOP
    cache = out.cache
    cache.batch_repeat_interleave(beams)
    for _ in range(length - 1):
        if stopped.all():
            break
        out = model.gpt(input_ids=texts[:, -1:], cache=cache, use_cache=True)
        logp = out.logits[:, -1].softmax(-1).log()
        logp[stopped] = -torch.inf
        logp[stopped, 0] = 0
        lengths = torch.where(stopped, lengths, lengths + 1)
        mean, chosen = ((total[:, None] + logp) / lengths[:, None]).flatten().topk(beams)
        source, tokens = chosen // logp.shape[1], chosen % logp.shape[1]
        lengths, stopped = lengths[source], stopped[source]
        total = mean * lengths
        texts = torch.cat([texts[source], tokens[:, None]], dim=1)
        stopped = stopped | (tokens == STOP)
        cache.reorder_cache(source)
    best = (total / lengths).argmax()
    return texts[best, : int(lengths[best])].tolist()


def gmail(args, *options):
    done = subprocess.run([args.gmail, *options], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"gmail {' '.join(options)}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def decode(args, folder, *options):
    lines = gmail(args, "caption", "run", "--captioner", os.path.join(folder, "captioner"), "--embeddings",
                  os.path.join(folder, "embeddings.safetensors"), "--max-length", str(args.length), "--json",
                  "--device", "cpu", "--threads", str(args.threads), *options).splitlines()
    return [json.loads(line) for line in lines]


def write_captioner(args, model, folder):
    os.makedirs(os.path.join(folder, "original"))
    state = {name: value for name, value in model.state_dict().items() if name != "gpt.lm_head.weight"}
    save_file(state, os.path.join(folder, "original", "model.safetensors"))
    with open(os.path.join(folder, "original", "config.json"), "w") as file:
        json.dump({**{k: v for k, v in model.config.items() if k != "mapper_layers"}, **GPT}, file)
    print(gmail(args, "convert", "clipcap", os.path.join(folder, "original"), "--out",
                os.path.join(folder, "captioner")).strip())


def same(what, ours, theirs):
    """How many texts differ; the first is shown."""
    wrong = [i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b]
    print(f"{what}: {len(theirs) - len(wrong)} of {len(theirs)} texts equal, {min(map(len, theirs))} to "
          f"{max(map(len, theirs))} tokens", flush=True)
    if wrong:
        print(f"  {wrong}; the first:\n  gmail   {ours[wrong[0]]}\n  PyTorch {theirs[wrong[0]]}")
    return not wrong and len(ours) == len(theirs)


def compare_logits(args, model, folder):
    model.gpt.save_pretrained(folder)
    ids = torch.randint(0, GPT["vocab_size"], (2, 32))
    save_file({"input_ids": ids.int(), "logits": model.gpt(ids).logits}, os.path.join(folder, "golden.safetensors"),
              {"tolerance.logits": str(args.tolerance)})
    done = subprocess.run([args.tests, "[.gpt2]"], capture_output=True, text=True, env={**os.environ, "GPT2": folder})
    good = done.returncode == 0 and "All tests passed" in done.stdout
    print(f"GPT-2 small: logits {'within' if good else 'beyond'} {args.tolerance:.0e} of the largest"
          + ("" if good else "\n" + done.stdout + done.stderr), flush=True)
    return good


def compare_mapper(args, mapper, folder):
    model = make_model(mapper, 1)
    embeddings = torch.randn(args.prompts, MAPPERS[mapper]["clip_dim"], generator=torch.Generator().manual_seed(2))
    make_frequent(model, embeddings)
    good = mapper != args.mappers[0] or compare_logits(args, model, os.path.join(folder, "gpt2"))
    write_captioner(args, model, folder)
    save_file({"image_embeds": embeddings}, os.path.join(folder, "embeddings.safetensors"))
    for beams in (1, 5):
        found = decode(args, folder, "--beam", str(beams))
        ours, start = [line["tokens"] for line in found], time.time()
        good &= same(f"{mapper}, {beams} beams", ours, generate(model, embeddings, beams, args.length))
        sums, scale = log_probabilities(model, embeddings, ours, args.length)
        worst = max(abs(line["logprob"] - theirs) / (len(line["tokens"]) + 1) / scale
                    for line, theirs in zip(found, sums))
        good &= worst <= args.tolerance
        print(f"  log probabilities: largest difference per token over the largest logit {worst:.1e} "
              f"({'within' if worst <= args.tolerance else 'beyond'} {args.tolerance:.0e}); "
              f"{time.time() - start:.0f} s in PyTorch")
        found = decode(args, folder, "--beam", str(beams), "--clipcap-released")
        good &= same(f"{mapper}, {beams} beams by the released rule", [line["tokens"] for line in found],
                     [released(model, e, beams, args.length) for e in embeddings])
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gmail", default="build/gmail", help="the program")
    parser.add_argument("--tests", default="build/gmail_tests", help="its tests")
    parser.add_argument("--mappers", nargs="+", default=list(MAPPERS), choices=list(MAPPERS))
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--length", type=int, default=16, help="most tokens of a text")
    parser.add_argument("--tolerance", type=float, default=2e-5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tmp", help="where the models are written for a while: 1.8 GB")
    args = parser.parse_args()
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(args.threads)
    good = True
    with torch.no_grad():
        for mapper in args.mappers:
            with tempfile.TemporaryDirectory(dir=args.tmp) as folder:
                good = compare_mapper(args, mapper, folder) and good
    if not good:
        sys.exit("captioner: something differs")


if __name__ == "__main__":
    main()
