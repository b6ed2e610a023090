#include "cli/encoders.h"

#include <iostream>

#include "core/parallel_for.h"
#include "data/image.h"
#include "train/progress.h"

namespace gmail::cli {

void add_encoder_flags(Command& c, EncoderFlags& f, bool need_model) {
  const Declared model = c.option("model", f.model, "CLIP folder");
  if (need_model) model->required();
  c.option("adapter", f.adapter,
           "folder of the aligned adapter, or of a LoRA that peft saved: a fine-tuned CLIP");
  c.flag("generated", f.generated, "the images are generated ones: through the adapter's f_g");
}

Encoders::Encoders(const Context& ctx, const std::string& model, const std::string& adapter, bool generated)
    : model_(ClipModel::load(model, ctx.device)), generated_(generated) {
  GMAIL_INPUT(!generated || !adapter.empty(), "--generated needs --adapter: f_g is in its folder");
  if (!adapter.empty()) adapter_ = GenClip::load(adapter, model_.clip);
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

EmbeddedRecords embed_records(const Context& ctx, Encoders& encoders, const Manifest& manifest) {
  constexpr int64_t kSlice = 1024, kLong = 2000;  // shorter jobs go without progress
  const int64_t n = manifest.size();
  Progress decode("decode", n, 0, n < kLong), embed("embed", n, 0, n < kLong);
  const ImageStore store(
      manifest, {.preprocess = encoders.model().preprocess,
                 .cache = {},
                 .progress = [&](int64_t done, int64_t) { decode.update(done, "", done, "images"); }});
  if (!store.damaged().empty()) std::cerr << store.damage_report() << '\n';
  EmbeddedRecords out{{manifest.file, {}}, {}};
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < n; ++i) {
    if (!store.usable(i)) continue;
    rows.push_back(i);
    out.manifest.records.push_back(manifest[i]);
  }
  GMAIL_INPUT(!rows.empty(), manifest.file.string(), ": no image can be read: ", store.damage_report());
  const auto usable = std::ssize(rows);
  const ImageEncoder encode = encoders.image();
  for (int64_t begin = 0; begin < usable; begin += kSlice) {
    const int64_t end = std::min(usable, begin + kSlice);
    const auto slice = std::span(rows).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    const Tensor z = embed_images(ctx, encode, store, slice, encoders.model().preprocess.norm);
    if (!out.images) out.images = Tensor::empty({usable, z.size(1)});
    out.images.rows(begin, end).copy_from(z);
    embed.update(end, "", end, "images");
  }
  return out;
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
