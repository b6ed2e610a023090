// Protects the loader: the same batches for every number of threads, with and without prefetching and the
// cache; damaged images up to a limit; augmentation and normalisation.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>

#include "catch.h"
#include "core/rng.h"
#include "data/loader.h"
#include "gradcheck.h"
#include "temporary.h"
#include "threads.h"

using namespace gmail;
using namespace gmail::test;

namespace {

constexpr int64_t kSize = 8;
const Preprocess kSquare = Preprocess::square(kSize);

Image noise(uint64_t index) {
  Image image(kSize + 2, kSize + 4);
  Rng rng(5, Purpose::test, 0, index);
  for (uint8_t& v : image.rgb) v = static_cast<uint8_t>(rng.below(256));
  return image;
}

// n images of noise, each with one to three captions, in a folder of its own.
struct World {
  TemporaryDir dir;
  Manifest manifest;
  explicit World(int64_t n) {
    manifest.file = dir / "m.jsonl";
    for (int64_t i = 0; i < n; ++i) {
      const std::string id = "r" + std::to_string(i);
      Record r{id, id + ".png", {}, "train", std::nullopt, {}};
      for (int64_t k = 0; k <= i % 3; ++k) r.captions.push_back(id + " caption " + std::to_string(k));
      write_png(dir / r.image, noise(static_cast<uint64_t>(i)));
      manifest.records.push_back(r);
    }
  }
  [[nodiscard]] ImageStore store(const std::string& cache = "", int64_t max_damaged = 0) const {
    StoreOptions options;
    options.preprocess = kSquare;
    if (!cache.empty()) options.cache = dir / cache;
    options.max_damaged = max_damaged;
    return {manifest, options};
  }
};

LoaderOptions options_of(int64_t batch, bool prefetch) {
  LoaderOptions o;
  o.batch = batch;
  o.seed = 11;
  o.augment = {2, true};
  o.prefetch = prefetch;
  return o;
}

bool equal(const Batch& a, const Batch& b) {
  return a.index == b.index && a.captions == b.captions && a.caption_index == b.caption_index &&
         a.images.shape() == b.images.shape() &&
         std::memcmp(a.images.data<float>(), b.images.data<float>(), a.images.bytes()) == 0;
}

std::string store_error(const World& world, const std::string& cache, int64_t max_damaged) {
  try {
    (void)world.store(cache, max_damaged);
  } catch (const InputError& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("sampler: every epoch has each item once, in an order of its own") {
  const Sampler sampler(10, 3, 7, true);
  CHECK(sampler.steps_per_epoch() == 3);
  std::vector<std::vector<int64_t>> epochs;
  for (int64_t e = 0; e < 4; ++e) {
    std::vector<int64_t> items;
    for (int64_t s = 0; s < 3; ++s)
      for (const int64_t i : sampler.at(3 * e + s)) items.push_back(i);
    CHECK(std::set(items.begin(), items.end()).size() == 9);  // the tenth is dropped
    CHECK(*std::max_element(items.begin(), items.end()) <= 9);
    epochs.push_back(items);
  }
  CHECK(std::set(epochs.begin(), epochs.end()).size() == 4);
  CHECK(sampler.at(1) == Sampler(10, 3, 7, true).at(1));  // after a look at later epochs
  CHECK(sampler.at(1) != Sampler(10, 3, 8, true).at(1));
}

TEST_CASE("sampler: fewer items than a batch go round and round") {
  const Sampler sampler(3, 7, 1, true);
  CHECK(sampler.steps_per_epoch() == 1);
  std::vector<int64_t> items;
  for (int64_t s = 0; s < 3; ++s)
    for (const int64_t i : sampler.at(s)) items.push_back(i);
  REQUIRE(items.size() == 21);
  for (size_t e = 0; e < 21; e += 3) CHECK(items[e] + items[e + 1] + items[e + 2] == 3);  // 0 + 1 + 2
}

TEST_CASE("sampler: in order, wrapping round") {
  const Sampler sampler(5, 3, 1, false);
  CHECK(sampler.at(0) == std::vector<int64_t>{0, 1, 2});
  CHECK(sampler.at(1) == std::vector<int64_t>{3, 4, 0});
  CHECK(sampler.at(5) == std::vector<int64_t>{0, 1, 2});
}

TEST_CASE("sampler: every order is equally likely") {
  std::array<int64_t, 6> counts{};
  for (uint64_t seed = 0; seed < 6000; ++seed) {
    const auto order = Sampler(3, 3, seed, true).at(0);
    ++counts[static_cast<size_t>(order[0] * 2 + (order[1] > order[2] ? 1 : 0))];
  }
  for (const int64_t n : counts) CHECK(std::abs(n - 1000) < 150);  // 5 standard deviations
}

TEST_CASE("loader: one thread, many threads, prefetch, a cache file: the same bits") {
  const World world(23);
  const ImageStore memory = world.store();
  std::vector<Batch> expected;
  {
    const Threads one(1);
    Loader loader(world.manifest, memory, options_of(10, false));
    for (int64_t step = 0; step < 6; ++step) expected.push_back(loader.at(step));
  }
  for (const int threads : {1, 2, 4})
    for (const bool prefetch : {false, true}) {
      const Threads some(threads);
      const ImageStore cached = world.store("pixels.cache");
      Loader loader(world.manifest, cached, options_of(10, prefetch));
      for (size_t step = 0; step < 6; ++step)
        CHECK(equal(loader.at(static_cast<int64_t>(step)), expected[step]));
      for (const size_t step : {3U, 3U, 0U, 5U})  // resume anywhere
        CHECK(equal(loader.at(static_cast<int64_t>(step)), expected[step]));
    }
  CHECK(!equal(expected[0], expected[1]));
}

TEST_CASE("loader: captions belong to their images") {
  const World world(9);
  const ImageStore store = world.store();
  Loader loader(world.manifest, store, options_of(4, true));
  std::set<std::string> seen;
  for (int64_t step = 0; step < 60; ++step) {
    const Batch batch = loader.at(step);
    for (size_t b = 0; b < 4; ++b) {
      const Record& r = world.manifest[batch.index[b]];
      CHECK(batch.captions[b] == r.captions.at(static_cast<size_t>(batch.caption_index[b])));
      seen.insert(batch.captions[b]);
    }
  }
  CHECK(seen.size() == 3 * (1 + 2 + 3));  // each caption of each image had its turn
  LoaderOptions fixed = options_of(4, false);
  fixed.caption = 0;
  CHECK(Loader(world.manifest, store, fixed).at(3).caption_index == std::vector<int64_t>(4, 0));
  fixed.caption = 1;
  CHECK_THROWS_WITH(Loader(world.manifest, store, fixed),
                    world.manifest.file.string() + ": record \"r0\": caption 1 was asked for, found 1");
}

TEST_CASE("loader: a subset of the rows, and rows as they are") {
  const World world(6);
  const ImageStore store = world.store();
  LoaderOptions plain = options_of(2, false);
  plain.augment = {};
  plain.shuffle = false;
  const std::vector<int64_t> rows = {5, 1};
  Loader loader(world.manifest, store, plain, rows);
  const Batch batch = loader.at(0);
  CHECK(batch.index == rows);
  const Tensor images = load_images(store, rows, kClipNormalisation);
  CHECK(close(batch.images, images, 0) == "");
  const std::vector<Image> decoded = {kSquare(noise(5)), kSquare(noise(1))};
  CHECK(close(normalise(decoded, kClipNormalisation), images, 0) == "");
}

TEST_CASE("loader: images missing, cut short or of another kind are named, skipped, and limited") {
  World world(20);
  const std::string first = (world.dir / "r3.png").string();
  std::filesystem::resize_file(first, 60);
  std::filesystem::remove(world.dir / "r9.png");
  write_without_flush(world.dir / "r17.png", "no image");
  for (const std::string cache : {"", "pixels.cache", "pixels.cache"}) {  // decoded, written, found
    const ImageStore store = world.store(cache, 3);
    REQUIRE(store.damaged().size() == 3);
    CHECK(store.damage_report() == "3 damaged images are skipped: " + first +
                                       ": damaged image: the file is cut short; " +
                                       store.damaged()[1].reason + "; " + (world.dir / "r17.png").string() +
                                       ": not an image: neither JPEG nor PNG");
    CHECK(store.damaged()[1].reason.find("r9.png") != std::string::npos);
    CHECK(!store.usable(9));
    CHECK(store.usable(10));
    Loader loader(world.manifest, store, options_of(17, false));
    CHECK(loader.count() == 17);
    for (const int64_t i : loader.at(0).index) CHECK((i != 3 && i != 9 && i != 17));
    CHECK(store_error(world, cache, 2) == world.manifest.file.string() +
                                              ": more than 2 damaged images, the first: " + first +
                                              ": damaged image: the file is cut short");
  }
  const std::vector<int64_t> bad = {3, 17};
  const ImageStore store = world.store("", 3);
  CHECK_THROWS_WITH(Loader(world.manifest, store, options_of(2, false), bad),
                    world.manifest.file.string() + ": no usable images");
}

TEST_CASE("image store: the cache is used while nothing changes, and made anew when something does") {
  World world(5);
  CHECK(!world.store("pixels.cache").from_cache());
  CHECK(world.store("pixels.cache").from_cache());
  const ImageStore memory = world.store();
  const ImageStore cached = world.store("pixels.cache");
  for (int64_t i = 0; i < 5; ++i)
    CHECK(std::equal(memory.pixels(i).begin(), memory.pixels(i).end(), cached.pixels(i).begin()));

  write_png(world.dir / "r2.png", noise(99));  // an image
  const auto time = std::filesystem::last_write_time(world.dir / "r2.png") + std::chrono::seconds(2);
  std::filesystem::last_write_time(world.dir / "r2.png", time);
  const ImageStore changed = world.store("pixels.cache");
  CHECK(!changed.from_cache());
  CHECK(changed.pixels(2)[0] == kSquare(noise(99)).rgb[0]);
  world.manifest.records.pop_back();  // the manifest
  CHECK(!world.store("pixels.cache").from_cache());
  std::filesystem::resize_file(world.dir / "pixels.cache", 200);  // the cache itself
  CHECK(!world.store("pixels.cache").from_cache());
  CHECK(world.store("pixels.cache").from_cache());

  StoreOptions other{.preprocess = kSquare, .cache = world.dir / "pixels.cache", .progress = {}};
  other.preprocess.crop_rule = CropRule::openai;  // the preprocessing
  CHECK(!ImageStore(world.manifest, other).from_cache());
  CHECK(ImageStore(world.manifest, other).from_cache());
  other.preprocess.norm = kHalfNormalisation;  // is not in the cache
  CHECK(ImageStore(world.manifest, other).from_cache());

  write_without_flush(world.dir / "notes.txt",
                      "do not lose me, these are sixty-four bytes and a few more than that.");
  CHECK(store_error(world, "notes.txt", 0) ==
        (world.dir / "notes.txt").string() + ": not an image cache; remove it, or name another file");
}

TEST_CASE("augment: a shift mirrors at the border, a flip comes after it") {
  const std::vector<uint8_t> row = {0, 10, 20, 30};  // of each line, all channels
  std::vector<uint8_t> pixels;
  for (int y = 0; y < 4; ++y)
    for (const uint8_t v : row) pixels.insert(pixels.end(), 3, v);
  const Normaliser bytes({{0, 0, 0}, {1 / 255.0, 1 / 255.0, 1 / 255.0}});
  std::vector<float> out(pixels.size());
  const auto first_row = [&](const Shift& s) {
    bytes(out.data(), pixels.data(), 4, s);
    return std::vector<int>{static_cast<int>(std::lround(out[0])), static_cast<int>(std::lround(out[3])),
                            static_cast<int>(std::lround(out[6])), static_cast<int>(std::lround(out[9]))};
  };
  CHECK(first_row({0, 0, false}) == std::vector<int>{0, 10, 20, 30});
  CHECK(first_row({0, 3, true}) == std::vector<int>{30, 20, 10, 0});
  CHECK(first_row({2, 0, false}) == std::vector<int>{20, 30, 20, 10});
  CHECK(first_row({-3, 0, false}) == std::vector<int>{30, 20, 10, 0});
  CHECK(first_row({1, 0, true}) == std::vector<int>{20, 30, 20, 10});
  CHECK_THROWS_AS(first_row({4, 0, false}), Error);
  std::set<std::pair<int64_t, int64_t>> shifts;
  int64_t flips = 0;
  for (int64_t i = 0; i < 2000; ++i) {
    const Shift s = draw_shift({1, true}, 3, 0, i);
    shifts.insert({s.x, s.y});
    flips += s.flip ? 1 : 0;
    CHECK((std::abs(s.x) <= 1 && std::abs(s.y) <= 1));
  }
  CHECK(shifts.size() == 9);
  CHECK(std::abs(flips - 1000) < 112);  // 5 standard deviations
  const Shift none = draw_shift({}, 3, 0, 1);
  CHECK((none.x == 0 && none.y == 0 && !none.flip));
}

TEST_CASE("normalise: CLIP's numbers, and back to the same bytes") {
  Image image(16, 16);
  std::iota(image.rgb.begin(), image.rgb.end(), uint8_t{0});
  const std::vector<Image> two = {flip_horizontal(image), image};
  const Tensor x = normalise(two, kClipNormalisation);
  REQUIRE(x.shape() == Shape{2, 16, 16, 3});
  CHECK(x.at(768) == Approx((0 - 0.48145466) / 0.26862954));  // the second image's first pixel is (0, 1, 2)
  CHECK(x.at(769) == Approx((1 / 255.0 - 0.4578275) / 0.26130258));
  CHECK(x.at(770) == Approx((2 / 255.0 - 0.40821073) / 0.27577711));
  CHECK(denormalise(x, 1, kClipNormalisation) == image);
  CHECK(denormalise(x, 0, kClipNormalisation) == two[0]);
  const Tensor wide = Tensor::from<float>(std::vector<float>{-7, 0, 7}, {1, 1, 1, 3});
  CHECK(denormalise(wide, 0, kHalfNormalisation).rgb == std::vector<uint8_t>{0, 128, 255});
  const Tensor nan = Tensor::full({1, 1, 1, 3}, NAN);
  CHECK_THROWS_WITH(denormalise(nan, 0, kHalfNormalisation), "[denormalise] image 0 holds NaN");
}
