#include "data/loader.h"

#include <algorithm>
#include <numeric>

#include "core/check.h"
#include "core/parallel_for.h"
#include "core/rng.h"

namespace gmail {
namespace {

std::vector<int64_t> usable_rows(const ImageStore& store, std::span<const int64_t> rows) {
  std::vector<int64_t> out;
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(out), [&](int64_t i) { return store.usable(i); });
  return out;
}

std::vector<int64_t> all_rows(int64_t n) {
  std::vector<int64_t> rows(static_cast<size_t>(n));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

}  // namespace

Sampler::Sampler(int64_t count, int64_t batch, uint64_t seed, bool shuffle)
    : count_(count), batch_(batch), seed_(seed), shuffle_(shuffle) {
  GMAIL_CHECK(count > 0 && batch > 0, "[sampler] ", count, " items in batches of ", batch);
}

int64_t Sampler::steps_per_epoch() const { return std::max<int64_t>(1, count_ / batch_); }

std::vector<int64_t> Sampler::at(int64_t step) const {
  GMAIL_CHECK(step >= 0, "[sampler] step ", step);
  const int64_t steps = count_ / batch_;  // of one epoch; 0: less than a batch
  std::vector<int64_t> items;
  items.reserve(static_cast<size_t>(batch_));
  for (int64_t i = 0; i < batch_; ++i) {
    const int64_t place = step * batch_ + i;
    if (!shuffle_) {
      items.push_back(place % count_);
      continue;
    }
    const int64_t epoch = steps > 0 ? step / steps : place / count_;
    const int64_t within = steps > 0 ? step % steps * batch_ + i : place % count_;
    items.push_back((*order_of(epoch))[static_cast<size_t>(within)]);
  }
  return items;
}

// Fisher and Yates (Knuth, TAOCP vol. 2, algorithm P), from the stream (seed, shuffle, epoch).
Sampler::Order Sampler::order_of(int64_t epoch) const {
  const std::lock_guard lock(mutex_);
  if (epoch == epoch_) return order_;
  auto order = std::make_shared<std::vector<int64_t>>(all_rows(count_));
  Rng rng(seed_, Purpose::shuffle, static_cast<uint64_t>(epoch));
  for (int64_t i = count_ - 1; i > 0; --i)
    std::swap((*order)[static_cast<size_t>(i)], (*order)[static_cast<size_t>(rng.below(i + 1))]);
  epoch_ = epoch;
  order_ = std::move(order);
  return order_;
}

Loader::Loader(const Manifest& manifest, const ImageStore& store, const LoaderOptions& options)
    : Loader(manifest, store, options, all_rows(manifest.size())) {}

Loader::Loader(const Manifest& manifest, const ImageStore& store, const LoaderOptions& options,
               std::span<const int64_t> rows)
    : manifest_(manifest), store_(store), options_(options), rows_(usable_rows(store, rows)) {
  GMAIL_CHECK(store.count() == manifest.size(), "[loader] a store of ", store.count(),
              " images for a manifest of ", manifest.size());
  GMAIL_INPUT(options.batch > 0, "batch: expected at least 1, found ", options.batch);
  GMAIL_INPUT(options.augment.crop_shift >= 0 && options.augment.crop_shift < store.size(),
              "crop shift: expected less than the image's ", store.size(), " pixels, found ",
              options.augment.crop_shift);
  GMAIL_INPUT(!rows_.empty(), manifest.file.string(), ": no usable images");
  for (const int64_t i : rows_) {
    const auto captions = static_cast<int64_t>(manifest[i].captions.size());
    GMAIL_INPUT(options.caption < captions, manifest.file.string(), ": record \"", manifest[i].id,
                "\": caption ", options.caption, " was asked for, found ", captions);
  }
  sampler_ = std::make_unique<Sampler>(count(), options.batch, options.seed, options.shuffle);
}

Batch Loader::at(int64_t step) {
  if (!options_.prefetch) return make(step, true);
  Batch batch;
  if (next_.valid() && next_step_ == step) {
    batch = next_.get();
  } else {
    if (next_.valid()) next_.wait();
    batch = make(step, true);
  }
  next_step_ = step + 1;
  next_ = std::async(std::launch::async, [this, step] { return make(step + 1, false); });
  return batch;
}

// The pool of parallel_for belongs to the model while a batch is made ahead.
Batch Loader::make(int64_t step, bool parallel) const {
  Batch batch;
  const int64_t B = options_.batch, S = store_.size(), bytes = S * S * 3;
  for (const int64_t item : sampler_->at(step)) batch.index.push_back(rows_[static_cast<size_t>(item)]);
  batch.images = Tensor::empty({B, S, S, 3});
  for (int64_t b = 0; b < B; ++b) {
    const Record& record = manifest_[batch.index[static_cast<size_t>(b)]];
    Rng rng(options_.seed, Purpose::caption_choice, static_cast<uint64_t>(step), static_cast<uint64_t>(b));
    const int64_t caption =
        options_.caption >= 0 ? options_.caption : rng.below(static_cast<int64_t>(record.captions.size()));
    batch.caption_index.push_back(caption);
    batch.captions.push_back(record.captions[static_cast<size_t>(caption)]);
  }
  auto* out = batch.images.data<float>();
  const Normaliser normaliser(options_.normalisation);
  const auto fill = [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      normaliser(out + b * bytes, store_.pixels(batch.index[static_cast<size_t>(b)]).data(), S,
                 draw_shift(options_.augment, options_.seed, step, b));
  };
  if (parallel)
    parallel_for(B, 8, fill);
  else
    fill(0, B);
  return batch;
}

Tensor load_images(const ImageStore& store, std::span<const int64_t> rows, const Normalisation& n) {
  const int64_t B = static_cast<int64_t>(rows.size()), S = store.size();
  Tensor out = Tensor::empty({B, S, S, 3});  // (B, S, S, 3)
  auto* data = out.data<float>();
  const Normaliser normaliser(n);
  parallel_for(B, 8, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      normaliser(data + b * S * S * 3, store.pixels(rows[static_cast<size_t>(b)]).data(), S);
  });
  return out;
}

}  // namespace gmail
