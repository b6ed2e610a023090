#include "train/trainer.h"

#include <cmath>
#include <cstdio>
#include <limits>

#include "io/json.h"
#include "train/checkpoint.h"
#include "train/clip_grad.h"
#include "train/ema.h"
#include "train/interrupt.h"
#include "train/log.h"
#include "train/progress.h"

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

// A loss or norm that is not finite ends the run; the first bad tensor says where to look.
void check_finite(int64_t step, double loss, double norm, const ParamBlock& block) {
  if (std::isfinite(loss) && std::isfinite(norm)) return;
  std::string first = "none: the loss alone";
  for (const Param* p : block.params()) {
    if (p->value.all_finite() && p->slot.grad.all_finite()) continue;
    first = concat(p->value.all_finite() ? "the gradient of '" : "the value of '", p->name, "'");
    break;
  }
  throw Error(concat("[train] step ", step + 1, ": loss ", loss, ", gradient norm ", norm,
                     "; the first tensor that is not finite: ", first));
}

class Run {
 public:
  Run(const TrainOptions& options, const ParamList& params)
      : o_(options), block_(params, options.ema_decay > 0), identity_(identity_of(options, params)) {
    make_dirs(o_.out);
    if (o_.resume && std::filesystem::exists(checkpoint())) {
      done_ = load_checkpoint(checkpoint(), block_, identity_);
    } else {
      std::filesystem::remove(checkpoint());  // a kill before the first save must not revive an older run
    }
    if (!o_.record.is_null()) write_json(o_.out / "options.json", o_.record);
    if (!o_.quiet) print_plan(o_, params, block_, done_);
  }

  TrainReport run(const StepFunction& step, const AfterStep& after_step) {
    TrainLog log(o_.out / "log.jsonl", done_);
    Progress progress(o_.kind, o_.steps, done_, o_.quiet);
    const InterruptGuard interrupt;
    TrainReport report{done_, o_.steps, std::numeric_limits<double>::quiet_NaN(), log.seconds(), {}};
    int64_t items = 0, logged_items = 0;
    double logged_seconds = 0;
    for (int64_t k = done_; k < o_.steps; ++k) {
      const StepResult result = one_step(k, step, after_step);
      items += result.items;
      report.loss = result.loss;
      const int64_t done = k + 1;
      if (done % o_.log_every == 0 || done == o_.steps) {
        const double now = progress.seconds();
        const double rate = static_cast<double>(items - logged_items) / std::max(now - logged_seconds, 1e-9);
        log.write(line(done, result, rate, log.seconds() + now));
        logged_items = items;
        logged_seconds = now;
      }
      progress.update(done, note(result.loss), items, o_.unit);
      const bool stop = interrupt.requested() && done < o_.steps;
      if (stop || done == o_.steps || (o_.save_every > 0 && done % o_.save_every == 0))
        save_checkpoint(checkpoint(), block_, done, identity_);
      if (stop) throw Interrupted(how_to_continue(concat("step ", done), o_.command));
    }
    report.seconds += progress.seconds();
    report.ema = block_.ema_tensors();
    block_.release_grads();
    return report;
  }

 private:
  StepResult one_step(int64_t k, const StepFunction& step, const AfterStep& after_step) {
    block_.zero_grad();
    StepResult result = step(k);
    block_.settle_grads();
    norm_ = global_norm(block_.grads());
    check_finite(k, result.loss, norm_, block_);
    rate_ = learning_rate(o_.schedule, o_.lr, k, o_.steps);
    adamw_step(block_, o_.adamw, rate_, k + 1, clip_factor(norm_, o_.clip));
    if (after_step) after_step(k);
    if (block_.has_ema()) update_ema(block_, o_.ema_decay, k);
    return result;
  }

  [[nodiscard]] std::filesystem::path checkpoint() const { return o_.out / "checkpoint.safetensors"; }

  [[nodiscard]] nlohmann::ordered_json line(int64_t done, const StepResult& result, double rate,
                                            double seconds) const {
    nlohmann::ordered_json fields{{"step", done}, {"loss", result.loss}, {"grad_norm", norm_}, {"lr", rate_}};
    for (const auto& [key, value] : result.extra) fields[key] = value;
    fields["items_per_s"] = rate;
    fields["seconds"] = seconds;
    return fields;
  }

  [[nodiscard]] std::string note(double loss) const {
    char text[96];
    std::snprintf(text, sizeof text, "loss %.4f  lr %.2e  grad norm %.3f", loss, rate_, norm_);
    return text;
  }

  const TrainOptions& o_;
  ParamBlock block_;
  json identity_;
  int64_t done_ = 0;
  double norm_ = 0, rate_ = 0;
};

}  // namespace

TrainReport train(const TrainOptions& options, const ParamList& params, const StepFunction& step,
                  const AfterStep& after_step) {
  check_options(options);
  Run run(options, params);
  return run.run(step, after_step);
}

}  // namespace gmail
