// The training loop that all programs share. A step k computes its loss and gradients in a function of the
// caller's, which must depend on k and the parameters alone (random numbers keyed by k, batch k of the
// loader): then a run that is killed at any moment and resumed ends with the same bits as one that was not.
//
//   for each step k:  zero gradients -> step(k) -> norm, clip -> AdamW at rate(k) -> after_step(k) -> EMA ->
//   log -> save
//
// On a GPU nothing of this waits for the device: loss and norm of a step are looked at while the next one
// runs (ops/grad_norm.h sees to it that a bad step changes nothing), and at once before a checkpoint.
//
// In the folder `out`: checkpoint.safetensors (see checkpoint.h) and log.jsonl, a line for a step: "step"
// (how many are done), "loss", "grad_norm" (before clipping), "lr", "items_per_s", "seconds", and what the
// step reports besides.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/context.h"
#include "nn/param_file.h"
#include "train/adamw.h"
#include "train/schedule.h"

namespace gmail {

struct TrainOptions {
  std::filesystem::path out;
  std::string kind = "train";  // what is trained, "pretrain": a checkpoint of another kind is refused
  std::string command;         // how the user called us, for "continue with: .."
  nlohmann::json record;       // written to <out>/options.json once the run begins; null = no file
  nlohmann::json config = nlohmann::json::object();  // the model and data settings that decide the result
  uint64_t seed = 0;
  int64_t steps = 0;
  double lr = 1e-3;
  AdamW adamw;
  Schedule schedule;
  double clip = 0;         // largest global norm of the gradient; 0 = off
  double ema_decay = 0;    // 0 = no moving average
  int64_t save_every = 0;  // steps between checkpoints; 0 = only at the end and when interrupted
  int64_t log_every = 1;
  bool cuda_graph = false;  // a StagedStep's kernels are recorded once and launched as one: the same bits
  bool resume = false;      // go on from the checkpoint in `out`, if there is one
  bool quiet = false;
  std::string unit = "images";  // what an item is
};

// A further number for the log: of(value), or the value itself.
struct Logged {
  Tensor value;  // one element
  std::function<double(double)> of = {};
};

struct StepResult {
  Tensor loss;  // one element
  std::map<std::string, Logged> extra;
  int64_t items = 0;  // examples of this step
};

struct TrainReport {
  int64_t first_step = 0, steps = 0;  // this call ran [first_step, steps)
  double loss = 0;                    // of the last step; NaN if none was run
  double seconds = 0;                 // with those of the run that was resumed
  std::vector<NamedTensor> ema;       // the averaged weights by parameter name (see apply_ema); empty without
};

using StepFunction = std::function<StepResult(int64_t step)>;
using AfterStep = std::function<void(int64_t step)>;  // e.g. clamps the logit scale

// A step in two parts, of which a CUDA graph can record the second.
struct StagedStep {
  // What the host does for step k: it chooses the examples and puts them into tensors that stay where they
  // are (Context::put). Steps that find all of them in the same places and shapes return the same number.
  std::function<int64_t(int64_t step)> prepare;
  // Loss and gradients from those tensors alone, step tensors from this context. No copy from or to the host.
  std::function<StepResult(const Context& ctx)> compute;
};

// Throws Interrupted after Ctrl-C or SIGTERM (step finished, checkpoint saved), InputError if the checkpoint
// belongs to another run, Error naming the first bad tensor when loss or gradient norm is not finite (the
// last checkpoint stays). The parameters end on the device of the context.
TrainReport train(const Context& ctx, const TrainOptions& options, const ParamList& params,
                  const StepFunction& step, const AfterStep& after_step = {});
TrainReport train(const Context& ctx, const TrainOptions& options, const ParamList& params,
                  const StagedStep& step, const AfterStep& after_step = {});

}  // namespace gmail
