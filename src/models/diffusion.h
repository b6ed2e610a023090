// Diffusion in continuous time t in [0, 1]: x_t = alpha(t) x + sigma(t) noise, alpha^2 + sigma^2 = 1.
//   cosine         alpha = cos(pi t / 2), sigma = sin(pi t / 2)                     (Nichol & Dhariwal 2021,
//     arXiv:2102.09672)
//   scaled_linear  Stable Diffusion's 1000 betas, linspace(sqrt .00085, sqrt .012)^2, at step floor(1000 t)
// The network predicts, by prediction_type (Salimans & Ho 2022, arXiv:2202.00512):
//   (1)  epsilon: noise      sample: x      v_prediction: v = alpha noise - sigma x
//   (2)  x = (x_t - sigma eps) / alpha      x = alpha x_t - sigma v
// Training, squared error of the prediction; for `sample` it is weighted by
//   (3)  w(t) = 1 / max(sigma, 0.1)^2, which is the error of v.
// Sampling: a step of DDIM is in ops/ddim.h.
#pragma once

#include <functional>
#include <span>

#include "autograd/tape.h"
#include "core/rng.h"
#include "ops/ddim.h"

namespace gmail {

[[nodiscard]] Prediction prediction_of(const std::string& name, const std::string& where);
[[nodiscard]] std::string name_of(Prediction kind);

enum class NoiseSchedule : uint8_t { cosine, scaled_linear };
[[nodiscard]] NoiseSchedule noise_schedule_of(const std::string& name, const std::string& where);
[[nodiscard]] std::string name_of(NoiseSchedule kind);

struct AlphaSigma {
  double alpha = 1, sigma = 0;
};
[[nodiscard]] AlphaSigma alpha_sigma(NoiseSchedule schedule, double t);

struct DiffusionConfig {
  NoiseSchedule schedule = NoiseSchedule::cosine;
  Prediction prediction = Prediction::sample;
  // training times t = sigmoid(shift + spread n), n normal: biased to high noise, where the composition is
  // decided
  double time_shift = 0.8, time_spread = 0.8;
};

// One training example a row: noisy x_t, the target of eq. (1), t and the weight of eq. (3).
struct Noised {
  Tensor x_t, target;  // as the images (B, H, W, C)
  Tensor t, weight;    // (B)
};
// Row b draws its time and its noise from the streams (seed, time | noise, step, b).
[[nodiscard]] Noised add_noise(const DiffusionConfig& config, const Tensor& images, uint64_t seed,
                               uint64_t step);

// denoise(x_t, t) -> the network's prediction, after guidance. x_t (B, ...), t in [0, 1].
using Denoiser = std::function<Tensor(const Tensor& x_t, double t)>;
// Step k of `steps` from t = 1 to 0: its time t, and what ops/ddim.h needs for it.
struct DdimStep {
  double t;
  DdimFactors factors;
};
[[nodiscard]] DdimStep ddim_step_at(const DiffusionConfig& config, int k, int steps, double guidance,
                                    double clamp);
// On the CPU from x_1 = noise to t = 0; x0 is clamped to [-clamp, clamp] (0: not).
[[nodiscard]] Tensor ddim(const DiffusionConfig& config, const Denoiser& denoise, const Tensor& noise,
                          int steps, double clamp);

// Noise for images with a seed each: row b is stream (seeds[b], noise), whatever the batch.
[[nodiscard]] Tensor noise_for_seeds(const Shape& shape, std::span<const uint64_t> seeds);

}  // namespace gmail
