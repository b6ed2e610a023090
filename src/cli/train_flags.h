// The options that all training commands share.
#pragma once

#include "cli/program.h"
#include "io/safetensors.h"
#include "train/trainer.h"

namespace gmail::cli {

struct TrainFlags {
  std::string out;
  int64_t steps = 1000, batch = 64, warmup = 0, period = 0, save_every = 200, log_every = 1;
  double lr = 1e-3, weight_decay = 0.01, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, clip = 1, ema = 0;
  std::string schedule = "cosine";
  bool cuda_graph = false, resume = false, quiet = false;
};

void add_train_flags(Command& command, TrainFlags& flags);
[[nodiscard]] TrainOptions train_options(const Command& command, const TrainFlags& flags);

// --store float32 | float16 | bfloat16: how the result's weights are written
void add_store_flag(Command& command, std::string& store);
[[nodiscard]] StoreAs store_as(const std::string& name);

// What <out>/options.json says of a run: the command, its resolved options, version, commit and compiler.
[[nodiscard]] nlohmann::json options_record(const Command& command);

}  // namespace gmail::cli
