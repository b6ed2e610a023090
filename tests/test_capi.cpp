// The C interface: it gives the bits that the C++ library gives, from one thread or from eight, and refuses
// every wrong call with a status and a message.
#include <algorithm>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "capi/gmail.h"
#include "catch.h"
#include "core/rng.h"
#include "gmail/clip_flow.h"
#include "gmail/downstream.h"
#include "io/json.h"
#include "nn/param_file.h"
#include "temporary.h"
#include "threads.h"
#include "tiny.h"

using namespace gmail;
using namespace gmail::test;

namespace {

const std::vector<std::string> kTexts{"a red cube", "", "\xff not utf-8", std::string(300, 'x'),
                                      "a blue ball"};

Image noise(int64_t width, int64_t height, uint64_t seed) {
  Image image(width, height);
  Rng rng(seed, Purpose::test);
  for (uint8_t& v : image.rgb) v = static_cast<uint8_t>(rng.below(256));
  return image;
}

// clip/, adapter/ and captioner/ with random weights, and what the C++ library makes of images and texts.
struct Folders {
  TemporaryDir dir;
  ClipModel model = tiny_model();
  std::optional<GenClip> adapter;
  Captioner captioner{random_captioner(), model.tokenizer};
  std::vector<Image> images{noise(16, 16, 1), noise(40, 23, 2), noise(1, 9, 3)};
  std::vector<std::string> files;
  const Context ctx;

  Folders() {
    model.save(dir / "clip");
    adapter = GenClip::start(model.clip.image, {}, false, 1);
    for (Param* p : adapter->trainable()) init_normal(*p, 0.3, 7);
    adapter->save(dir / "adapter", "clip");
    ClipCapConfig config = tiny_clipcap();
    config.clip_dim = model.clip.config.projection_dim;
    config.gpt.vocab_size = model.tokenizer.vocab_size();
    config.end_id = model.tokenizer.end_id();
    captioner.model = ClipCap(config);
    captioner.model.init(3);
    for (Param* p : captioner.model.params())
      if (p->value.rank() > 1) init_normal(*p, 0.3, 5);
    model.tokenizer.save(dir / "captioner");
    write_json(dir / "captioner" / "config.json", config.to_json());
    save_params(dir / "captioner" / "model.safetensors", captioner.model.params(), {});
    for (size_t i = 0; i < images.size(); ++i) {
      files.push_back((dir / ("image" + std::to_string(i) + ".png")).string());
      write_png(files.back(), images[i]);
    }
  }

  [[nodiscard]] size_t width() const { return static_cast<size_t>(model.clip.config.projection_dim); }
  [[nodiscard]] std::vector<float> image_embeds(bool generated) {
    std::vector<Image> squares;
    for (const Image& i : images) squares.push_back(model.preprocess(i));
    Tape tape(ctx, false);
    const Var x(normalise(squares, model.preprocess.norm));
    const Var z = generated ? adapter->encode_generated(tape, x) : model.clip.image.encode(tape, x);
    const auto values = z.value.span<float>();
    return {values.begin(), values.end()};
  }
  [[nodiscard]] std::vector<float> text_embeds() {
    const Tensor z = embed_texts(ctx, model, kTexts);
    return {z.span<float>().begin(), z.span<float>().end()};
  }
};

struct Opened {
  gmail_model* model = nullptr;
  gmail_captioner* captioner = nullptr;
  explicit Opened(const Folders& f) {
    const std::string clip = (f.dir / "clip").string(), adapter = (f.dir / "adapter").string();
    const std::string captions = (f.dir / "captioner").string();
    const gmail_status opened = gmail_model_open(clip.c_str(), adapter.c_str(), &model);
    INFO(gmail_last_error());
    REQUIRE(opened == GMAIL_OK);
    REQUIRE(gmail_captioner_open(captions.c_str(), &captioner) == GMAIL_OK);
  }
  ~Opened() {
    CHECK(gmail_model_close(model) == GMAIL_OK);
    CHECK(gmail_captioner_close(captioner) == GMAIL_OK);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
};

std::vector<const char*> pointers(const std::vector<std::string>& all) {
  std::vector<const char*> out;
  for (const std::string& s : all) out.push_back(s.c_str());
  return out;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) {  // bits, NaN and all
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// The three below run in threads, where nothing may be checked: what fails gives nothing, or its message.
std::vector<float> embed_bytes(const Opened& o, const Folders& f, gmail_encoder encoder) {
  std::vector<std::vector<uint8_t>> padded;  // rows further apart than they are long
  std::vector<gmail_image> given;
  for (const Image& i : f.images) {
    const int64_t stride = 3 * i.width + 5;
    padded.emplace_back(static_cast<size_t>(stride * i.height), uint8_t{77});
    for (int64_t y = 0; y < i.height; ++y)
      std::copy_n(i.at(0, y), 3 * i.width, padded.back().data() + y * stride);
    given.push_back({padded.back().data(), i.width, i.height, stride});
  }
  std::vector<float> out(given.size() * f.width());
  const gmail_status status =
      gmail_embed_images(o.model, encoder, given.data(), given.size(), out.data(), out.size());
  return status == GMAIL_OK ? out : std::vector<float>{};
}

std::vector<float> embed_words(const Opened& o, const Folders& f) {
  std::vector<float> out(kTexts.size() * f.width());
  const auto texts = pointers(kTexts);
  const gmail_status status = gmail_embed_texts(o.model, texts.data(), texts.size(), out.data(), out.size());
  return status == GMAIL_OK ? out : std::vector<float>{};
}

std::vector<std::string> captions_of_rows(const Opened& o, const std::vector<float>& rows, size_t width,
                                          const gmail_caption_options* options) {
  gmail_captions* captions = nullptr;
  const gmail_status status =
      gmail_caption(o.captioner, rows.data(), rows.size() / width, width, options, &captions);
  std::vector<std::string> texts;
  if (status != GMAIL_OK) texts.emplace_back(gmail_last_error());
  for (size_t i = 0; i < gmail_captions_count(captions); ++i)
    texts.emplace_back(gmail_captions_text(captions, i));
  (void)gmail_captions_free(captions);
  return texts;
}

}  // namespace

TEST_CASE("capi: the bits of the C++ library") {
  Folders f;
  const Opened o(f);
  const size_t E = f.width();
  CHECK(std::string(gmail_version()).find('.') != std::string::npos);
  gmail_sizes sizes{};
  REQUIRE(gmail_model_sizes(o.model, &sizes) == GMAIL_OK);
  const ClipConfig& config = f.model.clip.config;
  CHECK(static_cast<size_t>(sizes.embedding) == E);
  CHECK(sizes.image_size == config.image_size);
  CHECK(sizes.context == config.max_position_embeddings);
  CHECK(sizes.vocabulary == config.vocab_size);
  CHECK(sizes.has_adapter == 1);

  const std::vector<float> real = f.image_embeds(false), generated = f.image_embeds(true);
  CHECK_FALSE(same(real, generated));
  CHECK(same(embed_bytes(o, f, GMAIL_REAL), real));
  CHECK(same(embed_bytes(o, f, GMAIL_GENERATED), generated));
  std::vector<float> out(real.size());
  const auto paths = pointers(f.files);
  CHECK(gmail_embed_files(o.model, GMAIL_REAL, paths.data(), 3, out.data(), out.size()) == GMAIL_OK);
  CHECK(same(out, real));
  std::vector<std::string> contents;
  std::vector<gmail_bytes> bytes;
  for (const std::string& file : f.files) contents.push_back(read_text(file));
  for (const std::string& content : contents) bytes.push_back({content.data(), content.size()});
  CHECK(gmail_embed_encoded(o.model, GMAIL_GENERATED, bytes.data(), 3, out.data(), out.size()) == GMAIL_OK);
  CHECK(same(out, generated));
  const std::vector<float> texts = embed_words(o, f);
  CHECK(same(texts, f.text_embeds()));

  std::vector<float> cosines(3 * kTexts.size()), logits(cosines.size());
  REQUIRE(gmail_similarity(real.data(), 3, texts.data(), kTexts.size(), E, cosines.data()) == GMAIL_OK);
  REQUIRE(gmail_logits(o.model, real.data(), 3, texts.data(), kTexts.size(), logits.data()) == GMAIL_OK);
  for (size_t i = 0; i < cosines.size(); ++i) {
    double dot = 0, a = 0, b = 0;
    for (size_t e = 0; e < E; ++e) {
      const double x = static_cast<double>(real[i / kTexts.size() * E + e]);
      const double y = static_cast<double>(texts[i % kTexts.size() * E + e]);
      dot += x * y, a += x * x, b += y * y;
    }
    CHECK(static_cast<double>(cosines[i]) == Approx(dot / std::sqrt(a * b)).margin(1e-6));
    CHECK(static_cast<double>(logits[i]) ==
          Approx(sizes.logit_scale * static_cast<double>(cosines[i])).epsilon(1e-6));
  }

  const Tensor rows = Tensor::from(real, {3, static_cast<int64_t>(E)});
  const gmail_caption_options beams{2, 1, 6};
  CHECK(captions_of_rows(o, real, E, nullptr) ==
        f.captioner.caption(f.ctx, rows, {.max_length = 13}));  // 16 positions, 3 of them the prefix's
  CHECK(captions_of_rows(o, real, E, &beams) ==
        f.captioner.caption(f.ctx, rows, {.beams = 2, .min_length = 1, .max_length = 6}));
}

TEST_CASE("capi: without an adapter, and of nothing") {
  const Folders f;
  gmail_model* model = nullptr;
  REQUIRE(gmail_model_open((f.dir / "clip").c_str(), nullptr, &model) == GMAIL_OK);
  gmail_sizes sizes{};
  CHECK(gmail_model_sizes(model, &sizes) == GMAIL_OK);
  CHECK(sizes.has_adapter == 0);
  const uint8_t pixel[3] = {1, 2, 3};
  const gmail_image image{pixel, 1, 1, 0};
  std::vector<float> out(f.width());
  CHECK(gmail_embed_images(model, GMAIL_REAL, &image, 1, out.data(), out.size()) == GMAIL_OK);
  CHECK(gmail_embed_images(model, GMAIL_GENERATED, &image, 1, out.data(), out.size()) ==
        GMAIL_ERROR_ARGUMENT);
  CHECK(std::string(gmail_last_error()).find("without an adapter") != std::string::npos);
  CHECK(gmail_embed_images(model, GMAIL_REAL, nullptr, 0, nullptr, 0) == GMAIL_OK);
  CHECK(gmail_embed_texts(model, nullptr, 0, nullptr, 0) == GMAIL_OK);
  CHECK(gmail_similarity(nullptr, 0, out.data(), 1, out.size(), nullptr) == GMAIL_OK);
  CHECK(gmail_model_close(model) == GMAIL_OK);
  CHECK(gmail_model_close(nullptr) == GMAIL_OK);
  CHECK(gmail_captioner_close(nullptr) == GMAIL_OK);
  CHECK(gmail_captions_free(nullptr) == GMAIL_OK);
}

// Calls that must fail, each with what its message says.
struct Refusals {
  struct Case {
    gmail_status wanted, got;
    std::string part, message;
  };
  std::vector<Case> cases;

  void refused(gmail_status wanted, gmail_status got, const std::string& part) {
    cases.push_back({wanted, got, part, gmail_last_error()});
  }
  void argument(gmail_status got, const std::string& part) { refused(GMAIL_ERROR_ARGUMENT, got, part); }
  void check() const {
    for (size_t i = 0; i < cases.size(); ++i) {
      INFO(i << ": " << cases[i].message);
      CHECK(cases[i].got == cases[i].wanted);
      CHECK(cases[i].message.starts_with("gmail_"));
      CHECK(cases[i].message.find(cases[i].part) != std::string::npos);
    }
  }
};

TEST_CASE("capi: a wrong folder, handle or text is refused with a message") {
  const Folders f;
  const Opened o(f);
  const size_t E = f.width();
  std::vector<float> out(2 * E, 1.0F);
  const char* const text = "a red cube";
  const char* const none = nullptr;
  auto* const no_model = reinterpret_cast<gmail_model*>(o.captioner);
  auto* const no_captioner = reinterpret_cast<gmail_captioner*>(o.model);
  gmail_model* model = o.model;
  const std::string clip = (f.dir / "clip").string(), missing = (f.dir / "no_such").string();
  Refusals r;
  r.argument(gmail_model_open(nullptr, nullptr, &model), "folder is null");
  CHECK(model == nullptr);
  r.argument(gmail_model_open(clip.c_str(), nullptr, nullptr), "model is null");
  r.refused(GMAIL_ERROR_INPUT, gmail_model_open(missing.c_str(), nullptr, &model), "no_such");
  r.refused(GMAIL_ERROR_INPUT, gmail_model_open(clip.c_str(), missing.c_str(), &model), "no_such");
  r.refused(GMAIL_ERROR_INPUT, gmail_captioner_open(missing.c_str(), nullptr), "");
  r.cases.back().wanted = GMAIL_ERROR_ARGUMENT;
  r.argument(gmail_model_sizes(nullptr, nullptr), "model is null");
  r.argument(gmail_model_sizes(o.model, nullptr), "sizes is null");
  r.argument(gmail_model_sizes(no_model, nullptr), "another kind");
  r.argument(gmail_model_close(no_model), "another kind");
  r.argument(gmail_captioner_close(no_captioner), "another kind");
  r.argument(gmail_captions_free(reinterpret_cast<gmail_captions*>(o.model)), "another kind");
  r.argument(gmail_embed_texts(no_model, &text, 1, out.data(), E), "another kind");
  r.argument(gmail_embed_texts(nullptr, &text, 1, out.data(), E), "model is null");
  r.argument(gmail_embed_texts(o.model, nullptr, 1, out.data(), E), "texts is null");
  r.argument(gmail_embed_texts(o.model, &none, 1, out.data(), E), "text 0 is null");
  r.argument(gmail_embed_texts(o.model, &text, 1, nullptr, E), "embeddings is null");
  r.argument(gmail_embed_texts(o.model, &text, 1, out.data(), E - 1), "capacity");
  r.argument(gmail_embed_texts(o.model, &text, SIZE_MAX / 4, out.data(), E), "rows of");
  r.check();
  std::string beside = "unset";  // the message belongs to its thread
  std::thread([&] { beside = gmail_last_error(); }).join();
  CHECK(beside.empty());
}

TEST_CASE("capi: wrong images are refused with a message") {
  const Folders f;
  const Opened o(f);
  const size_t E = f.width();
  std::vector<float> out(2 * E, 1.0F);
  const uint8_t pixels[12] = {};
  const gmail_image good{pixels, 2, 2, 0};
  const char* const none = nullptr;
  const auto images = [&](const gmail_image& i) {
    return gmail_embed_images(o.model, GMAIL_REAL, &i, 1, out.data(), E);
  };
  const std::string broken = read_text(f.files[0]).substr(0, 60);
  const gmail_bytes cut{broken.data(), broken.size()}, null_bytes{nullptr, 5};
  const std::string missing = (f.dir / "no_such").string();
  const char* const no_file = missing.c_str();
  Refusals r;
  r.argument(gmail_embed_images(o.model, 2, &good, 1, out.data(), E), "encoder");
  r.argument(images({nullptr, 1, 1, 0}), "rgb is null");
  r.argument(images({pixels, 0, 1, 0}), "0 x 1");
  r.argument(images({pixels, 1, -1, 0}), "1 x -1");
  r.argument(images({pixels, int64_t{1} << 60, 1, 0}), "sides");
  r.argument(images({pixels, 2, 2, 5}), "stride");
  r.argument(images({pixels, 2, 2, -6}), "stride");
  r.argument(gmail_embed_files(o.model, GMAIL_REAL, &none, 1, out.data(), E), "path 0 is null");
  r.argument(gmail_embed_encoded(o.model, GMAIL_REAL, &null_bytes, 1, out.data(), E), "data is null");
  r.refused(GMAIL_ERROR_INPUT, gmail_embed_files(o.model, GMAIL_REAL, &no_file, 1, out.data(), E), "no_such");
  r.refused(GMAIL_ERROR_INPUT, gmail_embed_encoded(o.model, GMAIL_REAL, &cut, 1, out.data(), E), "file 0");
  r.check();
}

TEST_CASE("capi: wrong embeddings and options are refused with a message") {
  const Folders f;
  const Opened o(f);
  const size_t E = f.width();
  std::vector<float> out(2 * E, 1.0F);
  auto* const no_captioner = reinterpret_cast<gmail_captioner*>(o.model);
  gmail_captions* captions = nullptr;
  const auto caption = [&](const gmail_caption_options& c) {
    return gmail_caption(o.captioner, out.data(), 1, E, &c, &captions);
  };
  const std::vector<float> bad(E, std::numeric_limits<float>::quiet_NaN()), zero(E, 0.0F);
  Refusals r;
  r.argument(gmail_similarity(out.data(), 1, nullptr, 1, E, out.data()), "is null");
  r.argument(gmail_similarity(out.data(), 1, out.data(), 1, 0, out.data()), "width");
  r.argument(gmail_similarity(out.data(), 1, out.data(), 1, E, nullptr), "result");
  r.refused(GMAIL_ERROR_INPUT, gmail_similarity(bad.data(), 1, out.data(), 1, E, out.data()), "left rows");
  r.refused(GMAIL_ERROR_INPUT, gmail_logits(o.model, out.data(), 1, zero.data(), 1, out.data()),
            "right rows");
  r.argument(gmail_logits(nullptr, out.data(), 1, out.data(), 1, out.data()), "model is null");
  r.argument(caption({-1, 0, 0}), "beams");
  r.argument(caption({1, -1, 0}), "min_length");
  r.argument(caption({1, 9, 8}), "min_length");
  r.argument(caption({1, 0, 14}), "max_length");
  r.argument(gmail_caption(no_captioner, out.data(), 1, E, nullptr, &captions), "another kind");
  r.argument(gmail_caption(o.captioner, out.data(), 1, E + 1, nullptr, &captions), "width");
  r.argument(gmail_caption(o.captioner, bad.data(), 1, E, nullptr, &captions), "not finite");
  r.argument(gmail_caption(o.captioner, out.data(), 1, E, nullptr, nullptr), "captions is null");
  r.argument(gmail_set_num_threads(-1), "threads");
  r.check();
  CHECK(captions == nullptr);
  CHECK(gmail_captions_count(captions) == 0);
  CHECK(gmail_captions_text(captions, 0) == nullptr);
}

TEST_CASE("capi: eight threads on one model get the bits of one") {
  Folders f;
  const Threads threads(3);
  const size_t E = f.width();
  const std::vector<float> real = f.image_embeds(false), generated = f.image_embeds(true),
                           texts = f.text_embeds();
  const auto captions =
      f.captioner.caption(f.ctx, Tensor::from(real, {3, static_cast<int64_t>(E)}), {.max_length = 13});
  const Opened o(f);  // nothing is packed yet: the threads meet there too
  std::vector<int> wrong(8, -1);
  std::vector<std::thread> all;
  for (size_t t = 0; t < 8; ++t)
    all.emplace_back([&, t] {
      wrong[t] = 0;
      for (size_t round = 0; round < 4; ++round) {
        if ((t + round) % 3 == 0) wrong[t] += same(embed_bytes(o, f, GMAIL_REAL), real) ? 0 : 1;
        if ((t + round) % 3 == 1) wrong[t] += same(embed_bytes(o, f, GMAIL_GENERATED), generated) ? 0 : 1;
        if ((t + round) % 3 == 2) wrong[t] += same(embed_words(o, f), texts) ? 0 : 1;
        if (t == round) (void)gmail_set_num_threads(static_cast<int32_t>(2 + t % 2));
        if (t % 4 == round) wrong[t] += captions_of_rows(o, real, E, nullptr) == captions ? 0 : 1;
      }
    });
  for (std::thread& t : all) t.join();
  CHECK(wrong == std::vector<int>(8, 0));
}
