// The training loop that all programs share. A step k computes its loss and gradients in a function of the
// caller's, which must depend on k and the parameters alone (random numbers keyed by k, batch k of the
// loader): then a run that is killed at any moment and resumed ends with the same bits as one that was not.
//
//   for each step k:  zero gradients -> step(k) -> norm, clip -> AdamW at rate(k) -> after_step(k) -> EMA ->
//   log -> save
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
  bool resume = false;  // go on from the checkpoint in `out`, if there is one
  bool quiet = false;
  std::string unit = "images";  // what an item is
};

struct StepResult {
  double loss = 0;
  std::map<std::string, double> extra;  // further numbers for the log
  int64_t items = 0;                    // examples of this step
};

struct TrainReport {
  int64_t first_step = 0, steps = 0;  // this call ran [first_step, steps)
  double loss = 0;                    // of the last step; NaN if none was run
  double seconds = 0;                 // with those of the run that was resumed
  std::vector<NamedTensor> ema;       // the averaged weights by parameter name (see apply_ema); empty without
};

using StepFunction = std::function<StepResult(int64_t step)>;
using AfterStep = std::function<void(int64_t step)>;  // e.g. clamps the logit scale

// Throws Interrupted after Ctrl-C or SIGTERM (step finished, checkpoint saved), InputError if the checkpoint
// belongs to another run, Error naming the first bad tensor when loss or gradient norm is not finite (the
// last checkpoint stays).
TrainReport train(const TrainOptions& options, const ParamList& params, const StepFunction& step,
                  const AfterStep& after_step = {});

}  // namespace gmail
