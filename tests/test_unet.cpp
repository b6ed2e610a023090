// Protects the generator's network: diffusers' names, zero start, whole-model gradients, independence from
// the batch, one batch learned by heart; and the sampler: DDIM on a known denoiser, prediction types, noise
// schedules.
#include "catch.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "autograd/functions.h"
#include "gradcheck.h"
#include "models/diffusion.h"
#include "tiny.h"

using namespace gmail;
using namespace gmail::test;

namespace {

Var predict(Tape& tape, Unet& unet, const Tensor& x, const Tensor& t, const Tensor& context) {
  const Tensor pooled =
      context.rows(0, context.size(0)).reshape({context.size(0), context.size(1) * context.size(2)});
  const Var first = slice(tape, Var(pooled), 1, 0, 24);
  return unet.forward(tape, Var(x), t, unet.text_keys(tape, Var(context), Tensor(), first));
}

}  // namespace

TEST_CASE("unet: parameter names are diffusers'") {
  Unet unet(tiny_unet());
  std::set<std::string> names;
  for (const Param* p : unet.params()) names.insert(p->name);
  CHECK(names.size() == unet.params().size());
  for (const char* name : {"conv_in.weight", "time_embedding.linear_1.weight", "class_embedding.weight",
                           "down_blocks.0.resnets.0.norm1.weight", "down_blocks.0.downsamplers.0.conv.weight",
                           "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight",
                           "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0.bias",
                           "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj.weight",
                           "down_blocks.1.resnets.0.conv_shortcut.weight",
                           "mid_block.attentions.0.proj_in.weight", "mid_block.resnets.1.time_emb_proj.bias",
                           "up_blocks.0.attentions.1.norm.weight", "up_blocks.0.upsamplers.0.conv.bias",
                           "up_blocks.1.resnets.1.conv2.weight", "conv_norm_out.weight", "conv_out.bias"})
    CHECK(names.contains(name));
  CHECK(UnetConfig::from_json(unet.config.to_json(), "config.json").to_json() == unet.config.to_json());
}

TEST_CASE("unet: the fresh network predicts zero, and rows do not see each other") {
  const Context ctx;
  Tape tape(ctx, false);
  Unet fresh(tiny_unet());
  fresh.init(1);
  const Tensor x = random({3, 8, 8, 3}, 1, DType::float32), context = random({3, 5, 24}, 2, DType::float32);
  const Tensor t = Tensor::from(std::vector<float>{0.1F, 0.5F, 0.9F}, {3});
  CHECK(close(predict(tape, fresh, x, t, context).value, Tensor::zeros({3, 8, 8, 3}), 0) == "");
  Unet unet = random_unet();
  const Tensor all = predict(tape, unet, x, t, context).value;
  const Tensor one = predict(tape, unet, x.rows(1, 2), t.rows(1, 2), context.rows(1, 2)).value;
  CHECK(close(all.rows(1, 2), one, 1e-5) == "");
}

TEST_CASE("unet: gradients of the whole network") {
  Unet unet = random_unet();
  to_double(unet.params());
  const Tensor x = random({2, 8, 8, 3}, 1), context = random({2, 4, 24}, 2);
  const Tensor t = Tensor::from(std::vector<float>{0.25F, 0.75F}, {2});
  const Tensor target = random({2, 8, 8, 3}, 3), weight = Tensor::from(std::vector<double>{1.5, 0.5}, {2});
  const Context ctx;
  const auto loss = [&](Tape& tape) {
    return weighted_mse(tape, predict(tape, unet, x, t, context), target, weight);
  };
  Tape tape(ctx);
  tape.backward(loss(tape));
  const auto value = [&] {
    Tape plain(ctx, false);
    return loss(plain).value.item();
  };
  constexpr double h = 1e-5;
  for (Param* p : unet.params()) {
    INFO(p->name);
    REQUIRE(p->slot.grad.defined());
    const int64_t i = p->value.numel() / 3;
    double& v = p->value.data<double>()[i];
    const double v0 = v;
    v = v0 + h;
    const double up = value();
    v = v0 - h;
    const double down = value();
    v = v0;
    const double numeric = (up - down) / (2 * h), analytic = p->slot.grad.at(i);
    CHECK(std::abs(numeric - analytic) <= 1e-6 * std::max(1.0, std::abs(numeric)));
  }
}

TEST_CASE("unet: one batch is learned by heart") {
  Unet unet(tiny_unet());
  unet.init(1);
  const Tensor x = random({4, 8, 8, 3}, 1, DType::float32), context = random({4, 5, 24}, 2, DType::float32);
  const Tensor target = random({4, 8, 8, 3}, 3, DType::float32);
  const Tensor t = Tensor::from(std::vector<float>{0.1F, 0.4F, 0.6F, 0.9F}, {4});
  const auto loss = [&](Tape& tape) {
    return weighted_mse(tape, predict(tape, unet, x, t, context), target);
  };
  CHECK(overfit(unet.params(), loss, 300, 5e-3) < 0.1);
}

// For data N(0, s^2) the best denoiser is known: E[x | x_t] = alpha s^2 x_t / (alpha^2 s^2 + sigma^2).
// DDIM's limit maps x_t to x_s by the ratio of standard deviations, so noise z ends at s z.
TEST_CASE("ddim: on a known denoiser, for every prediction type") {
  constexpr double s = 0.3;
  const Tensor z = random({2, 4, 4, 3}, 1, DType::float32);
  for (const Prediction kind : {Prediction::sample, Prediction::epsilon, Prediction::v_prediction}) {
    DiffusionConfig config;
    config.prediction = kind;
    const Denoiser denoise = [&](const Tensor& x, double t) {
      const auto [a, g] = alpha_sigma(config.schedule, t);
      Tensor out = x.clone();
      for (float& v : out.span<float>()) {
        const double xt = v, x0 = a * s * s * xt / (a * a * s * s + g * g), eps = (xt - a * x0) / g;
        v = static_cast<float>(kind == Prediction::sample    ? x0
                               : kind == Prediction::epsilon ? eps
                                                             : a * eps - g * x0);
      }
      return out;
    };
    INFO(name_of(kind));
    Tensor expected = z.clone();
    for (float& v : expected.span<float>()) v *= static_cast<float>(s);
    CHECK(close(ddim(config, denoise, z, 400, 0), expected, 0.02) == "");
  }
}

TEST_CASE("diffusion: schedules") {
  for (const double t : {0.0, 0.3, 1.0}) {
    const auto [a, s] = alpha_sigma(NoiseSchedule::cosine, t);
    CHECK(std::abs(a * a + s * s - 1) < 1e-12);
  }
  // Stable Diffusion's products of (1 - beta), at steps 0, 1, 500, 981, 999
  const std::vector<std::pair<int, double>> known{
      {0, 0.99915}, {1, 0.99829603}, {500, 0.27633268}, {981, 0.0057755}, {999, 0.0046601}};
  for (const auto& [step, product] : known) {
    const double a = alpha_sigma(NoiseSchedule::scaled_linear, (step + 0.5) / 1000).alpha;
    CHECK(std::abs(a * a - product) < 1e-7);
  }
}

TEST_CASE("diffusion: the noised image and its targets belong together") {
  const Tensor x = random({3, 4, 4, 3}, 1, DType::float32);
  for (const Prediction kind : {Prediction::sample, Prediction::epsilon, Prediction::v_prediction}) {
    DiffusionConfig config;
    config.prediction = kind;
    const Noised n = add_noise(config, x, 1, 5);
    for (int64_t b = 0; b < 3; ++b) {
      const auto [a, s] = alpha_sigma(config.schedule, n.t.at(b));
      for (int64_t i = b * 48; i < (b + 1) * 48; ++i) {
        const double xt = n.x_t.at(i), p = n.target.at(i);
        const double x0 = kind == Prediction::sample    ? p
                          : kind == Prediction::epsilon ? (xt - s * p) / a
                                                        : a * xt - s * p;
        CHECK(std::abs(x0 - x.at(i)) < 2e-4);
      }
    }
  }
}

TEST_CASE("diffusion: an image's noise depends on its seed alone") {
  const std::vector<uint64_t> two{11, 12}, one{12};
  CHECK(close(noise_for_seeds({2, 4, 4, 3}, two).rows(1, 2), noise_for_seeds({1, 4, 4, 3}, one), 0) == "");
}
