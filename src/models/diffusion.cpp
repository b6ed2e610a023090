#include "models/diffusion.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace gmail {

Prediction prediction_of(const std::string& name, const std::string& where) {
  for (const Prediction p : {Prediction::epsilon, Prediction::v_prediction, Prediction::sample})
    if (name == name_of(p)) return p;
  throw InputError(concat(
      where, ": field \"prediction_type\": expected epsilon, v_prediction or sample, found \"", name, "\""));
}

std::string name_of(Prediction kind) {
  return kind == Prediction::epsilon ? "epsilon" : kind == Prediction::sample ? "sample" : "v_prediction";
}

NoiseSchedule noise_schedule_of(const std::string& name, const std::string& where) {
  for (const NoiseSchedule s : {NoiseSchedule::cosine, NoiseSchedule::scaled_linear})
    if (name == name_of(s)) return s;
  throw InputError(
      concat(where, ": field \"beta_schedule\": expected cosine or scaled_linear, found \"", name, "\""));
}

std::string name_of(NoiseSchedule kind) { return kind == NoiseSchedule::cosine ? "cosine" : "scaled_linear"; }

AlphaSigma alpha_sigma(NoiseSchedule schedule, double t) {
  if (schedule == NoiseSchedule::cosine)
    return {std::cos(std::numbers::pi / 2 * t), std::sin(std::numbers::pi / 2 * t)};
  static const std::vector<double> product = [] {
    std::vector<double> p(1000);
    double running = 1;
    const double first = std::sqrt(0.00085), last = std::sqrt(0.012);
    for (int i = 0; i < 1000; ++i) {
      const double root = first + (last - first) * i / 999;
      p[static_cast<size_t>(i)] = running *= 1 - root * root;
    }
    return p;
  }();
  const auto step = static_cast<size_t>(std::clamp(std::floor(1000 * t), 0.0, 999.0));
  return {std::sqrt(product[step]), std::sqrt(1 - product[step])};
}

Noised add_noise(const DiffusionConfig& config, const Tensor& images, uint64_t seed, uint64_t step) {
  const int64_t B = images.size(0), row = images.numel() / B;
  Noised out{Tensor::empty(images.shape()), Tensor::empty(images.shape()), Tensor::empty({B}),
             Tensor::empty({B})};
  const Tensor noise = [&] {
    Tensor n = Tensor::empty(images.shape());
    for (int64_t b = 0; b < B; ++b) {
      Tensor one = n.rows(b, b + 1);
      fill_normal(one, 1, seed, Purpose::noise, step, static_cast<uint64_t>(b));
    }
    return n;
  }();
  for (int64_t b = 0; b < B; ++b) {
    Rng rng(seed, Purpose::time, step, static_cast<uint64_t>(b));
    const double t = 1 / (1 + std::exp(-(config.time_shift + config.time_spread * rng.normal())));
    const auto [alpha, sigma] = alpha_sigma(config.schedule, t);
    const auto a = static_cast<float>(alpha), s = static_cast<float>(sigma);
    const float *x = images.data<float>() + b * row, *n = noise.data<float>() + b * row;
    float *x_t = out.x_t.data<float>() + b * row, *target = out.target.data<float>() + b * row;
    for (int64_t i = 0; i < row; ++i) {
      x_t[i] = a * x[i] + s * n[i];
      target[i] = config.prediction == Prediction::sample    ? x[i]
                  : config.prediction == Prediction::epsilon ? n[i]
                                                             : a * n[i] - s * x[i];  // eq. (1)
    }
    out.t.data<float>()[b] = static_cast<float>(t);
    const double floor = std::max(sigma, 0.1);
    out.weight.data<float>()[b] =
        config.prediction == Prediction::sample ? static_cast<float>(1 / (floor * floor)) : 1.0F;  // eq. (3)
  }
  return out;
}

DdimStep ddim_step_at(const DiffusionConfig& config, int k, int steps, double guidance, double clamp) {
  GMAIL_INPUT(steps >= 1, "[ddim] steps must be at least 1, got ", steps);
  constexpr double kLast = 0.999;  // at t = 1 nothing of the image is left and eq. (2) divides by zero
  const double t = kLast * (steps - k) / steps, s = kLast * (steps - k - 1) / steps;
  const auto [at, st] = alpha_sigma(config.schedule, t);
  const auto [as, ss] = s > 0 ? alpha_sigma(config.schedule, s) : AlphaSigma{};
  return {t, {at, st, as, ss, guidance, clamp}};
}

Tensor ddim(const DiffusionConfig& config, const Denoiser& denoise, const Tensor& noise, int steps,
            double clamp) {
  GMAIL_INPUT(steps >= 1, "[ddim] steps must be at least 1, got ", steps);
  Tensor x = noise.clone();
  for (int k = 0; k < steps; ++k) {
    const DdimStep step = ddim_step_at(config, k, steps, 0, clamp);
    cpu::ddim_step(x, denoise(x, step.t), step.factors.tensor(), config.prediction);
  }
  return x;
}

Tensor noise_for_seeds(const Shape& shape, std::span<const uint64_t> seeds) {
  GMAIL_CHECK(shape[0] == static_cast<int64_t>(seeds.size()), "[noise] ", seeds.size(), " seeds for ", shape);
  Tensor noise = Tensor::empty(shape);
  for (size_t b = 0; b < seeds.size(); ++b) {
    Tensor one = noise.rows(static_cast<int64_t>(b), static_cast<int64_t>(b) + 1);
    fill_normal(one, 1, seeds[b], Purpose::sample);
  }
  return noise;
}

}  // namespace gmail
