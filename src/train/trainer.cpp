#include "train/trainer.h"

#include <cmath>
#include <cstdio>
#include <deque>
#include <limits>

#include "core/reading.h"
#include "io/json.h"
#include "train/checkpoint.h"
#include "train/interrupt.h"
#include "train/log.h"
#include "train/optimiser.h"
#include "train/progress.h"
#include "train/step_graphs.h"

namespace gmail {
namespace {

using nlohmann::json;

// Everything that decides the result: a checkpoint is only continued by a run that agrees in all of it.
json identity_of(const TrainOptions& o, const ParamList& params) {
  return {{"kind", o.kind},
          {"seed", o.seed},
          {"steps", o.steps},
          {"lr", o.lr},
          {"weight_decay", o.adamw.weight_decay},
          {"beta1", o.adamw.beta1},
          {"beta2", o.adamw.beta2},
          {"eps", o.adamw.eps},
          {"schedule", name_of(o.schedule.kind)},
          {"warmup", o.schedule.warmup},
          {"period", o.schedule.period},
          {"period_mult", o.schedule.mult},
          {"floor", o.schedule.floor},
          {"clip", o.clip},
          {"ema_decay", o.ema_decay},
          {"frozen_weights", frozen_digest(params)},
          {"config", o.config}};
}

void check_options(const TrainOptions& o) {
  GMAIL_INPUT(o.steps >= 0, "steps must not be negative, got ", o.steps);
  GMAIL_INPUT(std::isfinite(o.lr) && o.lr >= 0, "lr must be 0 or more, got ", o.lr);
  GMAIL_INPUT(o.adamw.beta1 >= 0 && o.adamw.beta1 < 1, "beta1 must lie in [0, 1), got ", o.adamw.beta1);
  GMAIL_INPUT(o.adamw.beta2 >= 0 && o.adamw.beta2 < 1, "beta2 must lie in [0, 1), got ", o.adamw.beta2);
  GMAIL_INPUT(o.adamw.eps > 0, "eps must be positive, got ", o.adamw.eps);
  GMAIL_INPUT(o.adamw.weight_decay >= 0, "weight-decay must be 0 or more, got ", o.adamw.weight_decay);
  GMAIL_INPUT(o.clip >= 0, "clip must be 0 or more, got ", o.clip);
  GMAIL_INPUT(o.ema_decay >= 0 && o.ema_decay < 1, "ema decay must lie in [0, 1), got ", o.ema_decay);
  GMAIL_INPUT(o.schedule.warmup >= 0, "warmup must be 0 or more, got ", o.schedule.warmup);
  GMAIL_INPUT(o.save_every >= 0 && o.log_every >= 1, "save-every ", o.save_every, ", log-every ",
              o.log_every);
}

void print_plan(const TrainOptions& o, const ParamList& params, const ParamBlock& block, int64_t done) {
  int64_t all = 0;
  for (const Param* p : params) all += p->value.numel();
  const int64_t copies = block.has_ema() ? 5 : 4;  // value, gradient, two moments, moving average
  const double mib = static_cast<double>(4 * (copies * block.count() + all - block.count())) / (1 << 20);
  std::fprintf(stderr, "%s: %s parameters, %s trained (%.1f%%), %.1f MiB with gradients and moments\n",
               o.kind.c_str(), count_text(all).c_str(), count_text(block.count()).c_str(),
               100 * static_cast<double>(block.count()) / static_cast<double>(std::max<int64_t>(all, 1)),
               mib);
  std::fprintf(stderr, "%s: AdamW lr %g (%s, warm-up %ld), betas %g %g, weight decay %g, clip %g, seed %lu\n",
               o.kind.c_str(), o.lr, name_of(o.schedule.kind).c_str(), o.schedule.warmup, o.adamw.beta1,
               o.adamw.beta2, o.adamw.weight_decay, o.clip, o.seed);
  std::fprintf(stderr, "%s: %ld steps%s, into %s\n", o.kind.c_str(), o.steps,
               done > 0 ? concat(", resumed after ", done).c_str() : "", o.out.c_str());
}

// A step whose numbers the host has not seen yet.
struct Launched {
  int64_t step = 0;
  double lr = 0;
  Reading loss, norm;
  std::map<std::string, std::pair<Reading, std::function<double(double)>>> extra;
  int64_t items = 0;
};

// Where to look when a loss or norm is not finite.
std::string first_bad_tensor(const ParamBlock& block) {
  for (const Param* p : block.params()) {
    if (!p->value.all_finite()) return concat("the value of '", p->name, "'");
    if (!p->slot.grad.all_finite()) return concat("the gradient of '", p->name, "'");
  }
  return "none: the loss alone";
}

class Run {
 public:
  Run(const Context& ctx, const TrainOptions& options, const ParamList& params, const StagedStep& step,
      const AfterStep& after_step)
      : ctx_(ctx),
        o_(options),
        step_(step),
        after_step_(after_step),
        optimiser_(ctx, params, {options.adamw, options.clip, options.ema_decay}),
        identity_(identity_of(options, params)),
        graphs_(ctx) {
    make_dirs(o_.out);
    if (o_.resume && std::filesystem::exists(checkpoint())) {
      done_ = load_checkpoint(checkpoint(), optimiser_.block(), identity_);
    } else {
      std::filesystem::remove(checkpoint());  // a kill before the first save must not revive an older run
    }
    if (!o_.record.is_null()) write_json(o_.out / "options.json", o_.record);
    if (!o_.quiet) print_plan(o_, params, optimiser_.block(), done_);
  }

  TrainReport run() {
    TrainLog log(o_.out / "log.jsonl", done_);
    Progress progress(o_.kind, o_.steps, done_, o_.quiet);
    const InterruptGuard interrupt;
    TrainReport report{done_, o_.steps, std::numeric_limits<double>::quiet_NaN(), log.seconds(), {}};
    std::deque<Launched> waiting;
    for (int64_t k = done_; k < o_.steps; ++k) {
      waiting.push_back(one_step(k));
      const int64_t done = k + 1;
      const bool stop = interrupt.requested() && done < o_.steps;
      const bool save = stop || done == o_.steps || (o_.save_every > 0 && done % o_.save_every == 0);
      const size_t behind = ctx_.device == Device::cuda && !save ? 1 : 0;
      for (; waiting.size() > behind; waiting.pop_front())
        report.loss = look_at(waiting.front(), done, log, progress);
      if (save) save_checkpoint(checkpoint(), optimiser_.block(), done, identity_);
      if (stop) throw Interrupted(how_to_continue(concat("step ", done), o_.command));
    }
    report.seconds += progress.seconds();
    report.ema = optimiser_.block().ema_tensors();
    optimiser_.block().release_grads();
    return report;
  }

 private:
  StepResult gradients(int64_t k) {
    const int64_t key = step_.prepare(k);
    const auto work = [&](const Context& ctx) {
      optimiser_.zero_grad();
      StepResult result = step_.compute(ctx);
      optimiser_.block().settle_grads(ctx);
      return result;
    };
    return o_.cuda_graph && ctx_.device == Device::cuda ? graphs_.run(key, work) : work(ctx_);
  }

  Launched one_step(int64_t k) {
    const StepResult result = gradients(k);
    Launched l{k, learning_rate(o_.schedule, o_.lr, k, o_.steps), {ctx_, result.loss}, {}, {}, result.items};
    for (const auto& [name, logged] : result.extra) l.extra[name] = {Reading(ctx_, logged.value), logged.of};
    optimiser_.update(l.lr, k);
    l.norm = Reading(ctx_, optimiser_.norm());
    if (after_step_) after_step_(k);
    optimiser_.average();
    return l;
  }

  // Log, progress, and the end of the run if the numbers are not finite; `launched` steps have begun.
  double look_at(const Launched& l, int64_t launched, TrainLog& log, Progress& progress) {
    const double loss = l.loss.get(), norm = l.norm.get();
    const int64_t done = l.step + 1;
    if (!std::isfinite(loss) || !std::isfinite(norm)) {
      if (done < launched) gradients(l.step);  // again: the step after it has overwritten them
      throw Error(concat("[train] step ", done, ": loss ", loss, ", gradient norm ", norm,
                         "; the first tensor that is not finite: ", first_bad_tensor(optimiser_.block())));
    }
    items_ += l.items;
    if (done % o_.log_every == 0 || done == o_.steps) {
      nlohmann::ordered_json line{{"step", done}, {"loss", loss}, {"grad_norm", norm}, {"lr", l.lr}};
      for (const auto& [name, logged] : l.extra) {
        const double value = logged.first.get();
        line[name] = logged.second ? logged.second(value) : value;
      }
      const double now = progress.seconds();
      line["items_per_s"] =
          static_cast<double>(items_ - logged_items_) / std::max(now - logged_seconds_, 1e-9);
      line["seconds"] = log.seconds() + now;
      log.write(line);
      logged_items_ = items_;
      logged_seconds_ = now;
    }
    char note[96];
    std::snprintf(note, sizeof note, "loss %.4f  lr %.2e  grad norm %.3f", loss, l.lr, norm);
    progress.update(done, note, items_, o_.unit);
    return loss;
  }

  [[nodiscard]] std::filesystem::path checkpoint() const { return o_.out / "checkpoint.safetensors"; }

  const Context& ctx_;
  const TrainOptions& o_;
  const StagedStep& step_;
  const AfterStep& after_step_;
  Optimiser optimiser_;
  json identity_;
  StepGraphs graphs_;
  int64_t done_ = 0, items_ = 0, logged_items_ = 0;
  double logged_seconds_ = 0;
};

}  // namespace

TrainReport train(const Context& ctx, const TrainOptions& options, const ParamList& params,
                  const StagedStep& step, const AfterStep& after_step) {
  check_options(options);
  return Run(ctx, options, params, step, after_step).run();
}

TrainReport train(const Context& ctx, const TrainOptions& options, const ParamList& params,
                  const StepFunction& step, const AfterStep& after_step) {
  int64_t now = 0;
  TrainOptions eager = options;  // what the host does between two kernels cannot be recorded
  eager.cuda_graph = false;
  const StagedStep both{[&](int64_t k) { return now = k; }, [&](const Context&) { return step(now); }};
  return train(ctx, eager, params, both, after_step);
}

}  // namespace gmail
