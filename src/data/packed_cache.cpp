#include "data/packed_cache.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "core/check.h"
#include "core/parallel_for.h"
#include "data/image_source.h"

namespace gmail {
namespace {

// The file: this header, N images, then one byte for each image (1 good, 0 damaged). Little endian.
struct Header {
  char magic[8];
  uint64_t version, size, count, fingerprint;
  uint64_t unused[3];
};
static_assert(sizeof(Header) == 64);
constexpr std::string_view kMagic = "GMAILPIX";
constexpr uint64_t kVersion = 2;  // of the layout and of the preprocessing
constexpr int64_t kBlock = 256;   // images decoded before they are written

uint64_t fingerprint_of(const Manifest& manifest, const Preprocess& preprocess) {
  Fingerprint f;
  f.add(preprocess.pixel_key());
  add_images(f, manifest);
  return f.value();
}

// The reason why the image is damaged, or "".
std::string decode_one(uint8_t* out, const std::filesystem::path& path, const Preprocess& preprocess) {
  try {
    const Image image = preprocess(read_image(path));
    std::copy(image.rgb.begin(), image.rgb.end(), out);
    return "";
  } catch (const InputError& e) {
    return e.what();
  }
}

}  // namespace

void add_images(Fingerprint& f, const Manifest& manifest) {
  for (int64_t i = 0; i < manifest.size(); ++i) {
    const std::filesystem::path path = file_of(manifest.image_path(i));
    std::error_code missing;
    const auto time = std::filesystem::last_write_time(path, missing);
    f.add(manifest[i].id);
    f.add(manifest[i].image);
    f.add(missing ? 0 : static_cast<uint64_t>(time.time_since_epoch().count()));
    f.add(missing ? 0 : static_cast<uint64_t>(std::filesystem::file_size(path, missing)));
  }
}

ImageStore::ImageStore(const Manifest& manifest, const StoreOptions& options)
    : preprocess_(options.preprocess), count_(manifest.size()), size_(preprocess_.size()) {
  GMAIL_CHECK(size_ > 0 && options.max_damaged >= 0, "[image store] size ", size_, ", max_damaged ",
              options.max_damaged);
  if (options.cache.empty()) {
    memory_.reserve(static_cast<size_t>(count_ * image_bytes()));
    decode(manifest, options, [&](std::span<const uint8_t> block) {
      memory_.insert(memory_.end(), block.begin(), block.end());
    });
    pixels_ = memory_.data();
    return;
  }
  const uint64_t fingerprint = fingerprint_of(manifest, preprocess_);
  from_cache_ = open_cache(manifest, options.cache, fingerprint);
  if (!from_cache_) {
    write_cache(manifest, options, fingerprint);
    GMAIL_CHECK(open_cache(manifest, options.cache, fingerprint), options.cache.string(),
                ": changed while it was written");
  }
  GMAIL_INPUT(static_cast<int64_t>(damaged_.size()) <= options.max_damaged, manifest.file.string(),
              ": more than ", options.max_damaged, " damaged images, the first: ", damaged_.front().reason);
}

std::span<const uint8_t> ImageStore::pixels(int64_t i) const {
  GMAIL_CHECK(i >= 0 && i < count_, "[image store] image ", i, " of ", count_);
  return {pixels_ + i * image_bytes(), static_cast<size_t>(image_bytes())};
}

bool ImageStore::usable(int64_t i) const {
  const auto at = std::lower_bound(damaged_.begin(), damaged_.end(), i,
                                   [](const Damaged& d, int64_t index) { return d.index < index; });
  return i >= 0 && i < count_ && (at == damaged_.end() || at->index != i);
}

std::string damage_report(std::span<const Damaged> damaged) {
  if (damaged.empty()) return "";
  std::string text = damaged.size() == 1 ? "1 damaged image is skipped"
                                         : concat(damaged.size(), " damaged images are skipped");
  for (const Damaged& d : damaged) text += (&d == &damaged.front() ? ": " : "; ") + d.reason;
  return text;
}

void ImageStore::decode(const Manifest& manifest, const StoreOptions& options, const Sink& sink) {
  damaged_.clear();
  for (int64_t first = 0; first < count_; first += kBlock) {
    const int64_t n = std::min(kBlock, count_ - first);
    std::vector<uint8_t> block(static_cast<size_t>(n * image_bytes()));
    std::vector<std::string> reasons(static_cast<size_t>(n));
    parallel_for(n, 4, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        reasons[static_cast<size_t>(i)] =
            decode_one(block.data() + i * image_bytes(), manifest.image_path(first + i), preprocess_);
    });
    for (int64_t i = 0; i < n; ++i)
      if (!reasons[static_cast<size_t>(i)].empty())
        damaged_.push_back({first + i, reasons[static_cast<size_t>(i)]});
    GMAIL_INPUT(static_cast<int64_t>(damaged_.size()) <= options.max_damaged, manifest.file.string(),
                ": more than ", options.max_damaged, " damaged images, the first: ", damaged_.front().reason);
    sink(block);
    if (options.progress) options.progress(first + n, count_);
  }
}

// false if there is no such file, or a stale one. A file that is no image cache at all is never overwritten.
bool ImageStore::open_cache(const Manifest& manifest, const std::filesystem::path& file,
                            uint64_t fingerprint) {
  if (!std::filesystem::exists(file)) return false;
  auto mapped = std::make_unique<MappedFile>(file);
  const auto bytes = mapped->bytes();
  Header header{};
  if (bytes.size() >= sizeof(Header)) std::memcpy(&header, bytes.data(), sizeof(Header));
  GMAIL_INPUT(std::string_view(header.magic, kMagic.size()) == kMagic, file.string(),
              ": not an image cache; remove it, or name another file");
  const auto expected = sizeof(Header) + static_cast<size_t>(count_ * (image_bytes() + 1));
  if (header.version != kVersion || header.size != static_cast<uint64_t>(size_) ||
      header.count != static_cast<uint64_t>(count_) || header.fingerprint != fingerprint ||
      bytes.size() != expected)
    return false;
  const auto* pixels = reinterpret_cast<const uint8_t*>(bytes.data()) + sizeof(Header);
  const uint8_t* good = pixels + count_ * image_bytes();
  std::vector<uint8_t> scrap(static_cast<size_t>(image_bytes()));
  std::vector<Damaged> damaged;
  for (int64_t i = 0; i < count_; ++i) {
    if (good[i] != 0) continue;
    damaged.push_back({i, decode_one(scrap.data(), manifest.image_path(i), preprocess_)});
    if (damaged.back().reason.empty()) return false;  // it can be read now
  }
  damaged_ = std::move(damaged);
  file_ = std::move(mapped);
  pixels_ = pixels;
  return true;
}

void ImageStore::write_cache(const Manifest& manifest, const StoreOptions& options, uint64_t fingerprint) {
  make_parent_dirs(options.cache);
  write_atomically(options.cache, [&](const ByteSink& write) {
    Header header{};
    std::copy(kMagic.begin(), kMagic.end(), header.magic);
    header.version = kVersion;
    header.size = static_cast<uint64_t>(size_);
    header.count = static_cast<uint64_t>(count_);
    header.fingerprint = fingerprint;
    write(std::as_bytes(std::span(&header, 1)));
    decode(manifest, options, [&](std::span<const uint8_t> block) { write(std::as_bytes(block)); });
    std::vector<uint8_t> good(static_cast<size_t>(count_), 1);
    for (const Damaged& d : damaged_) good[static_cast<size_t>(d.index)] = 0;
    write(std::as_bytes(std::span<const uint8_t>(good)));
  });
}

}  // namespace gmail
