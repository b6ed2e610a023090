// The images of a manifest, decoded once: preprocessed to S x S, 8 bits, (N, S, S, 3), in memory or in
// a file that is mapped into it. Nothing is decoded again while the manifest's ids and paths, and the images'
// sizes and times of change, and the preprocessing stay what they were.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/fingerprint.h"
#include "data/manifest.h"
#include "data/preprocess.h"
#include "io/files.h"

namespace gmail {

struct StoreOptions {
  Preprocess preprocess;        // its size is S; the normalisation is not applied
  std::filesystem::path cache;  // a file, made if it is missing or stale; empty: memory
  int64_t max_damaged = 10;     // so many images may be missing or damaged; they are skipped
  // called now and then from the constructor while it decodes
  std::function<void(int64_t done, int64_t total)> progress;
};

struct Damaged {
  int64_t index;
  std::string reason;  // names the file
};
// "2 damaged images are skipped: ..; .." or ""
[[nodiscard]] std::string damage_report(std::span<const Damaged> damaged);

// the records' ids and paths, and their images' sizes and times of change
void add_images(Fingerprint& fingerprint, const Manifest& manifest);

class ImageStore {
 public:
  // InputError if more than max_damaged images are damaged: says how many were allowed, and names the first.
  ImageStore(const Manifest& manifest, const StoreOptions& options);

  [[nodiscard]] int64_t count() const { return count_; }  // the manifest's records
  [[nodiscard]] int64_t size() const { return size_; }
  // (S, S, 3) of record i; black if it is damaged
  [[nodiscard]] std::span<const uint8_t> pixels(int64_t i) const;
  [[nodiscard]] bool usable(int64_t i) const;
  [[nodiscard]] const std::vector<Damaged>& damaged() const { return damaged_; }
  [[nodiscard]] std::string damage_report() const { return gmail::damage_report(damaged_); }
  // did the constructor find a cache that was good?
  [[nodiscard]] bool from_cache() const { return from_cache_; }

 private:
  using Sink = std::function<void(std::span<const uint8_t>)>;
  void decode(const Manifest& manifest, const StoreOptions& options, const Sink& sink);
  [[nodiscard]] bool open_cache(const Manifest& manifest, const std::filesystem::path& file,
                                uint64_t fingerprint);
  void write_cache(const Manifest& manifest, const StoreOptions& options, uint64_t fingerprint);
  [[nodiscard]] int64_t image_bytes() const { return size_ * size_ * 3; }

  Preprocess preprocess_;
  int64_t count_, size_;
  std::vector<uint8_t> memory_;
  std::unique_ptr<MappedFile> file_;
  const uint8_t* pixels_ = nullptr;
  std::vector<Damaged> damaged_;  // by index
  bool from_cache_ = false;
};

}  // namespace gmail
