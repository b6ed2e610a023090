// Protects what is recorded: drawing, decoding and training with CUDA graphs give the bits of the plain run,
// a step of them allocates nothing, and the host waits for the logits of a decoding step alone. For the
// device alone.
#include "catch.h"

#if GMAIL_CUDA
#include <cstring>
#include <nlohmann/json.hpp>

#include "data/tabletop.h"
#include "devices.h"
#include "gmail/downstream.h"
#include "gmail/generator.h"
#include "gmail/pretrain.h"
#include "gradcheck.h"
#include "io/files.h"
#include "models/caption_decoder.h"
#include "temporary.h"
#include "tiny.h"

#if GMAIL_EMULATED
#include "emulator.h"
#endif

using namespace gmail;
using namespace gmail::test;

namespace {

// How often a graph was launched since; a GPU does not say.
#if GMAIL_EMULATED
struct Launches {
  int64_t before = emulator::counts().graphs;
  void check(int64_t expected) const { CHECK(emulator::counts().graphs == before + expected); }
  void check_some() const { CHECK(emulator::counts().graphs > before); }
};
#else
struct Launches {
  void check(int64_t) const {}
  void check_some() const {}
};
#endif

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

Generator tiny_generator(Prediction prediction) {
  Generator g{Unet(tiny_unet()), {}};
  g.diffusion.prediction = prediction;
  for (Param* p : g.unet.params())
    if (p->value.rank() > 1) init_normal(*p, 0.15, 2);
  freeze(g.unet.params());
  return g;
}

ClipCap frozen_captioner() {
  ClipCap model = random_captioner();
  freeze(model.params());
  return model;
}

}  // namespace

TEST_CASE("recorded: images are those of the plain run and of the CPU", "[heavy]") {
  if (!has_device()) return;
  const Context& ctx = device_context();
  const std::vector<std::string> captions{"a red ball", "a large blue cube"},
      others{"a star", "a large red ball"};
  const std::vector<uint64_t> seeds{1, 2}, other_seeds{3, 4};
  for (const Prediction kind : {Prediction::sample, Prediction::v_prediction}) {
    ClipModel text = tiny_model();
    Generator g = tiny_generator(kind);
    SampleOptions o{.steps = 4, .guidance = 2, .clamp = 1, .batch = 2};
    const Tensor here = sample_images(Context(), g, text, captions, seeds, o);
    place(text.clip.params(), Device::cuda);
    place(g.unet.params(), Device::cuda);
    ImageSampler plain(ctx, g, text, o);
    const Tensor first = plain.draw(captions, seeds), second = plain.draw(others, other_seeds);
    o.cuda_graph = true;
    ImageSampler recorded(ctx, g, text, o);
    const Launches launches;
    CHECK(same_bits(recorded.draw(captions, seeds), first));
    launches.check(3);
    CHECK(same_bits(recorded.draw(others, other_seeds), second));
    CHECK(same_bits(recorded.draw(captions, seeds), first));
    CHECK(close(first, here, 1e-3) == "");
    CHECK(close(first, second, 0.1) != "");
  }
}

TEST_CASE("recorded: captions, greedy and by beam search, are those of the plain run", "[heavy]") {
  if (!has_device()) return;
  ClipCap model = frozen_captioner();
  const Tensor x = random({3, 12}, 1, DType::float32), y = random({3, 12}, 2, DType::float32);
  for (const DType precision : {DType::float32, DType::bfloat16}) {
    const Context ctx = make_cuda_context(precision);
    for (const int beams : {1, 3}) {
      INFO(name_of(precision) << ", beams " << beams);
      DecodeOptions o{.beams = beams, .min_length = 6, .max_length = 8};
      place(model.params(), Device::cpu);
      const auto here = model.decode(Context(), x, o);
      place(model.params(), Device::cuda);
      CaptionDecoder plain(ctx, model, o);
      o.cuda_graph = true;
      CaptionDecoder recorded(ctx, model, o);
      for (const Tensor& batch : {x, y, x}) {
        const auto a = plain.decode(batch), b = recorded.decode(batch);
        REQUIRE(a.size() == 3);
        for (size_t i = 0; i < 3; ++i) {
          CHECK(a[i].tokens == b[i].tokens);
          CHECK(a[i].logprob == b[i].logprob);
        }
        if (batch.raw() == x.raw() && precision == DType::float32)
          for (size_t i = 0; i < 3; ++i) CHECK(a[i].tokens == here[i].tokens);
      }
    }
  }
}

#if GMAIL_EMULATED
TEST_CASE("recorded: a decoding step waits for its logits and for nothing else") {
  ClipCap model = frozen_captioner();
  place(model.params(), Device::cuda);
  const Context ctx = make_cuda_context(DType::float32);
  for (const bool beams : {false, true})
    for (const bool record : {false, true}) {
      Tape tape(ctx, false);
      KvCache prefix;
      (void)model.gpt.hidden(tape, model.prefix(tape, Var(random({1, 12}, 1, DType::float32))), &prefix);
      Gpt2Steps steps(ctx, model.gpt, 2, prefix.length() + 9, beams, record);
      steps.begin(prefix, {0, 0});
      for (int32_t k = 0; k < 9; ++k) {
        const emulator::Counts before = emulator::counts();
        (void)steps.step({k, 9 - k}, {1, 0});
        const emulator::Counts& now = emulator::counts();
        INFO("beams " << beams << ", recorded " << record << ", step " << k);
        if (k < (beams && record ? 4 : 2)) continue;  // two graphs: each has its first two steps
        CHECK(now.allocations == before.allocations);
        CHECK(now.synchronisations == before.synchronisations + 1);
        CHECK(now.pageable_copies == before.pageable_copies + 1);
        CHECK(now.graphs == before.graphs + (record ? 1 : 0));
      }
    }
}

TEST_CASE("recorded: a denoising step neither allocates nor waits", "[heavy]") {
  const Context& ctx = device_context();
  ClipModel text = tiny_model();
  Generator g = tiny_generator(Prediction::sample);
  place(text.clip.params(), Device::cuda);
  place(g.unet.params(), Device::cuda);
  for (const bool record : {false, true}) {
    const auto spent = [&](int steps) {  // by a second drawing of so many steps
      ImageSampler sampler(ctx, g, text,
                           {.steps = steps, .guidance = 2, .clamp = 1, .batch = 1, .cuda_graph = record});
      const std::vector<std::string> captions{"a red ball"};
      (void)sampler.draw(captions, std::vector<uint64_t>{1});
      const emulator::Counts before = emulator::counts();
      (void)sampler.draw(captions, std::vector<uint64_t>{2});
      const emulator::Counts& now = emulator::counts();
      CHECK(now.allocations == before.allocations);
      return std::pair(now.synchronisations - before.synchronisations,
                       now.pageable_copies - before.pageable_copies);
    };
    CHECK(spent(3) == spent(6));
  }
}
#endif

TEST_CASE("recorded: pretraining, generator and text tuning end with the bits of a plain run", "[heavy]") {
  if (!has_device()) return;
  const Context& ctx = device_context();
  const TemporaryDir dir;
  write_tabletop(dir / "world", {.count = 12, .size = 16, .seed = 2}, {{"train", 12}});
  const auto check_same = [&](const std::string& kind, const std::function<void(const TrainOptions&)>& run) {
    TrainOptions o;
    o.quiet = true;
    o.steps = 8;  // captions of one length come back
    for (const bool graph : {false, true}) {
      o.cuda_graph = graph;
      o.out = dir / (kind + (graph ? "_recorded" : "_plain"));
      const Launches launches;
      run(o);
      if (graph)
        launches.check_some();
      else
        launches.check(0);
    }
    CHECK(read_text(dir / (kind + "_plain") / "checkpoint.safetensors") ==
          read_text(dir / (kind + "_recorded") / "checkpoint.safetensors"));
  };
  check_same("clip", [&](const TrainOptions& train) {
    PretrainOptions o;
    o.manifest = dir / "world" / "manifest.jsonl";
    o.model = tiny_clip();
    o.model.vocab_size = 0;
    o.model.max_position_embeddings = 32;
    o.vocab = 600;
    o.batch = 4;
    o.chunk = 3;
    o.train = train;
    pretrain(ctx, o);
  });
  check_same("generator", [&](const TrainOptions& train) {
    GeneratorOptions o;
    o.manifest = dir / "world" / "manifest.jsonl";
    o.unet = tiny_unet();
    o.batch = 2;
    o.text_dropout = 0.5;
    o.train = train;
    ClipModel text = tiny_model();
    place(text.clip.params(), Device::cuda);
    train_generator(ctx, text, o);
  });
  check_same("text", [&](const TrainOptions& train) {
    EmbeddedPairs data;
    for (int64_t i = 0; i < 8; ++i) data.captions.push_back(captions_of(make_scene({}, i)).front());
    data.embeddings = random({8, tiny_clip().projection_dim}, 1, DType::float32);
    TextTuningOptions o;
    o.batch = 4;
    o.train = train;
    finetune_text(ctx, dir / "clip_plain", data, o);
  });
}
#endif
