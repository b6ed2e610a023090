// Protects preprocessing to the bit: decoding, resizing and CLIP's processor against the hashes of Pillow's
// and transformers' bytes (scripts/goldens/pillow.py), the vector code against the plain loops, the two rules
// of cropping, preprocessor_config.json, and hostile images.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "core/rng.h"
#include "data/preprocess.h"
#include "data/resize.h"
#include "desk.h"
#include "fuzz.h"
#include "io/files.h"
#include "io/json.h"

using namespace gmail;
using namespace gmail::test;
using nlohmann::json;

namespace {

const std::filesystem::path kGolden = std::filesystem::path(GMAIL_SOURCE_DIR) / "tests/golden/pillow";

// FNV-1a, 64 bits, as the script writes it
std::string hash(const void* data, size_t bytes) {
  uint64_t value = 0xCBF29CE484222325U;
  for (size_t i = 0; i < bytes; ++i)
    value = (value ^ static_cast<const unsigned char*>(data)[i]) * 0x100000001B3U;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}
std::string hash(const Image& image) { return hash(image.rgb.data(), image.rgb.size()); }

Image read(const json& c) { return read_image(kGolden / c.at("file").get<std::string>()); }

Image noise(Rng& rng, int64_t width, int64_t height) {
  Image image(width, height);
  const bool extreme = rng.chance(0.3);  // black and white alone: the overshoot is clipped
  for (uint8_t& v : image.rgb) v = static_cast<uint8_t>(extreme ? 255 * rng.below(2) : rng.below(256));
  return image;
}

Preprocess preprocess_of(const json& config) {
  return Preprocess::from_json(config, "preprocessor_config.json");
}

std::string refusal(const json& config) {
  try {
    (void)preprocess_of(config);
  } catch (const InputError& e) {
    return e.what();
  }
  return "accepted";
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace

TEST_CASE("preprocess: every kind of file is read as Pillow reads it") {
  const json cases = read_json(kGolden / "cases.json");
  int64_t exact = 0;
  for (const json& c : cases["decoded"]) {
    INFO(c.dump());
    const Image image = read(c);
    REQUIRE(image.width == c["width"]);  // as stored: a JPEG's orientation is not applied
    REQUIRE(image.height == c["height"]);
    if (c.contains("pixels")) {
      CHECK(hash(image) == c["pixels"]);
      ++exact;
      continue;
    }
    const Image pillow = read_image(kGolden / c["expected"].get<std::string>());
    int worst = 0;
    for (size_t i = 0; i < image.rgb.size(); ++i)
      worst = std::max(worst, std::abs(image.rgb[i] - pillow.rgb[i]));
    CHECK(worst <= 4);  // another decoder
  }
  CHECK(exact >= 18);
}

TEST_CASE("preprocess: resizing gives Pillow's bytes, before its version 13 and from then on") {
  const json cases = read_json(kGolden / "cases.json");
  int64_t order_matters = 0;
  for (const json& c : cases["resized"]) {
    INFO(c.dump());
    const Image image = read(c);
    Resample how;
    how.filter = c["filter"] == "bicubic" ? Filter::bicubic : Filter::bilinear;
    const int64_t w = c["width"], h = c["height"];
    CHECK(hash(resize(image, w, h, how)) == c["pixels"]);
    CHECK(hash(resize_window_naive(image, w, h, {0, 0, w, h}, how)) == c["pixels"]);
    how.passes = Passes::rows_first;
    CHECK(hash(resize(image, w, h, how)) == c["rows_first"]);
    order_matters += c["pixels"] != c["rows_first"] ? 1 : 0;
  }
  CHECK(order_matters >= 10);
}

TEST_CASE("preprocess: CLIPImageProcessor's pixels and float32 values, and torchvision's crop") {
  const json cases = read_json(kGolden / "cases.json");
  int64_t values = 0;
  for (const json& c : cases["clip"]) {
    INFO(c.dump());
    Preprocess p = preprocess_of(c["config"]);
    if (c["crop"] == "openai") p.crop_rule = CropRule::openai;
    const Image out = p(read(c));
    REQUIRE(out.width == c["width"]);
    REQUIRE(out.height == c["height"]);
    CHECK(hash(out) == c["pixels"]);
    CHECK(preprocess_of(p.to_json()).pixel_key() == preprocess_of(c["config"]).pixel_key());
    if (!c.contains("values")) continue;
    ++values;
    std::vector<float> y(out.rgb.size());
    const Normaliser normaliser(p.norm);
    for (int64_t row = 0; row < out.height; ++row)
      for (int64_t x = 0; x < out.width; ++x)
        normaliser(y.data() + (row * out.width + x) * 3, out.at(x, row), 1);
    CHECK(hash(y.data(), y.size() * sizeof(float)) == c["values"]);
    CHECK(preprocess_of(p.to_json()).norm == p.norm);
  }
  CHECK(values >= 30);
}

TEST_CASE("preprocess: the vector code, the plain loops and a window agree on random sizes") {
  Rng rng(3, Purpose::test);
  const auto side = [&](int64_t most) { return 1 + (rng.chance(0.2) ? rng.below(4) : rng.below(most)); };
  for (int64_t i = 0; i < 150; ++i) {
    const Image image = noise(rng, side(70), side(70));
    const int64_t w = side(80), h = side(80);
    const Resample how{rng.chance(0.7) ? Filter::bicubic : Filter::bilinear,
                       rng.chance(0.5) ? Passes::rows_first : Passes::as_pillow_13};
    INFO(image.width << " x " << image.height << " to " << w << " x " << h);
    const Image whole = resize(image, w, h, how);
    CHECK(whole == resize_window_naive(image, w, h, {0, 0, w, h}, how));
    Window part{rng.below(w), rng.below(h), 0, 0};
    part.width = 1 + rng.below(w - part.x), part.height = 1 + rng.below(h - part.y);
    const Image cut = crop(whole, part.x, part.y, part.width, part.height);
    CHECK(resize_window(image, w, h, part, how) == cut);
    CHECK(resize_window_naive(image, w, h, part, how) == cut);
  }
  CHECK_THROWS_AS(resize_window(Image(4, 4), 8, 8, {1, 0, 8, 8}), Error);
}

TEST_CASE("preprocess: an odd pixel is left off where each library leaves it off") {
  const auto first_column = [](int64_t side, int64_t crop_size, CropRule rule) {
    Image image(side, crop_size);
    for (int64_t x = 0; x < side; ++x) *image.at(x, 0) = static_cast<uint8_t>(x + 1);
    Preprocess p;
    p.resizing = Resizing::none;
    p.crop_width = p.crop_height = crop_size;
    p.crop_rule = rule;
    const Image out = p(image);
    int64_t x = 0;
    while (x + 1 < out.width && *out.at(x, 0) == 0) ++x;
    return *out.at(x, 0) - 1 - x;  // where the crop begins; negative: so many black pixels come first
  };
  for (const auto& [side, hf, openai] : {std::tuple{9, 0, 0},
                                         {10, 1, 1},
                                         {11, 1, 2},
                                         {12, 2, 2},
                                         {13, 2, 2},
                                         {15, 3, 4},
                                         {7, -1, 0},
                                         {5, -2, -1},
                                         {4, -2, -2}}) {
    INFO(side);
    CHECK(first_column(side, 8, CropRule::hf) == hf);
    CHECK(first_column(side, 8, CropRule::openai) == openai);
  }
}

TEST_CASE("preprocess: preprocessor_config.json is read as transformers reads it, or refused by field") {
  const Preprocess all = preprocess_of(json::object());  // the processor's own values
  CHECK(all.pixel_key() == Preprocess::square(224).pixel_key());
  CHECK(all.norm == kClipNormalisation);
  const Preprocess old = preprocess_of({{"feature_extractor_type", "CLIPFeatureExtractor"},
                                        {"size", 336},
                                        {"crop_size", 336},
                                        {"resample", 3},
                                        {"processor_class", "CLIPProcessor"},
                                        {"device", nullptr},
                                        {"do_pad", nullptr}});
  CHECK(old.size() == 336);
  CHECK(preprocess_of({{"size", {{"height", 32}, {"width", 32}}}, {"do_center_crop", false}}).size() == 32);
  const std::string at = "preprocessor_config.json: field ";
  const auto wrong = [&](const json& config, const std::string& field, const std::string& why) {
    INFO(config.dump());
    const std::string message = refusal(config);
    CHECK_THAT(message, Catch::Matchers::StartsWith(at + "\"" + field + "\": "));
    CHECK_THAT(message, Catch::Matchers::Contains(why));
  };
  wrong({{"sise", 224}}, "sise", "unknown");
  wrong({{"size", 0}}, "size", "1 to 65536 pixels");
  wrong({{"size", "big"}}, "size", "shortest_edge");
  wrong({{"size", {{"shortest_edge", 3}, {"longest_edge", 9}}}}, "size.longest_edge", "unknown");
  wrong({{"size", {{"height", 3}}}}, "size.width", "found nothing");
  wrong({{"crop_size", {{"height", 3}, {"width", -3}}}}, "crop_size.width", "-3");
  wrong({{"crop_size", true}}, "crop_size", "a number, or {height, width}");
  wrong({{"resample", 1}}, "resample", "not lanczos");
  wrong({{"resample", 0}}, "resample", "not nearest");
  wrong({{"resample", 9}}, "resample", "2 (bilinear) or 3 (bicubic)");
  wrong({{"do_resize", 1}}, "do_resize", "true or false");
  wrong({{"do_pad", true}}, "do_pad", "false");
  wrong({{"image_mean", {0.5, 0.5}}}, "image_mean", "three numbers");
  wrong({{"image_std", {0.5, 0.0, 0.5}}}, "image_std", "> 0");
  wrong({{"rescale_factor", 0}}, "rescale_factor", "> 0");
  wrong({{"image_processor_type", "ViTImageProcessor"}}, "image_processor_type", "CLIPImageProcessor");
  CHECK_THROWS_WITH(preprocess_of({{"do_center_crop", false}}).size(),
                    Catch::Matchers::Contains("images of many sizes"));
  CHECK_THROWS_WITH(preprocess_of({{"crop_size", {{"height", 3}, {"width", 5}}}}).size(),
                    Catch::Matchers::Contains("height 3 and width 5"));
}

TEST_CASE("preprocess: what changes the pixels changes their key") {
  Preprocess p = Preprocess::square(32);
  std::vector<std::string> keys{p.pixel_key()};
  const auto other = [&](const Preprocess& q) { keys.push_back(q.pixel_key()); };
  Preprocess q = p;
  q.width = q.height = 40, other(q), q = p;
  q.resizing = Resizing::exact, other(q), q = p;
  q.resizing = Resizing::none, other(q), q = p;
  q.resample.filter = Filter::bilinear, other(q), q = p;
  q.resample.passes = Passes::rows_first, other(q), q = p;
  q.crop_rule = CropRule::openai, other(q), q = p;
  q.centre_crop = false, other(q), q = p;
  q.crop_width = 31, other(q), q = p;
  std::sort(keys.begin(), keys.end());
  CHECK(std::unique(keys.begin(), keys.end()) == keys.end());
  q.norm = kHalfNormalisation;  // is not applied to pixels
  CHECK(q.pixel_key() == p.pixel_key());
}

TEST_CASE("preprocess: a small file that claims a huge image is refused before it is decoded") {
  std::string png = read_text(kGolden / "dot.png");
  const auto set_size = [&](uint32_t width, uint32_t height) {
    for (int i = 0; i < 4; ++i) {
      png[static_cast<size_t>(16 + i)] = static_cast<char>(width >> (24 - 8 * i));
      png[static_cast<size_t>(20 + i)] = static_cast<char>(height >> (24 - 8 * i));
    }
  };
  set_size(20000, 20000);
  CHECK_THROWS_WITH(decode_image(bytes_of(png), "bomb.png"),
                    "bomb.png: expected at most 178956970 pixels, found 20000 x 20000");
  set_size(0x7FFFFFFF, 0x7FFFFFFF);
  CHECK_THROWS_WITH(decode_image(bytes_of(png), "bomb.png"), Catch::Matchers::StartsWith("bomb.png: "));
  set_size(0, 1);
  CHECK_THROWS_WITH(decode_image(bytes_of(png), "bomb.png"),
                    Catch::Matchers::StartsWith("bomb.png: damaged"));
  set_size(12000, 12000);  // allowed, but there is no such image in it
  CHECK_THROWS_AS(decode_image(bytes_of(png), "bomb.png"), InputError);
}

TEST_CASE("preprocess: a JPEG's Huffman table that would be written beyond its end is refused") {
  std::string jpeg = read_text(kGolden / "rgb.jpg");
  const size_t table = jpeg.find("\xFF\xC4");
  REQUIRE(table != std::string::npos);
  jpeg[table + 6] = jpeg[table + 7] = '\xFF';  // codes of two and of three bits
  CHECK_THROWS_WITH(decode_image(bytes_of(jpeg), "a.jpg"),
                    "a.jpg: damaged image: a Huffman table of more than 255 codes");
}

TEST_CASE("preprocess: mutated images are read or refused, never worse") {
  for (const char* name : {"rgb.png", "palette_transparent.png", "grey16.png", "rgba16.png", "grey_2bit.png",
                           "rgb.jpg", "progressive.jpg", "cmyk.jpg"}) {
    const std::string good = read_text(kGolden / name);
    (void)decode_image(bytes_of(good), name);
    const int64_t rounds = fuzz_rounds(60);
    const int64_t refused = count_refused(
        good, good.size(), rounds,
        [&](const std::string& bytes) { (void)decode_image(bytes_of(bytes), name); },
        std::string_view("\xFF\xD8\xD9\xC0\xC4\xDA\x00\x01\x7F\x10", 10));
    CHECK(refused > 0);
    CHECK(refused <= rounds);
  }
}

TEST_CASE("preprocess: the command writes the cropped image") {
  const Desk desk;
  const std::string in = (kGolden / "wide.png").string();
  CHECK(desk.ok("preprocess " + in + " --size 16 --out a/b.png").find("131 x 9 to 16 x 16") !=
        std::string::npos);
  CHECK(read_image(desk.dir / "a/b.png") == Preprocess::square(16)(read_image(in)));
  Preprocess p = Preprocess::square(17);
  p.crop_width = p.crop_height = 14;
  desk.write("preprocessor_config.json", p.to_json().dump());
  p.crop_rule = CropRule::openai;
  desk.ok("preprocess " + in + " --preprocessor . --crop openai --out c.png");
  CHECK(read_image(desk.dir / "c.png") == p(read_image(in)));
  desk.refused("preprocess " + in + " --out d.png", {"--size or --preprocessor"});
  desk.refused("preprocess " + in + " --size 0 --preprocessor . --crop middle --out d.png", {"--crop"});
  desk.write("preprocessor_config.json", R"({"resample": 4})");
  desk.refused("preprocess " + in + " --preprocessor . --out d.png", {"preprocessor_config.json", "not box"});
  desk.write("cut.png", read_text(in).substr(0, 900));
  desk.refused("preprocess cut.png --size 8 --out d.png", {"cut.png", "cut short"});
  CHECK_FALSE(desk.has("d.png"));
}
