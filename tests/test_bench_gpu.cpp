// Protects `gmail bench gpu`: the counts behind its TFLOP/s, the clock and the memory counter that it reads,
// the form of its results, and what scripts/compare_pytorch.py starts from. The models are tiny and no time
// is judged; without a device only the counts and the refusal are tested.
#include "catch.h"

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "core/device_timer.h"
#include "desk.h"
#include "models/flops.h"

namespace gmail {
namespace {

ClipConfig vit(int64_t width, int64_t layers, int64_t patch, int64_t embedding) {
  ClipConfig c;
  c.projection_dim = embedding;
  c.vision = {width, 4 * width, layers, static_cast<int>(width / 64), Activation::quick_gelu, 1e-5};
  c.image_size = 224;
  c.patch_size = patch;
  return c;
}

bool no_device() { return !why_no_cuda().empty(); }

std::vector<nlohmann::json> lines_of(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

const std::string kTiny = "bench gpu --tiny --warmup 3 --rounds 2 --steps 2 ";

const std::set<std::string> kKeys{
    "name",      "cuda_graph",      "ms",           "median_ms",   "min_ms", "warmup",        "steps",
    "cut_short", "items",           "unit",         "items_per_s", "tflop",  "tflop_skipped", "note",
    "tflops",    "share_of_matmul", "gbytes_per_s", "peak_mib"};

}  // namespace

// f_r forward and f_g forward and backward of 256 images each, in TFLOP; backward without 2.2, 8.6, 39.8 of
// frozen weights, and for the lowest block's q, k, v
TEST_CASE("flops: a step of alignment") {
  const auto tera = [](double flop) { return flop * 1e-12; };
  const AlignFlops b32 = align_flops(vit(768, 12, 32, 512), 256, 4),
                   b16 = align_flops(vit(768, 12, 16, 512), 256, 4),
                   l14 = align_flops(vit(1024, 24, 14, 768), 256, 4);
  CHECK(tera(b32.done) == Approx(6.71).margin(0.01));
  CHECK(tera(b16.done) == Approx(27.2).margin(0.1));
  CHECK(tera(l14.done) == Approx(126.1).margin(0.2));
  CHECK(tera(b32.skipped) == Approx(2.174 + 0.059 + 0.045).margin(0.002));
  // nothing is lost: with what was skipped, and without LoRA and logits, it is a forward and a whole step
  const double lora = 3 * 12 * 4 * 2 * (2.0 * 256 * 50 * 768 * 4) - 3 * 2.0 * 256 * 50 * 768 * 4;
  const Flops tower = image_tower_flops(vit(768, 12, 32, 512), 256);
  CHECK(b32.done + b32.skipped ==
        Approx(tower.forward + tower.step() + lora + 2 * 2.0 * 256 * 256 * 512).epsilon(1e-9));
}

TEST_CASE("flops: a captioner's step") {
  ClipCapConfig c;
  c.clip_dim = 512;
  c.gpt = {.vocab_size = 50257, .n_positions = 1024, .n_embd = 768, .n_layer = 12, .n_head = 12};
  const double blocks = 40 * 50 * 2 * 12.0 * 768 * 768 * 12, attention = 40 * 50 * 4 * 50 * 768.0 * 12;
  const double head = 40 * 41 * 2.0 * 768 * 50257;
  const double mapper_in = 40 * 2.0 * 512 * 3840, mapper_out = 40 * 2.0 * 3840 * 7680;
  const Flops flops = clipcap_flops(c, 40, 40);
  CHECK(flops.forward == Approx(blocks + attention + head + mapper_in + mapper_out));
  CHECK(flops.backward == Approx(2 * (blocks + attention + head + mapper_out) + mapper_in));
}

TEST_CASE("bench gpu: without a device it says what is missing") {
  const test::Desk desk;
  desk.refused("bench gpu --device cpu", {"--precision"});
  desk.refused("bench gpu --device cpu --precision fp32", {"needs a CUDA device"});
  if (!no_device()) return;
  desk.refused("bench gpu", {"--device cuda", why_no_cuda()});
  CHECK_THROWS(DeviceTimer(Context()));
}

TEST_CASE("device timer: it measures what lies between start and stop, and the peak of memory") {
  if (no_device()) return;
  const Context ctx = make_cuda_context(DType::float32);
  DeviceTimer timer(ctx);
  CHECK_THROWS_WITH(timer.stop(), Contains("before it was started"));
  timer.start();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(timer.stop() >= 15);
  constexpr size_t kBytes = size_t{3} << 20U;
  begin_memory_peak(ctx);
  const size_t before = memory_peak();
  { const Tensor t = Tensor::empty({int64_t{kBytes} / 4}, DType::float32, Device::cuda); }
  CHECK(memory_peak() == before + kBytes);
  { const Tensor t = ctx.empty({int64_t{kBytes} / 4}, DType::float32); }  // the arena keeps it
  begin_memory_peak(ctx);
  CHECK(memory_peak() == before);
}

TEST_CASE("bench gpu: a JSON object for each workload, plain and recorded", "[device][heavy]") {
  if (no_device()) return;
  const test::Desk desk;
  const auto lines = lines_of(desk.ok(kTiny + "--cuda-graph --json --out out.json"));
  std::vector<std::string> names;
  for (const auto& line : lines) {
    CAPTURE(line.dump());
    std::set<std::string> found;
    for (const auto& [key, value] : line.items()) found.insert(key);
    CHECK(found == kKeys);
    names.push_back(line["name"].get<std::string>() + (line["cuda_graph"].get<bool>() ? "!" : ""));
    CHECK(line["ms"].size() == 2);
    CHECK(line["steps"] == 2);
    CHECK(line["warmup"] == 3);
    const double ms = line["median_ms"];
    CHECK((std::isfinite(ms) && ms > 0));
    CHECK(line["tflops"].get<double>() == Approx(line["tflop"].get<double>() / ms * 1e3));
    CHECK(line["items_per_s"].get<double>() == Approx(line["items"].get<double>() / ms * 1e3));
    CHECK(line["share_of_matmul"].get<double>() ==
          Approx(line["tflops"].get<double>() / lines[0]["tflops"].get<double>()));
    CHECK((line["name"] == "copy" ? line["gbytes_per_s"] : line["tflop"]).get<double>() > 0);
    CHECK(line["peak_mib"].get<double>() > 0);
  }
  CHECK(names == std::vector<std::string>{"matmul 40",
                                          "copy",
                                          "align-b32 x 3",
                                          "align-b32 x 3!",
                                          "align-b16 x 3",
                                          "align-b16 x 3!",
                                          "align-l14 x 3",
                                          "align-l14 x 3!",
                                          "encode-b32 x 1",
                                          "encode-b32 x 1!",
                                          "encode-b32 x 2",
                                          "encode-b32 x 2!",
                                          "encode-b16 x 1",
                                          "encode-b16 x 1!",
                                          "encode-b16 x 2",
                                          "encode-b16 x 2!",
                                          "encode-l14 x 1",
                                          "encode-l14 x 1!",
                                          "encode-l14 x 2",
                                          "encode-l14 x 2!",
                                          "captioner-step x 2",
                                          "captioner-step x 2!",
                                          "captioner-decode x 1",
                                          "captioner-decode x 2",
                                          "sampling x 1",
                                          "sampling x 2"});
  CHECK(lines[1]["gbytes_per_s"].get<double>() ==
        Approx(2 * 65536 / lines[1]["median_ms"].get<double>() * 1e-6));
  const nlohmann::json out = desk.json("out.json");
  CHECK(out["precision"] == "bf16");
  CHECK(out["tiny"] == true);
  CHECK(out["matmul_tflops"] == lines[0]["tflops"]);
  CHECK(out["workloads"] == nlohmann::json(lines));
}

TEST_CASE("bench gpu: its options", "[device]") {
  if (no_device()) return;
  const test::Desk desk;
  const std::string table = desk.ok(kTiny + "--workload align-b16 --batch 2 --seconds 1e-9 --precision fp32");
  CHECK(table.find("align-b16 x 2") != std::string::npos);
  CHECK(table.find("fp32") != std::string::npos);
  CHECK(table.find("2 x 1, cut short by --seconds") != std::string::npos);
  desk.refused(kTiny + "--workload align-b64", {"--workload", "align-b16", "align-b64"});
  desk.refused(kTiny + "--workload sampling --state x", {"--state", "align-"});
  desk.refused(kTiny + "--rounds 0", {"--rounds"});
  if (!why_not_cuda_by_default().empty()) desk.refused("bench gpu", {"emulator", "--tiny"});
}

TEST_CASE("bench gpu: the state holds what compare_pytorch.py starts from", "[device]") {
  if (no_device()) return;
  const test::Desk desk;
  desk.ok(kTiny + "--workload align-b32 --batch 4 --precision fp32 --state s.safetensors");
  const SafetensorsFile state(desk.dir / "s.safetensors");
  CHECK(state.shape("bench.x_r") == Shape{4, 16, 16, 3});
  CHECK(state.shape("vision_model.encoder.layers.1.mlp.fc1.weight") == Shape{32, 16});
  CHECK(state.shape("vision_model.encoder.layers.0.self_attn.out_proj.lora_A.weight") == Shape{4, 16});
  CHECK(state.shape("projection_generated.weight") == Shape{12, 16});
  CHECK(nlohmann::json::parse(state.metadata().at("config"))["vision_config"]["patch_size"] == 8);
  for (const char* key : {"tau", "lora_scale", "lr", "weight_decay", "beta1", "beta2", "eps", "decay"})
    CHECK(state.metadata().contains(key));
  // eq. (1) from the embeddings is the first loss
  const Tensor z_g = state.read("bench.z_g"), z_r = state.read("bench.z_r"),
               losses = state.read("bench.losses");
  const auto dot = [](const Tensor& a, int64_t i, const Tensor& b, int64_t j) {
    double sum = 0;
    for (int64_t e = 0; e < 12; ++e) sum += a.at(i * 12 + e) * b.at(j * 12 + e);
    return sum;
  };
  double loss = 0;
  for (int64_t i = 0; i < 4; ++i) {
    double sum = 0, own = 0;
    for (int64_t j = 0; j < 4; ++j) {
      const double logit = dot(z_g, i, z_r, j) / std::sqrt(dot(z_g, i, z_g, i) * dot(z_r, j, z_r, j)) / 0.07;
      sum += std::exp(logit);
      if (i == j) own = logit;
    }
    loss += (std::log(sum) - own) / 4;
  }
  CHECK(losses.at(0) == Approx(loss).epsilon(1e-4));
  REQUIRE(losses.numel() == 5);
  CHECK(losses.at(4) < losses.at(0));
}

}  // namespace gmail
