#include "gmail/features.h"

#include <algorithm>

#include "io/files.h"
#include "io/safetensors.h"
#include "train/progress.h"

namespace gmail {
namespace {

namespace fs = std::filesystem;

std::string encoder_fingerprint(const Context& ctx, const ImageEncoder& encoder,
                                const Preprocess& preprocess) {
  Fingerprint f;
  for (const Param* p : encoder.params) {
    const Tensor value = p->value.to(Device::cpu);
    f.add(p->name);
    f.add_words({value.raw(), value.bytes()});
  }
  f.add(encoder.settings);
  f.add(preprocess.pixel_key());
  f.add_words(std::as_bytes(std::span(&preprocess.norm.scale, 1)));
  for (const auto& numbers : {preprocess.norm.mean, preprocess.norm.std})
    f.add_words(std::as_bytes(std::span(numbers)));
  f.add(static_cast<uint64_t>(ctx.precision));
  return f.hex();
}

std::string images_fingerprint(const Manifest& manifest) {
  Fingerprint f;
  add_images(f, manifest);
  return f.hex();
}

std::string records_hash(const Manifest& manifest) {
  Fingerprint f;
  for (const Record& r : manifest.records) {
    f.add(r.id);
    f.add(r.image);
  }
  return f.hex();
}

std::string damage_of_cache(const Manifest& manifest, const ImageFeatures& features) {
  const auto n = std::ranges::count(features.usable, 0);
  if (n == 0) return "";
  const auto first = std::ranges::find(features.usable, 0) - features.usable.begin();
  return concat(n, n == 1 ? " damaged image is" : " damaged images are",
                " skipped, the first: ", manifest.image_path(first).string());
}

ImageFeatures read_cache(const fs::path& path, const Manifest& manifest, const Metadata& expected) {
  const SafetensorsFile file(path);
  for (const auto& [key, value] : expected) {
    const auto found = file.metadata().find(key);
    GMAIL_INPUT(found != file.metadata().end(), path.string(), ": metadata \"", key,
                "\": expected that of a cache of features, found none; name another folder");
    GMAIL_INPUT(found->second == value, path.string(), ": stale: made ",
                key == "encoder" ? "by another encoder" : "of images that have changed", ", metadata \"", key,
                "\": expected ", value, ", found ", found->second, "; remove it, or name another folder");
  }
  ImageFeatures out{file.read("image_embeds", DType::float32), {}, {}};
  const Tensor usable = file.read("usable", DType::int32);
  GMAIL_INPUT(out.z.rank() == 2 && out.z.size(0) == manifest.size() && usable.numel() == manifest.size(),
              path.string(), ": image_embeds: expected ", manifest.size(), " rows, found ", out.z.shape());
  for (const int32_t u : std::as_const(usable).span<int32_t>()) out.usable.push_back(u != 0 ? 1 : 0);
  out.damage = damage_of_cache(manifest, out);
  return out;
}

ImageFeatures compute(const Context& ctx, const ImageEncoder& encoder, const Manifest& manifest,
                      const Preprocess& preprocess, int64_t allowed) {
  constexpr int64_t kSlice = 1024, kLong = 2000;  // shorter jobs go without progress
  const int64_t n = manifest.size();
  Progress progress("embed " + encoder.name, n, 0, n < kLong);
  ImageFeatures out{{}, std::vector<char>(static_cast<size_t>(n), 0), {}};
  std::vector<Damaged> damage;
  for (int64_t begin = 0; begin < n; begin += kSlice) {  // a slice of the images is decoded at a time
    const int64_t end = std::min(n, begin + kSlice);
    const Manifest slice{manifest.file, {manifest.records.begin() + begin, manifest.records.begin() + end}};
    const ImageStore store(
        slice, {.preprocess = preprocess, .cache = {}, .max_damaged = end - begin, .progress = {}});
    damage.insert(damage.end(), store.damaged().begin(), store.damaged().end());
    GMAIL_INPUT(std::ssize(damage) <= allowed, manifest.file.string(), ": more than ", allowed,
                " damaged images, the first: ", damage.front().reason);
    std::vector<int64_t> rows;
    for (int64_t i = 0; i < slice.size(); ++i)
      if (store.usable(i)) rows.push_back(i);
    for (const int64_t i : rows) out.usable[static_cast<size_t>(begin + i)] = 1;
    progress.update(end, "", end, "images");
    if (rows.empty() || !encoder.encode) continue;
    const Tensor z = embed_images(ctx, encoder, store, rows, preprocess.norm);
    if (!out.z) out.z = Tensor::zeros({n, z.size(1)}, DType::float32);
    for (size_t i = 0; i < rows.size(); ++i) {
      const int64_t record = begin + rows[i], row = static_cast<int64_t>(i);
      out.z.rows(record, record + 1).copy_from(z.rows(row, row + 1));
    }
  }
  out.damage = damage_report(damage);
  GMAIL_INPUT(std::ranges::count(out.usable, 1) > 0, manifest.file.string(),
              ": no image can be read: ", out.damage);
  return out;
}

}  // namespace

ImageFeatures image_features(const Context& ctx, const ImageEncoder& encoder, const Manifest& manifest,
                             const Preprocess& preprocess, const FeatureOptions& o) {
  if (o.cache.empty()) return compute(ctx, encoder, manifest, preprocess, o.max_damaged);
  const fs::path path = o.cache / (encoder.name + "-" + records_hash(manifest) + ".safetensors");
  const Metadata metadata{{"encoder", encoder_fingerprint(ctx, encoder, preprocess)},
                          {"images", images_fingerprint(manifest)}};
  if (fs::exists(path)) return read_cache(path, manifest, metadata);
  make_dirs(o.cache);
  ImageFeatures out = compute(ctx, encoder, manifest, preprocess, o.max_damaged);
  const std::vector<int32_t> usable(out.usable.begin(), out.usable.end());
  save_safetensors(path, {{"image_embeds", out.z}, {"usable", Tensor::from(usable, {std::ssize(usable)})}},
                   metadata);
  return out;
}

}  // namespace gmail
