// gmail.h: a CLIP model, its embeddings, and their similarity.
#include <cmath>
#include <memory>
#include <optional>

#include "capi/call.h"
#include "core/parallel_for.h"
#include "data/image.h"
#include "eval/scores.h"
#include "gmail/clip_flow.h"

using namespace gmail;
using namespace gmail::capi;

namespace {

struct Loaded {
  ClipModel model;
  std::optional<GenClip> adapter;
};

// Frozen weights are kept in packed form for products with fewer rows than this (ops/linear.cpp): batches
// stay below, so that no weight is needed in both forms.
constexpr int64_t kRows = 1023;
constexpr int64_t kTextBatch = 64;

}  // namespace

struct gmail_model {
  static constexpr Kind kKind = Kind::model;
  const Kind kind = kKind;
  const std::unique_ptr<Loaded> loaded;  // inference changes nothing in it but the copies kept of weights
  explicit gmail_model(std::unique_ptr<Loaded> l) : loaded(std::move(l)) {}
};

namespace {

ImageEncoder encoder_of(const gmail_model& model, gmail_encoder encoder) {
  Loaded& loaded = *model.loaded;
  require(encoder == GMAIL_REAL || encoder == GMAIL_GENERATED, "encoder: expected GMAIL_REAL or ",
          "GMAIL_GENERATED, found ", encoder);
  if (encoder == GMAIL_REAL)
    return real_encoder(loaded.model.clip.image, loaded.adapter ? &*loaded.adapter : nullptr);
  require(loaded.adapter.has_value(), "GMAIL_GENERATED: the model was opened without an adapter");
  return generated_encoder(*loaded.adapter);
}

int64_t width_of(const gmail_model& model) { return model.loaded->model.clip.config.projection_dim; }

void check_room(const gmail_model& model, size_t n, const float* embeddings, size_t capacity) {
  check_array(embeddings, n, "embeddings");
  const size_t wanted = elements(n, static_cast<size_t>(width_of(model)), "embeddings");
  require(capacity >= wanted, "capacity: ", n, " embeddings of ", width_of(model), " numbers need ", wanted,
          " floats, found ", capacity);
}

// image_at(i): image i as it was given; called from several threads.
void embed_each(const gmail_model& model, gmail_encoder encoder, size_t n, float* out,
                const std::function<Image(size_t)>& image_at) {
  const ClipModel& clip = model.loaded->model;
  const ImageEncoder encode = encoder_of(model, encoder);
  const int64_t side = clip.clip.config.image_size / clip.clip.config.patch_size;
  const int64_t batch = std::max<int64_t>(1, kRows / (1 + side * side)), N = static_cast<int64_t>(n);
  const Context ctx;
  for (int64_t begin = 0; begin < N; begin += batch) {
    const int64_t end = std::min(N, begin + batch);
    std::vector<Image> images(static_cast<size_t>(end - begin));
    parallel_for(end - begin, 1, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i)
        images[static_cast<size_t>(i)] = clip.preprocess(image_at(static_cast<size_t>(begin + i)));
    });
    Tape tape(ctx, false);
    const Tensor z = encode(tape, Var(normalise(images, clip.preprocess.norm))).value;
    std::ranges::copy(z.span<float>(), out + begin * width_of(model));
  }
}

Image copy_of(const gmail_image& given, size_t i) {
  constexpr int64_t kMostSide = 65535;
  require(given.rgb != nullptr, "image ", i, ": rgb is null");
  require(given.width >= 1 && given.width <= kMostSide && given.height >= 1 && given.height <= kMostSide,
          "image ", i, ": expected sides of 1 .. ", kMostSide, " pixels, found ", given.width, " x ",
          given.height);
  const int64_t row = 3 * given.width, stride = given.stride == 0 ? row : given.stride;
  require(stride >= row, "image ", i, ": stride: expected at least ", row, ", found ", stride);
  Image image(given.width, given.height);
  for (int64_t y = 0; y < given.height; ++y) std::copy_n(given.rgb + y * stride, row, image.at(0, y));
  return image;
}

void scores(const float* a, size_t n, const float* b, size_t m, size_t width, double scale, float* out) {
  const auto tensor = [&](const float* rows, size_t count, const char* name) {
    check_array(rows, count, name);
    return Tensor::from(std::span(rows, elements(count, width, name)),
                        {static_cast<int64_t>(count), static_cast<int64_t>(width)});
  };
  const Tensor left = tensor(a, n, "the left rows"), right = tensor(b, m, "the right rows");
  if (n == 0 || m == 0) return;
  require(out != nullptr, "the result is null");
  const UnitRows queries(left, "the left rows"), gallery(right, "the right rows");
  for_each_score_row(queries, gallery, [&](int64_t q, std::span<const float> row) {
    float* to = out + static_cast<size_t>(q) * m;
    for (const float cosine : row) *to++ = static_cast<float>(scale * static_cast<double>(cosine));
  });
}

}  // namespace

gmail_status gmail_model_open(const char* folder, const char* adapter, gmail_model** model) {
  if (model != nullptr) *model = nullptr;
  return guarded("gmail_model_open", [&] {
    require(folder != nullptr, "folder is null");
    require(model != nullptr, "model is null");
    auto loaded = std::make_unique<Loaded>(ClipModel::load(folder));
    if (adapter != nullptr) {
      loaded->adapter = GenClip::load(adapter, loaded->model.clip);
      freeze(loaded->adapter->trainable());
    }
    *model = std::make_unique<gmail_model>(std::move(loaded)).release();
  });
}

gmail_status gmail_model_close(gmail_model* model) {
  return guarded("gmail_model_close", [&] {
    const std::unique_ptr<gmail_model> owner(model == nullptr ? nullptr : &checked(model, "model"));
  });
}

gmail_status gmail_model_sizes(const gmail_model* model, gmail_sizes* sizes) {
  return guarded("gmail_model_sizes", [&] {
    const Loaded& loaded = *checked(model, "model").loaded;
    require(sizes != nullptr, "sizes is null");
    const ClipConfig& config = loaded.model.clip.config;
    *sizes = {.embedding = config.projection_dim,
              .image_size = config.image_size,
              .context = config.max_position_embeddings,
              .vocabulary = config.vocab_size,
              .logit_scale = std::exp(loaded.model.clip.logit_scale.value.item()),
              .has_adapter = loaded.adapter ? 1 : 0};
  });
}

gmail_status gmail_embed_images(const gmail_model* model, gmail_encoder encoder, const gmail_image* images,
                                size_t n, float* embeddings, size_t capacity) {
  return guarded("gmail_embed_images", [&] {
    check_room(checked(model, "model"), n, embeddings, capacity);
    check_array(images, n, "images");
    embed_each(*model, encoder, n, embeddings, [&](size_t i) { return copy_of(images[i], i); });
  });
}

gmail_status gmail_embed_encoded(const gmail_model* model, gmail_encoder encoder, const gmail_bytes* files,
                                 size_t n, float* embeddings, size_t capacity) {
  return guarded("gmail_embed_encoded", [&] {
    check_room(checked(model, "model"), n, embeddings, capacity);
    check_array(files, n, "files");
    embed_each(*model, encoder, n, embeddings, [&](size_t i) {
      require(files[i].data != nullptr, "file ", i, ": data is null");
      return decode_image({static_cast<const std::byte*>(files[i].data), files[i].size}, concat("file ", i));
    });
  });
}

gmail_status gmail_embed_files(const gmail_model* model, gmail_encoder encoder, const char* const* paths,
                               size_t n, float* embeddings, size_t capacity) {
  return guarded("gmail_embed_files", [&] {
    check_room(checked(model, "model"), n, embeddings, capacity);
    check_array(paths, n, "paths");
    embed_each(*model, encoder, n, embeddings, [&](size_t i) {
      require(paths[i] != nullptr, "path ", i, " is null");
      return read_image(paths[i]);
    });
  });
}

gmail_status gmail_embed_texts(const gmail_model* model, const char* const* texts, size_t n,
                               float* embeddings, size_t capacity) {
  return guarded("gmail_embed_texts", [&] {
    check_room(checked(model, "model"), n, embeddings, capacity);
    check_array(texts, n, "texts");
    if (n == 0) return;
    std::vector<std::string> all;
    for (size_t i = 0; i < n; ++i) {
      require(texts[i] != nullptr, "text ", i, " is null");
      all.emplace_back(texts[i]);
    }
    const Tensor z = embed_texts(Context(), model->loaded->model, all, kTextBatch);
    std::ranges::copy(z.span<float>(), embeddings);
  });
}

gmail_status gmail_similarity(const float* a, size_t n, const float* b, size_t m, size_t width,
                              float* cosines) {
  return guarded("gmail_similarity", [&] { scores(a, n, b, m, width, 1, cosines); });
}

gmail_status gmail_logits(const gmail_model* model, const float* images, size_t n, const float* texts,
                          size_t m, float* logits) {
  return guarded("gmail_logits", [&] {
    const Clip& clip = checked(model, "model").loaded->model.clip;
    scores(images, n, texts, m, static_cast<size_t>(clip.config.projection_dim),
           std::exp(clip.logit_scale.value.item()), logits);
  });
}
