// Protects the counts behind `gmail bench`'s GFLOP/s (against published figures and counts by hand), what
// scripts/compare_pytorch.py reads of C3, and the form of the results. Nothing here looks at a time.
#include "catch.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "desk.h"
#include "io/safetensors.h"
#include "models/flops.h"
#include "temporary.h"

namespace gmail {
namespace {

ClipConfig clip_config(int64_t width, int64_t layers, int64_t image, int64_t patch, int64_t text_width,
                       int64_t embedding) {
  ClipConfig c;
  c.projection_dim = embedding;
  c.vision = {width, 4 * width, layers, 12, Activation::quick_gelu, 1e-5};
  c.text = {text_width, 4 * text_width, 12, 8, Activation::quick_gelu, 1e-5};
  c.image_size = image;
  c.patch_size = patch;
  return c;
}

// as a table prints it: x GFLOP to `digits` decimals
std::string giga(double flop, int digits) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f", digits, flop * 1e-9);
  return text.data();
}

}  // namespace

// open_clip's docs/model_profile.csv (8.82, 35.13, 162.03 GFLOP an image; 5.96, 13.30 a text); backward
// without the gradient of the pixels
TEST_CASE("flops: CLIP's towers") {
  const ClipConfig b32 = clip_config(768, 12, 224, 32, 512, 512),
                   b16 = clip_config(768, 12, 224, 16, 512, 512),
                   l14 = clip_config(1024, 24, 224, 14, 768, 768);
  CHECK(giga(image_tower_flops(b32, 1).forward, 2) == "8.82");
  CHECK(giga(image_tower_flops(b32, 1).step(), 1) == "26.2");
  CHECK(giga(image_tower_flops(b16, 1).forward, 2) == "35.13");
  CHECK(giga(image_tower_flops(b16, 1).step(), 1) == "105.1");
  CHECK(giga(image_tower_flops(l14, 1).forward, 2) == "162.03");
  CHECK(giga(image_tower_flops(l14, 1).step(), 1) == "485.8");
  CHECK(giga(text_tower_flops(b32, 1, 77).forward, 2) == "5.96");
  CHECK(giga(text_tower_flops(b32, 1, 77).step(), 1) == "17.9");
  CHECK(giga(text_tower_flops(l14, 1, 77).forward, 2) == "13.30");
  CHECK(giga(text_tower_flops(l14, 1, 77).step(), 1) == "39.9");
  CHECK(image_tower_flops(b32, 32).forward == Approx(32 * image_tower_flops(b32, 1).forward));
}

TEST_CASE("flops: GPT-2 small") {
  const Gpt2Config c{.vocab_size = 50257, .n_positions = 1024, .n_embd = 768, .n_layer = 12, .n_head = 12};
  const double blocks = 169.87e6, head = 77.19e6;  // a token
  CHECK(gpt2_flops(c, 1, 1, 0) == Approx(blocks + head + 4.0 * 768 * 12).epsilon(1e-4));
  CHECK(gpt2_flops(c, 5, 1, 9) == Approx(5 * (blocks + head + 4.0 * 10 * 768 * 12)).epsilon(1e-4));
  CHECK(gpt2_flops(c, 1, 10, 0) == Approx(10 * (blocks + 4.0 * 10 * 768 * 12) + head).epsilon(1e-4));
}

TEST_CASE("flops: a small U-Net, counted by hand") {
  UnetConfig c;
  c.sample_size = 8;
  c.in_channels = c.out_channels = 3;
  c.pixel_unshuffle = 2;  // 4 x 4 pixels of 12 channels
  c.cross_attention_dim = 6;
  c.block_out_channels = {4, 8};
  c.attention_head_dim = {1, 1};
  c.down_attention = {false, true};
  c.norm_num_groups = 2;
  const Unet unet(c);
  const auto conv = [](double pixels, double in, double out) { return 2 * 9 * pixels * in * out; };
  const auto resnet = [&](double pixels, double in, double out) {
    const double shortcut = in == out ? 0 : 2 * pixels * in * out;
    return conv(pixels, in, out) + conv(pixels, out, out) + 2 * 16 * out + shortcut;
  };
  // 4 pixels, 5 tokens, 8 channels: proj_in and _out, q k v out, q out: 8 C^2; ff 12 C^2; attention over
  // 4 and 5 keys
  const double context = 2 * (2 * 5 * 6 * 8);
  const double transformer = 2 * 4 * 20 * 64 + 4 * 4 * 4 * 8 + 4 * 4 * 5 * 8 + context;
  const double time = 2 * (4 * 16 + 16 * 16);
  const double down = resnet(16, 4, 4) + conv(4, 4, 4) + resnet(4, 4, 8) + transformer;
  const double middle = 2 * resnet(4, 8, 8) + transformer;
  const double up = resnet(4, 16, 8) + resnet(4, 12, 8) + 2 * transformer + conv(16, 8, 8) +
                    resnet(16, 12, 4) + resnet(16, 8, 4);
  const double forward = time + conv(16, 12, 4) + down + middle + up + conv(16, 4, 12);
  CHECK(unet_flops(unet, 3, 5).forward == Approx(3 * forward));
  // no gradient of the pixels, the time, or the text
  const double constant = conv(16, 12, 4) + 2 * 4 * 16 + 4 * context;
  CHECK(unet_flops(unet, 3, 5).backward == Approx(3 * (2 * forward - constant)));
}

TEST_CASE("bench: C3's state holds what compare_pytorch.py starts from, and its losses fall", "[heavy]") {
  const test::TemporaryDir folder;
  const auto file = folder / "state.safetensors";
  test::Desk().ok("bench cpu --workload C3 --state " + file.string());
  const SafetensorsFile state(file);
  CHECK(state.shape("bench.images") == Shape{32, 32, 32, 3});
  CHECK(state.read("bench.labels").dtype() == DType::int32);
  CHECK(state.shape("vision_model.embeddings.position_embedding.weight") == Shape{65, 192});
  CHECK(state.shape("vision_model.encoder.layers.5.mlp.fc1.weight") == Shape{768, 192});
  CHECK(state.shape("visual_projection.weight") == Shape{10, 192});
  for (const char* key : {"lr", "weight_decay", "beta1", "beta2", "eps", "decay"})
    CHECK(state.metadata().contains(key));
  const Tensor losses = state.read("bench.losses");
  REQUIRE(losses.numel() == 5);
  CHECK(losses.at(4) < losses.at(0));
}

TEST_CASE("bench: a JSON object for each workload", "[heavy]") {
  const auto line = test::Desk().ok("bench cpu --workload C3 --warmup 0 --repeats 2 --threads 1 --json");
  const auto json = nlohmann::json::parse(line);
  std::set<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.insert(key);
  CHECK(keys == std::set<std::string>{"name", "ms", "median_ms", "min_ms", "cpu_ms", "items", "unit",
                                      "items_per_s", "gflop", "gflops", "fma_peak_gflops", "share_of_peak",
                                      "best_share_of_peak", "steal", "threads", "warmup"});
  CHECK(json["name"] == "C3");
  CHECK(json["ms"].size() == 2);
  CHECK(json["threads"] == 1);
  CHECK(json["items"] == 32);
  CHECK(json["gflop"].get<double>() == Approx(35.07).margin(0.05));
  const double ms = json["median_ms"];
  CHECK(json["gflops"].get<double>() == Approx(json["gflop"].get<double>() / ms * 1e3));
  CHECK(json["share_of_peak"].get<double>() ==
        Approx(json["gflops"].get<double>() / json["fma_peak_gflops"].get<double>()));
}

}  // namespace gmail
