#include "train/optimiser.h"

#include <cstring>

#include "core/dispatch.h"
#include "ops/ema.h"
#include "ops/grad_norm.h"
#include "train/ema.h"

namespace gmail {

Optimiser::Optimiser(const Context& ctx, const ParamList& params, const OptimiserOptions& options)
    : ctx_(ctx),
      options_(options),
      block_(params, options.ema_decay > 0, ctx.device),
      norm_(Tensor::zeros({1}, DType::float64, ctx.device)),
      scale_(Tensor::full({1}, 1).to(ctx.device)) {}

void Optimiser::update(double lr, int64_t step) {
  const AdamWFactors factors = adamw_factors(options_.adamw, lr, step + 1);
  const double d = ema_decay_at(options_.ema_decay, step);
  Tensor host = Tensor::empty({kAdamWFactors + 2});
  std::memcpy(host.data<float>(), &factors, sizeof factors);
  host.data<float>()[kAdamWFactors] = static_cast<float>(d);
  host.data<float>()[kAdamWFactors + 1] = static_cast<float>(1 - d);
  ctx_.put(factors_, host);
  block_.settle_grads(ctx_);
  GMAIL_RUN(ctx_, grad_norm, norm_, scale_, block_.grads(), options_.clip);
  GMAIL_RUN(ctx_, adamw, block_.values(), block_.first_moment(), block_.second_moment(), block_.grads(),
            scale_, factors_.rows(0, kAdamWFactors), block_.decayed());
}

void Optimiser::average() {
  if (block_.has_ema())
    GMAIL_RUN(ctx_, ema, block_.ema(), block_.values(), factors_.rows(kAdamWFactors, kAdamWFactors + 2));
}

}  // namespace gmail
