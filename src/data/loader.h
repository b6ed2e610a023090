// Batches for training. What a step sees is a pure function of (seed, step): no state is carried, so a
// resumed run needs the step alone, and neither the number of threads nor prefetching changes a bit.
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "data/augment.h"
#include "data/manifest.h"
#include "data/packed_cache.h"

namespace gmail {

// Which of `count` items step s sees, `batch` of them.
//   shuffled    epoch e is a random order of all items; an epoch has floor(count / batch) steps and drops the
//   rest.
//               With fewer items than a batch the epochs follow each other without a break, inside a batch
//               too.
//   sequential  0, 1, 2, .. and from the start again
class Sampler {
 public:
  Sampler(int64_t count, int64_t batch, uint64_t seed, bool shuffle);
  [[nodiscard]] std::vector<int64_t> at(int64_t step) const;
  [[nodiscard]] int64_t steps_per_epoch() const;  // at least 1

 private:
  using Order = std::shared_ptr<const std::vector<int64_t>>;
  [[nodiscard]] Order order_of(int64_t epoch) const;
  int64_t count_, batch_;
  uint64_t seed_;
  bool shuffle_;
  mutable std::mutex mutex_;
  mutable int64_t epoch_ = -1;  // whose order is kept
  mutable Order order_;
};

struct LoaderOptions {
  int64_t batch = 64;
  uint64_t seed = 0;
  bool shuffle = true;  // or the manifest's order
  Augment augment;
  int64_t caption = -1;  // index of the caption; -1: one of the record's captions at random
  Normalisation normalisation = kClipNormalisation;
  bool prefetch = true;  // step + 1 is made by a thread of its own meanwhile
};

struct Batch {
  std::vector<int64_t> index;          // (B) records of the manifest
  Tensor images;                       // (B, S, S, 3) float32, normalised
  std::vector<std::string> captions;   // (B)
  std::vector<int64_t> caption_index;  // (B) which of the record's captions
};

class Loader {
 public:
  // Takes the rows given (all of them by default) whose images are not damaged. Manifest and store must
  // outlive it.
  Loader(const Manifest& manifest, const ImageStore& store, const LoaderOptions& options);
  Loader(const Manifest& manifest, const ImageStore& store, const LoaderOptions& options,
         std::span<const int64_t> rows);
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  [[nodiscard]] Batch at(int64_t step);
  [[nodiscard]] int64_t steps_per_epoch() const { return sampler_->steps_per_epoch(); }
  [[nodiscard]] int64_t count() const { return static_cast<int64_t>(rows_.size()); }

 private:
  [[nodiscard]] Batch make(int64_t step, bool parallel) const;
  const Manifest& manifest_;
  const ImageStore& store_;
  LoaderOptions options_;
  std::vector<int64_t> rows_;
  std::unique_ptr<Sampler> sampler_;
  int64_t next_step_ = -1;
  std::future<Batch> next_;  // the last member: its thread ends before the others go
};

// The images of any rows, as they are: for evaluation, and for the real half of a pair. (B, S, S, 3) float32
[[nodiscard]] Tensor load_images(const ImageStore& store, std::span<const int64_t> rows,
                                 const Normalisation& n);

}  // namespace gmail
