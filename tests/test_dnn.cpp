// Protects the graphs that cuDNN runs: on the emulated device they compute conv2d and attention, for every
// mask, and our own kernels step in where a graph is refused; with cuDNN (and without a GPU) each has an
// engine on an H200.
#include "catch.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

#if GMAIL_EMULATED

#include "autograd/functions.h"
#include "core/cuda_options.h"
#include "dnn_ops.h"
#include "dnn_twin.h"

namespace dnn = gmail::cuda::dnn;

namespace {

// cuDNN's engines, and the kinds of graphs that were prepared: "conv2d forward", ..
struct ByCudnn {
  std::map<std::string, int> seen;
  std::string refused;  // graphs whose name begins so
  ByCudnn() {
    cuda_options().conv = ConvEngine::cudnn;
    cuda_options().attention = AttentionEngine::cudnn;
    dnn::set_judge([this](const dnn::Graph& g) {
      if (!refused.empty() && g.name.starts_with(refused)) return std::string("refused by the test");
      for (const char* kind :
           {"conv2d forward with bias", "conv2d forward bf", "conv2d forward fl", "conv2d input gradient",
            "conv2d weight gradient", "attention forward", "attention backward"})
        if (g.name.starts_with(kind)) ++seen[kind];
      return std::string();
    });
  }
  ~ByCudnn() {
    cuda_options() = CudaOptions();
    dnn::set_judge(nullptr);
  }
};

Function conv(int stride, int pad) {
  return [=](Tape& tape, const std::vector<Var>& v) { return conv2d(tape, v[0], v[1], v[2], stride, pad); };
}

Function attend(int heads, bool causal, const Tensor& keys = Tensor()) {
  return [=](Tape& tape, const std::vector<Var>& v) {
    return attention(tape, v[0], v[1], v[2], heads, {causal, keys});
  };
}

void check_convolutions() {
  CHECK_GRAD(conv(1, 1), {random({2, 4, 5, 3}, 1), random({4, 3, 3, 3}, 2), random({4}, 3)});
  CHECK_GRAD(conv(2, 1), {random({1, 5, 6, 2}, 1), random({3, 2, 3, 3}, 2), random({3}, 3)});
  CHECK_GRAD(conv(3, 1), {random({1, 5, 5, 2}, 1), random({2, 2, 2, 3}, 2), Tensor()});
  CHECK_GRAD(conv(1, 0), {random({2, 3, 3, 4}, 1), random({5, 4, 1, 1}, 2), random({5}, 3)});
}

}  // namespace

TEST_CASE("dnn: convolutions by cuDNN's graphs") {
  ByCudnn cudnn;
  check_convolutions();
  CHECK(cudnn.seen["conv2d forward with bias"] > 0);
  CHECK(cudnn.seen["conv2d forward bf"] > 0);
  CHECK(cudnn.seen["conv2d input gradient"] > 0);
  CHECK(cudnn.seen["conv2d weight gradient"] > 0);
}

TEST_CASE("dnn: convolutions when cuDNN lacks a graph") {
  ByCudnn cudnn;
  cudnn.refused = "conv2d forward with bias";
  check_convolutions();
  CHECK(cudnn.seen["conv2d forward fl"] > 0);
  cudnn.refused = "conv2d";
  cudnn.seen.clear();
  check_convolutions();
  CHECK(cudnn.seen.empty());
  CHECK_THAT(cuda::cudnn_fallbacks().at("conv2d forward float32 x (2,4,5,3) w (4,3,3,3) stride 1 pad 1"),
             Contains("refused by the test"));
}

namespace {

const Context& device() {
  static const Context ctx{Device::cuda, cuda::make_stream(), DType::float32, nullptr};
  return ctx;
}

// what y = conv2d(x, w) on the device differs from the CPU's in double
std::string difference(const Tensor& y, const Tensor& x, const Tensor& w) {
  const Context cpu;
  Tape tape(cpu, false);
  const auto exact = [](const Tensor& t) { return Var(t.to(Device::cpu).to(DType::float64)); };
  const Var expected = conv2d(tape, exact(x), exact(w), Var(), 1, 1);
  return close(y.to(Device::cpu).to(DType::float64), expected.value,
               y.dtype() == DType::float32 ? 1e-5 : 2e-2);
}

}  // namespace

TEST_CASE("dnn: a constant kernel is rearranged once, and anew for another type") {
  ByCudnn cudnn;
  Tape tape(device(), false);
  Tensor w = random({4, 3, 3, 3}, 2, DType::float32).to(Device::cuda);
  const Tensor same = w.clone();
  w.storage().constant = true;
  for (const DType type : {DType::float32, DType::bfloat16, DType::float32}) {
    const Tensor x = random({2, 4, 5, 3}, 1, type).to(Device::cuda);
    CHECK(difference(conv2d(tape, Var(x), Var(w), Var(), 1, 1).value, x, same) == "");
    if (type == DType::bfloat16) w.fill(0);  // a promise broken to see that the copy is used
  }
}

TEST_CASE("dnn: a tensor that is not aligned to 16 bytes is our kernel's") {
  ByCudnn cudnn;
  Tape tape(device(), false);
  const Tensor x = random({3, 3, 3, 1}, 1, DType::float32).to(Device::cuda).rows(1, 3),
               w = random({2, 1, 3, 3}, 2, DType::float32).to(Device::cuda);
  CHECK(difference(conv2d(tape, Var(x), Var(w), Var(), 1, 1).value, x, w) == "");
  CHECK(cudnn.seen.empty());
}

TEST_CASE("dnn: attention by cuDNN's graphs, every mask") {
  ByCudnn cudnn;
  const Tensor keys = Tensor::from(std::vector<int32_t>{1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0}, {3, 4});
  for (const bool causal : {false, true}) {
    CHECK_GRAD(attend(2, causal), {random({2, 5, 16}, 1), random({2, 5, 16}, 2), random({2, 5, 16}, 3)});
    CHECK_GRAD(attend(1, causal), {random({1, 3, 8}, 1), random({1, 7, 8}, 2), random({1, 7, 8}, 3)});
    CHECK_GRAD(attend(2, causal, keys),
               {random({3, 4, 16}, 1), random({3, 4, 16}, 2), random({3, 4, 16}, 3)});
  }
  CHECK_GRAD(attend(1, true), {random({1, 6, 8}, 1), random({1, 3, 8}, 2), random({1, 3, 8}, 3)});
  const Function same = [](Tape& tape, const std::vector<Var>& v) {
    return attention(tape, v[0], v[0], v[0], 1, {true, {}});
  };
  CHECK_GRAD(same, {random({1, 7, 8}, 1)});
  CHECK(cudnn.seen["attention forward"] > 0);
  CHECK(cudnn.seen["attention backward"] > 0);
  CHECK_THAT(cuda::cudnn_fallbacks().at("attention forward B 1 heads 1 Tq 7 Tk 7 D 8 causal"),
             Contains("cuDNN's attention is for bfloat16"));
}

TEST_CASE("dnn: attention when cuDNN lacks a graph") {
  ByCudnn cudnn;
  cudnn.refused = "attention backward";
  const Tensor keys = Tensor::from(std::vector<int32_t>{1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0}, {3, 4});
  CHECK_GRAD(attend(2, false, keys), {random({3, 4, 16}, 1), random({3, 4, 16}, 2), random({3, 4, 16}, 3)});
  CHECK(cudnn.seen["attention forward"] > 0);
  cudnn.refused = "attention forward";
  CHECK_GRAD(attend(2, false, keys), {random({3, 4, 16}, 1), random({3, 4, 16}, 2), random({3, 4, 16}, 3)});
  CHECK(cudnn.seen["attention backward"] > 0);
  cudnn.seen.clear();
  CHECK_GRAD(attend(2, true),
             {random({1, 4, 6}, 1), random({1, 4, 6}, 2), random({1, 4, 6}, 3)});  // heads of 3
  CHECK(cudnn.seen.empty());
}

#elif GMAIL_CUDNN  // the CUDA build

#include <dlfcn.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "dnn_graphs.h"
#include "models/unet.h"

namespace dnn = gmail::cuda::dnn;

namespace {

// An H200 in cuDNN's JSON, from the CUDA programming guide's table of compute capability 9.0 and the data
// sheet.
const std::string kH200 = R"({"schemaVersion": 1, "deviceName": "NVIDIA H200", "deviceVer": 900,
  "driverVer": 13000, "cudaDeviceId": 0, "pciDeviceId": 0, "isTccDriver": 0, "supportCoopLaunch": 1,
  "multiProcessorCount": 132, "warpSize": 32, "regsPerBlock": 65536, "maxRegistersPerSM": 65536,
  "maxCtasPerSM": 32, "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048,
  "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64],
  "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448,
  "reservedSharedMemoryPerBlock": 1024, "totalGlobalMem": 150754820096, "smClockRateKHz": 1980000,
  "memClockRateKHz": 3201000, "l2CacheSize": 62914560})";

// Engines that cuDNN compiles ask for the driver's library; the toolkit's stub of it is enough to be
// proposed.
bool can_search() {
  if (dlopen("libcuda.so.1", RTLD_NOW) != nullptr) return true;
  if (dlopen(GMAIL_CUDA_STUB, RTLD_NOW | RTLD_GLOBAL) != nullptr) return true;
  WARN("skipped: neither the driver's libcuda.so.1 nor the toolkit's stub " << GMAIL_CUDA_STUB);
  return false;
}

size_t count(const dnn::Graph& g) { return dnn::engines(g, kH200).size(); }

dnn::Conv conv(int64_t B, int64_t H, int64_t I, int64_t O, int64_t k, int64_t stride, DType type) {
  const int64_t pad = k == 3 ? 1 : 0, out = (H + 2 * pad - k) / stride + 1;
  return {{B, H, H, I}, {O, I, k, k}, {B, out, out, O}, stride, pad, type, false};
}

void check_conv(const dnn::Conv& c) {
  INFO(c.key(""));
  CHECK(count(dnn::forward(c, dnn::Bias::fused)) > 0);
  CHECK(count(dnn::input_gradient(c)) > 0);
  CHECK(count(dnn::weight_gradient(c)) > 0);
}

void check_attention(const dnn::Attention& a) {
  INFO(a.key(""));
  CHECK(count(dnn::forward(a)) > 0);
  CHECK(count(dnn::backward(a)) > 0);
}

// The convolution of a parameter of the U-Net, from its place there.
dnn::Conv unet_conv(const UnetConfig& c, const std::string& name, const Shape& w, DType type) {
  const auto has = [&](const char* part) { return name.find(part) != std::string::npos; };
  const auto n = static_cast<int64_t>(c.block_out_channels.size());
  int64_t level = has("mid_block") ? n - 1 : 0;
  if (has("down_blocks.")) level = std::stoll(name.substr(12));
  if (has("up_blocks.")) level = n - 1 - std::stoll(name.substr(10)) - (has("upsamplers") ? 1 : 0);
  const int64_t size = (c.sample_size / c.pixel_unshuffle) >> level;
  return conv(64, size, w[1], w[0], w[2], has("downsamplers") ? 2 : 1, type);
}

}  // namespace

TEST_CASE("dnn: the generator's convolutions have engines on an H200") {
  if (!can_search()) return;
  const std::string file = GMAIL_SOURCE_DIR "/data/tabletop/generator/unet/config.json";
  const UnetConfig config = UnetConfig::from_json(nlohmann::json::parse(std::ifstream(file)), file);
  Unet unet(config);
  std::map<std::string, dnn::Conv> convolutions;  // each once
  for (const Param* p : unet.params())
    for (const DType type : {DType::float32, DType::bfloat16})
      if (p->value.rank() == 4) {
        const dnn::Conv c = unet_conv(config, p->name, p->value.shape(), type);
        convolutions.emplace(c.key(""), c);
      }
  CHECK(convolutions.size() > 20);
  for (const auto& [key, c] : convolutions) check_conv(c);
}

TEST_CASE("dnn: Stable Diffusion's convolutions have engines on an H200") {
  if (!can_search()) return;
  for (const DType type : {DType::float32, DType::bfloat16})
    for (const auto& [H, I, O, k, stride] : std::vector<std::array<int64_t, 5> >{{64, 4, 320, 3, 1},
                                                                                 {64, 320, 320, 3, 1},
                                                                                 {64, 320, 320, 3, 2},
                                                                                 {32, 320, 640, 3, 1},
                                                                                 {32, 320, 640, 1, 1},
                                                                                 {32, 640, 640, 3, 1},
                                                                                 {16, 640, 1280, 3, 1},
                                                                                 {16, 1280, 1280, 3, 1},
                                                                                 {8, 1280, 1280, 3, 1},
                                                                                 {8, 2560, 1280, 3, 1},
                                                                                 {16, 1920, 1280, 3, 1},
                                                                                 {32, 1920, 640, 3, 1},
                                                                                 {32, 960, 640, 3, 1},
                                                                                 {64, 960, 320, 3, 1},
                                                                                 {64, 640, 320, 3, 1},
                                                                                 {64, 320, 4, 3, 1}})
      check_conv(conv(8, H, I, O, k, stride, type));
}

TEST_CASE("dnn: attention of the towers, the captioner and the generator has engines on an H200") {
  if (!can_search()) return;
  using dnn::Sees;
  for (const int64_t S : {50, 197, 257}) check_attention({256, S == 257 ? 16 : 12, S, S, 64, Sees::all});
  for (const int64_t heads : {8, 12}) check_attention({256, heads, 77, 77, 64, Sees::causal});
  check_attention({40, 12, 50, 50, 64, Sees::causal});  // the captioner, without and with a key mask
  check_attention({40, 12, 77, 77, 64, Sees::causal});
  check_attention({40, 12, 77, 77, 64, Sees::bias});
  check_attention({320, 12, 1, 60, 64, Sees::bias});  // its decoding
  check_attention({64, 3, 64, 64, 24, Sees::all});    // the built-in world's generator
  check_attention({64, 3, 64, 32, 24, Sees::bias});
  check_attention({64, 4, 17, 17, 32, Sees::all});  // and its towers
  check_attention({64, 4, 32, 32, 32, Sees::causal});
  check_attention({8, 5, 4096, 4096, 64, Sees::all});  // Stable Diffusion
  check_attention({8, 20, 64, 77, 64, Sees::bias});
}

TEST_CASE("dnn: what has no engine on an H200, and is done otherwise") {
  if (!can_search()) return;
  // Patch embedding: where cuDNN (9.19) does not add the bias, a kernel of ours does.
  for (const int64_t k : {16, 32})
    CHECK(count(dnn::forward(conv(256, 224, 3, 768, k, k, DType::bfloat16), dnn::Bias::none)) > 0);
  CHECK(count(dnn::forward(dnn::Attention{2, 2, 5, 5, 12, dnn::Sees::all})) ==
        0);  // heads of 12: our attention
  CHECK(count(dnn::backward(dnn::Attention{2, 2, 5, 5, 512, dnn::Sees::all})) == 0);
}

TEST_CASE("dnn: cuDNN compiles a graph of each kind") {
  if (!can_search()) return;
  const dnn::Attention a{40, 12, 77, 77, 64, dnn::Sees::bias}, causal{256, 8, 77, 77, 64, dnn::Sees::causal};
  for (const dnn::Graph& g : {dnn::forward(a), dnn::backward(a), dnn::forward(causal), dnn::backward(causal),
                              dnn::forward(conv(64, 16, 48, 48, 3, 1, DType::bfloat16), dnn::Bias::fused)}) {
    INFO(g.name);
    const std::string status = dnn::compile(g, kH200);
    CHECK((status == "CUDNN_STATUS_SUCCESS" || status == "CUDNN_STATUS_EXECUTION_FAILED_CUDA_DRIVER"));
  }
}

#else

TEST_CASE("dnn: engines on an H200") {
  WARN("skipped: this build has no cuDNN (GMAIL_CUDA=ON builds with it)");
}

#endif
