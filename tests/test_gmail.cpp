// Protects the method: f_g starts as f_r, eq. (1) against its literal formula, adapters survive saving,
// merging changes nothing, alignment closes a gap that it can close, arms differ in their embeddings alone,
// an image depends on its caption and seed and not on the batch.
#include "catch.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "autograd/functions.h"
#include "data/tabletop.h"
#include "eval/embedding_stats.h"
#include "gmail/align.h"
#include "gmail/arms.h"
#include "gmail/generator.h"
#include "gmail/pretrain.h"
#include "gradcheck.h"
#include "temporary.h"
#include "tiny.h"

using namespace gmail;
using namespace gmail::test;
namespace fs = std::filesystem;

namespace {

Tensor encode(GenClip& g, const Tensor& x) {
  const Context ctx;
  Tape tape(ctx, false);
  return g.encode_generated(tape, Var(x)).value.clone();
}

double literal_loss(const Tensor& g, const Tensor& r, double tau, const std::vector<int32_t>& group) {
  const int64_t B = g.size(0), E = g.size(1);
  const auto cosine = [&](int64_t i, int64_t j) {
    double dot = 0, gg = 0, rr = 0;
    for (int64_t e = 0; e < E; ++e) {
      const double a = g.at(i * E + e), b = r.at(j * E + e);
      dot += a * b, gg += a * a, rr += b * b;
    }
    return dot / std::sqrt(gg * rr);
  };
  double loss = 0;
  for (int64_t i = 0; i < B; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < B; ++j)
      if (i == j || group[static_cast<size_t>(i)] != group[static_cast<size_t>(j)])
        sum += std::exp(cosine(i, j) / tau);
    loss -= (cosine(i, i) / tau - std::log(sum)) / static_cast<double>(B);
  }
  return loss;
}

void add_noise_to(GenClip& g) {  // as if it had been trained
  uint64_t salt = 0;
  for (Param* p : g.trainable()) fill_normal(p->value, 0.2, 3, Purpose::test, 1, ++salt);
}

// 24 photos and the same scenes in the studio look, each named as generated from caption 0 of its photo
void write_pairs(const std::filesystem::path& dir) {
  TabletopOptions o{.count = 24, .size = 16, .seed = 4};
  write_tabletop(dir / "photo", o, {{"train", 24}});
  o.look = Look::studio;
  write_tabletop(dir / "studio", o, {{"train", 24}});
  const Manifest real = read_manifest(dir / "photo" / "manifest.jsonl");
  Manifest studio = read_manifest(dir / "studio" / "manifest.jsonl");
  for (int64_t i = 0; i < studio.size(); ++i) {
    Record& r = studio.records[static_cast<size_t>(i)];
    r.captions = {real[i].captions.front()};
    r.source = {true, real[i].id, 0, "studio", 1, 1.0, 1};
  }
  write_manifest(dir / "studio" / "generated.jsonl", studio.records);
}

// of these pairs
AlignOptions alignment_in(const std::filesystem::path& dir, int64_t batch, int64_t steps) {
  write_pairs(dir);
  AlignOptions o;
  o.manifest = dir / "studio" / "generated.jsonl";
  o.real_manifest = dir / "photo" / "manifest.jsonl";
  o.batch = batch;
  o.train.steps = steps;
  o.train.lr = 3e-3;
  o.train.quiet = true;
  return o;
}

}  // namespace

TEST_CASE("gmail: f_g starts as f_r and keeps sharing its weights") {
  ClipModel model = tiny_model();
  GenClip g = GenClip::start(model.clip.image, {}, false, 1);
  const Tensor x = random({3, 16, 16, 3}, 2, DType::float32);
  const Context ctx;
  Tape tape(ctx, false);
  CHECK(close(encode(g, x), model.clip.image.encode(tape, Var(x)).value, 0) == "");
  CHECK(g.f_g.layers[0].mlp.fc1.weight.value.raw() == model.clip.image.layers[0].mlp.fc1.weight.value.raw());
  CHECK(g.trainable().size() == 2 * 4 * 2 + 1);  // A and B of q, k, v, out in two blocks, and the projection
  CHECK_THROWS_AS(GenClip::start(model.clip.image, {.lora_targets = {"nothing"}}, false, 1), InputError);
}

TEST_CASE("gmail: eq. (1) is the literal formula, with and without masked duplicates") {
  const Tensor z_g = random({5, 7}, 1), z_r = random({5, 7}, 2);
  const Context ctx;
  Tape tape(ctx, false);
  const auto value = [&](bool symmetric, const Tensor& group) {
    return alignment_loss(tape, Var(z_g), Var(z_r), 0.07, symmetric, group).value.item();
  };
  const std::vector<int32_t> apart{0, 1, 2, 3, 4}, pairs{0, 1, 0, 2, 1};
  CHECK(value(false, Tensor()) == Approx(literal_loss(z_g, z_r, 0.07, apart)).epsilon(1e-10));
  CHECK(value(false, Tensor::from(pairs, {5})) == Approx(literal_loss(z_g, z_r, 0.07, pairs)).epsilon(1e-10));
  CHECK(
      value(true, Tensor()) ==
      Approx((literal_loss(z_g, z_r, 0.07, apart) + literal_loss(z_r, z_g, 0.07, apart)) / 2).epsilon(1e-10));
}

TEST_CASE("gmail: an adapter survives saving, and merging changes nothing") {
  const TemporaryDir dir;
  ClipModel model = tiny_model();
  const Tensor x = random({3, 16, 16, 3}, 2, DType::float32);
  for (const RealEncoder reading : {RealEncoder::frozen, RealEncoder::lora}) {
    GenClip g =
        GenClip::start(model.clip.image, {.lora_rank = 2, .lora_alpha = 6, .real_encoder = reading}, true, 1);
    add_noise_to(g);
    const Tensor before = encode(g, x);
    g.save(dir / "adapter", "base");
    GenClip loaded = GenClip::load(dir / "adapter", model.clip);
    CHECK(close(encode(loaded, x), before, 0) == "");
    const Context ctx;
    Tape tape(ctx, false);
    CHECK(close(loaded.encode_real(tape, model.clip.image, Var(x)).value,
                g.encode_real(tape, model.clip.image, Var(x)).value, 0) == "");
    loaded.merge();
    CHECK(close(encode(loaded, x), before, 1e-5) == "");
  }
}

TEST_CASE("gmail: alignment brings the pairs together, in both readings of the real encoder") {
  const TemporaryDir dir;
  ClipModel model = tiny_model();
  AlignOptions o = alignment_in(dir.path(), 12, 30);
  for (const RealEncoder reading : {RealEncoder::frozen, RealEncoder::lora}) {
    o.gen.real_encoder = reading;
    o.crop = reading == RealEncoder::lora;
    o.train.out = dir.path() / (reading == RealEncoder::lora ? "lora" : "frozen");
    const AlignReport report = align(Context(), model, o);
    CHECK(report.pairs == 24);
    // chance is log 12; an untrained tower puts all images close together, so the cosines say nothing here
    CHECK(report.train.loss < 0.8 * std::log(12.0));
    CHECK(report.cosine_after != report.cosine_before);
    CHECK(report.trainable_share > 0);
    CHECK(report.trainable_share < 0.5);
  }
}

TEST_CASE("gmail: kept embeddings of the real images change neither losses nor adapters") {
  const TemporaryDir dir;
  ClipModel model = tiny_model();
  AlignOptions o = alignment_in(dir.path(), 10, 4);
  const Tensor x = random({3, 16, 16, 3}, 2, DType::float32);
  std::vector<double> losses;
  std::vector<Tensor> tuned;
  for (const bool kept : {true, false}) {
    o.cache_real = kept;
    o.train.out = dir / (kept ? "kept" : "computed");
    losses.push_back(align(Context(), model, o).train.loss);
    GenClip g = GenClip::load(o.train.out, model.clip);
    tuned.push_back(encode(g, x));
  }
  CHECK(losses[0] == Approx(losses[1]).epsilon(1e-6));
  CHECK(close(tuned[0], tuned[1], 1e-5) == "");
}

namespace {

// Pairs, a model, and an f_g that is no longer f_r.
struct ArmWorld {
  TemporaryDir dir;
  ClipModel model = tiny_model();
  GenClip g = GenClip::start(model.clip.image, {}, false, 1);
  Manifest generated, real;
  ArmWorld() {
    write_pairs(dir.path());
    add_noise_to(g);
    generated = read_manifest(dir / "studio" / "generated.jsonl");
    real = read_manifest(dir / "photo" / "manifest.jsonl");
  }
};

}  // namespace

TEST_CASE("gmail: the arms see the same captions and differ in the embeddings") {
  ArmWorld w;
  const auto data = [&](Arm arm) { return arm_data(Context(), arm, w.model, w.g, w.generated, w.real, 1); };
  const EmbeddedPairs r = data(Arm::real), plain = data(Arm::generated), mixed = data(Arm::mixed),
                      aligned = data(Arm::gmail);
  for (const EmbeddedPairs* p : {&plain, &mixed, &aligned}) CHECK(p->captions == r.captions);
  CHECK(close(plain.embeddings, aligned.embeddings, 1e-3) != "");
  int64_t from_real = 0;
  for (int64_t i = 0; i < 24; ++i) {
    const bool is_real = close(mixed.embeddings.rows(i, i + 1), r.embeddings.rows(i, i + 1), 0).empty();
    const bool is_generated =
        close(mixed.embeddings.rows(i, i + 1), plain.embeddings.rows(i, i + 1), 0).empty();
    CHECK(is_real != is_generated);
    from_real += is_real ? 1 : 0;
  }
  CHECK(from_real > 4);
  CHECK(from_real < 20);
}

TEST_CASE("gmail: features are computed once; a cache of another encoder or of changed images is refused") {
  ArmWorld w;
  const FeatureOptions cache{.cache = w.dir / "features"};
  for (int pass = 0; pass < 2; ++pass)  // makes the cache, then reads it
    for (const Arm arm : kArms) {
      const EmbeddedPairs plain = arm_data(Context(), arm, w.model, w.g, w.generated, w.real, 1),
                          kept = arm_data(Context(), arm, w.model, w.g, w.generated, w.real, 1, cache);
      CHECK(kept.captions == plain.captions);
      CHECK(close(kept.embeddings, plain.embeddings, 0) == "");
    }
  CHECK(std::distance(fs::directory_iterator(cache.cache), {}) == 3);  // f_r(x_r), f_r(x_g), f_g(x_g)
  const auto refused = [&](const ImageEncoder& encoder, const Manifest& images, const std::string& what) {
    CHECK_THROWS_WITH(image_features(Context(), encoder, images, w.model.preprocess, cache), Contains(what));
  };
  w.g.f_g.layers[0].self_attn.q_proj.lora->scale *= 2;
  refused(generated_encoder(w.g), w.generated, "by another encoder");
  w.g.f_g.layers[0].self_attn.q_proj.lora->scale /= 2;
  CHECK(image_features(Context(), generated_encoder(w.g), w.generated, w.model.preprocess, cache)
            .damage.empty());
  Tensor b = w.g.f_g.layers[1].self_attn.v_proj.lora->b.value;
  b.data<float>()[b.numel() - 1] += 1e-3F;
  refused(generated_encoder(w.g), w.generated, "by another encoder");
  fs::last_write_time(w.real.image_path(3), fs::file_time_type::clock::now() + std::chrono::hours(1));
  refused(real_encoder(w.model.clip.image, nullptr), w.real, "of images that have changed");
}

TEST_CASE("gmail: a drawn image depends on its caption and seed, not on the batch") {
  ClipModel model = tiny_model();
  Generator g{Unet(tiny_unet()), {}};
  for (Param* p : g.unet.params())
    if (p->value.rank() > 1) init_normal(*p, 0.15, 2);
  freeze(g.unet.params());
  const std::vector<std::string> captions{"a red ball", "a large blue cube on a grey floor", "a star"};
  const std::vector<uint64_t> seeds{1, 2, 3};
  const SampleOptions o{.steps = 3, .guidance = 2, .clamp = 1, .batch = 3};
  const Tensor all = sample_images(Context(), g, model, captions, seeds, o);
  const Tensor one =
      sample_images(Context(), g, model, std::vector<std::string>{captions[1]}, std::vector<uint64_t>{2}, o);
  CHECK(close(all.rows(1, 2), one, 1e-4) == "");
  const Tensor other =
      sample_images(Context(), g, model, std::vector<std::string>{captions[1]}, std::vector<uint64_t>{9}, o);
  CHECK(close(other, one, 1e-2) != "");
}

TEST_CASE("gmail: pretraining in chunks or with recomputed blocks follows the plain run") {
  const TemporaryDir dir;
  write_tabletop(dir / "world", {.count = 16, .size = 16, .seed = 2}, {{"train", 16}});
  PretrainOptions o;
  o.manifest = dir / "world" / "manifest.jsonl";
  o.model = tiny_clip();
  o.model.vocab_size = 0;
  o.model.max_position_embeddings = 32;
  o.vocab = 600;
  o.batch = 12;
  o.train.steps = 3;
  o.train.quiet = true;
  const auto weights = [&](const std::string& name, int64_t chunk, bool checkpointing) {
    o.chunk = chunk;
    o.checkpointing = checkpointing;
    o.train.out = dir / name;
    return pretrain(Context(), o).loss;
  };
  const double plain = weights("plain", 0, false);
  CHECK(weights("chunks", 5, false) == Approx(plain).epsilon(1e-4));
  CHECK(weights("recomputed", 0, true) == Approx(plain).epsilon(1e-6));
}
