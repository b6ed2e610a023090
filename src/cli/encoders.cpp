#include "cli/encoders.h"

#include <iostream>

#include "core/parallel_for.h"
#include "data/image.h"
#include "gmail/features.h"

namespace gmail::cli {

void add_encoder_flags(Command& c, EncoderFlags& f, bool need_model) {
  const Declared model = c.option("model", f.model, "CLIP folder");
  if (need_model) model->required();
  c.option("adapter", f.adapter,
           "folder of the aligned adapter, or of a LoRA that peft saved: a fine-tuned CLIP");
  c.flag("generated", f.generated, "the images are generated ones: through the adapter's f_g");
  add_image_size(c, f.image_size);
}

void add_image_size(Command& c, int64_t& image_size) {
  c.option("image-size", image_size,
           "images of this size: the positions are interpolated; 0: the model's own");
}

Encoders::Encoders(const Context& ctx, const EncoderFlags& f)
    : model_(ClipModel::load(f.model, ctx.device, {.hidden_act = {}, .image_size = f.image_size})),
      generated_(f.generated) {
  GMAIL_INPUT(!f.generated || !f.adapter.empty(), "--generated needs --adapter: f_g is in its folder");
  if (!f.adapter.empty()) adapter_ = GenClip::load(f.adapter, model_.clip);
}

ImageEncoder Encoders::image() {
  return generated_ ? generated_encoder(*adapter_) : real_encoder(model_.clip.image, adapter());
}

Tensor embed_files(const Context& ctx, Encoders& encoders, const std::vector<std::string>& files) {
  constexpr int64_t kBatch = 64;
  GMAIL_INPUT(!files.empty(), "no image files are given");
  const int64_t n = std::ssize(files);
  const ImageEncoder encode = encoders.image();
  Tensor out;
  for (int64_t begin = 0; begin < n; begin += kBatch) {
    const int64_t end = std::min(n, begin + kBatch);
    std::vector<Image> images(static_cast<size_t>(end - begin));
    parallel_for(end - begin, 4, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        const Image image = read_image(files[static_cast<size_t>(begin + i)]);
        images[static_cast<size_t>(i)] = encoders.model().preprocess(image);
      }
    });
    Tape tape(ctx, false);
    const Tensor z = encode(tape, Var(normalise(images, encoders.model().preprocess.norm))).value;
    if (!out) out = Tensor::empty({n, z.size(1)});
    out.rows(begin, end).copy_from(z);
  }
  return out;
}

EmbeddedRecords embed_records(const Context& ctx, Encoders& encoders, const Manifest& manifest,
                              const std::string& features) {
  const ImageFeatures all =
      image_features(ctx, encoders.image(), manifest, encoders.model().preprocess, {.cache = features});
  if (!all.damage.empty()) std::cerr << all.damage << '\n';
  EmbeddedRecords out{{manifest.file, {}}, {}};
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < manifest.size(); ++i) {
    if (all.usable[static_cast<size_t>(i)] == 0) continue;
    rows.push_back(i);
    out.manifest.records.push_back(manifest[i]);
  }
  out.images = take_rows(all.z, rows);
  return out;
}

void add_features(Command& c, std::string& features) {
  c.option("features", features, "folder that keeps image embeddings: computed once, refused once stale");
}

RecordTexts texts_of(const Manifest& manifest) {
  RecordTexts out;
  std::vector<int32_t> image;
  for (int64_t i = 0; i < manifest.size(); ++i)
    for (const std::string& caption : manifest[i].captions) {
      out.texts.push_back(caption);
      image.push_back(static_cast<int32_t>(i));
    }
  out.image = Tensor::from(image, {std::ssize(image)});
  return out;
}

Manifest read_split(const std::string& file, const std::string& split) {
  Manifest manifest = read_manifest(file);
  if (!split.empty()) manifest = manifest.filter(split);
  GMAIL_INPUT(manifest.size() > 0, file, ": no record", split.empty() ? "" : " of split \"" + split + "\"");
  return manifest;
}

}  // namespace gmail::cli
