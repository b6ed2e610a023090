#include "cli/train_flags.h"

#include <nlohmann/json.hpp>

#include "core/build_info.h"

namespace gmail::cli {

void add_train_flags(Command& c, TrainFlags& f) {
  c.option("out", f.out, "folder for the result, checkpoint and log")->required();
  c.option("steps", f.steps, "optimiser steps");
  c.option("batch", f.batch, "examples of a step");
  c.option("lr", f.lr, "base learning rate");
  c.option("schedule", f.schedule, "cosine-restarts | cosine | linear | constant");
  c.option("warmup", f.warmup, "steps of linear warm-up");
  c.option("period", f.period, "cosine-restarts: steps of a period, 0 = all");
  c.option("weight-decay", f.weight_decay, "AdamW's decoupled decay");
  c.option("beta1", f.beta1, "AdamW");
  c.option("beta2", f.beta2, "AdamW");
  c.option("eps", f.eps, "AdamW");
  c.option("clip", f.clip, "largest global gradient norm, 0 = off");
  c.option("ema", f.ema, "decay of the moving average of the weights, 0 = off");
  c.option("save-every", f.save_every, "steps between checkpoints, 0 = at the end only");
  c.option("log-every", f.log_every, "steps between lines of log.jsonl");
  c.flag("cuda-graph", f.cuda_graph, "on a GPU: record a step once for each shape, launch it as one");
  c.flag("resume", f.resume, "go on from the checkpoint in --out");
  c.flag("quiet", f.quiet, "no progress");
}

TrainOptions train_options(const Command& c, const TrainFlags& f) {
  GMAIL_INPUT(f.steps >= 1, "--steps: expected at least 1, found ", f.steps);
  GMAIL_INPUT(f.batch >= 1, "--batch: expected at least 1, found ", f.batch);
  GMAIL_INPUT(f.lr >= 0, "--lr: expected 0 or more, found ", f.lr);
  TrainOptions o;
  o.out = f.out;
  o.command = c.command_line();
  o.record = options_record(c);
  o.seed = c.common().seed;
  o.steps = f.steps;
  o.lr = f.lr;
  o.adamw = {f.weight_decay, f.beta1, f.beta2, f.eps};
  o.schedule = {.kind = schedule_from(f.schedule), .warmup = f.warmup, .period = f.period};
  o.clip = f.clip;
  o.ema_decay = f.ema;
  o.save_every = f.save_every;
  o.log_every = f.log_every;
  o.cuda_graph = f.cuda_graph;
  o.resume = f.resume;
  o.quiet = f.quiet;
  return o;
}

void add_store_flag(Command& c, std::string& store) {
  c.option("store", store, "float32 | float16 | bfloat16: how the weights are saved")
      ->one_of({"float32", "float16", "bfloat16"});
}

StoreAs store_as(const std::string& name) {
  return name == "float16" ? StoreAs::float16 : name == "bfloat16" ? StoreAs::bfloat16 : StoreAs::as_is;
}

nlohmann::json options_record(const Command& c) {
  const BuildInfo build = build_info();
  return {{"command", c.command_line()}, {"options", c.resolved()},    {"version", build.version},
          {"commit", build.commit},      {"compiler", build.compiler}, {"flags", build.flags}};
}

}  // namespace gmail::cli
