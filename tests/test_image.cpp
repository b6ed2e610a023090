// Protects images: files round trip, grey and alpha, damaged files refused by name, resizing as Pillow's.
#include "catch.h"

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "core/check.h"
#include "core/rng.h"
#include "data/preprocess.h"
#include "io/files.h"

using namespace gmail;
namespace fs = std::filesystem;

namespace {

// A folder that goes away with the test.
struct Folder {
  fs::path path = fs::temp_directory_path() / ("gmail_test_image_" + std::to_string(::getpid()));
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
};

Image random_image(int64_t width, int64_t height) {
  Image image(width, height);
  Rng rng(1, Purpose::test);
  for (uint8_t& v : image.rgb) v = static_cast<uint8_t>(rng.below(256));
  return image;
}

void add(std::vector<unsigned char>& bytes, std::initializer_list<int> values) {
  for (const int v : values) bytes.push_back(static_cast<unsigned char>(v));
}

// A grey 8 x 8 JPEG of one colour: a block of nothing but its DC coefficient. The frame header begins at
// byte 71.
std::vector<unsigned char> small_jpeg() {
  std::vector<unsigned char> b;
  add(b, {0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0});
  for (int i = 0; i < 64; ++i) add(b, {1});  // quantisation: all ones
  add(b, {0xFF, 0xC0, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0});
  for (const int table : {0x00, 0x10}) {  // DC: "0" = category 8; AC: "0" = end of block
    add(b, {0xFF, 0xC4, 0, 20, table, 1});
    for (int i = 0; i < 15; ++i) add(b, {0});
    add(b, {table == 0 ? 8 : 0});
  }
  add(b, {0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0});
  // "0", 11001000 (DC = 200: grey 128 + 200 / 8 = 153), "0", then ones to the byte's end
  add(b, {0b01100100, 0b00111111, 0xFF, 0xD9});
  return b;
}

// A PNG of 2 x 1 pixels, in one deflate block that is stored as it is; checksums are not looked at.
std::vector<unsigned char> small_png(int colour_type, std::initializer_list<int> row) {
  const int n = static_cast<int>(row.size()) + 1;
  std::vector<unsigned char> b;
  add(b, {0x89, 'P', 'N', 'G', 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13, 'I', 'H', 'D', 'R'});
  add(b, {0, 0, 0, 2, 0, 0, 0, 1, 8, colour_type, 0, 0, 0, 0, 0, 0, 0});
  add(b, {0, 0, 0, n + 11, 'I', 'D', 'A', 'T', 0x78, 0x01, 1, n, 0, ~n & 0xFF, 0xFF, 0});
  add(b, row);
  add(b, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'I', 'E', 'N', 'D', 0, 0, 0, 0});
  return b;
}

void write_bytes(const fs::path& path, const std::vector<unsigned char>& bytes) {
  write_atomically(path, std::string(bytes.begin(), bytes.end()));
}

std::string refusal(const fs::path& path) {
  try {
    (void)read_image(path);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("image: a PNG comes back as it was written") {
  const Folder folder;
  for (const auto& [w, h] : {std::pair{7, 5}, {1, 1}, {1, 9}, {33, 1}}) {
    const Image image = random_image(w, h);
    write_png(folder.path / "a.png", image);
    CHECK(read_image(folder.path / "a.png") == image);
  }
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) ==
        1);  // no temporary file
}

TEST_CASE("image: grey is expanded, alpha dropped, JPEG decoded") {
  const Folder folder;
  const fs::path file = folder.path / "a";
  write_bytes(file, small_png(0, {10, 200}));
  CHECK(read_image(file).rgb == std::vector<uint8_t>{10, 10, 10, 200, 200, 200});
  write_bytes(file, small_png(4, {10, 0, 200, 255}));
  CHECK(read_image(file).rgb == std::vector<uint8_t>{10, 10, 10, 200, 200, 200});
  write_bytes(file, small_png(6, {1, 2, 3, 0, 4, 5, 6, 128}));
  CHECK(read_image(file).rgb == std::vector<uint8_t>{1, 2, 3, 4, 5, 6});
  write_bytes(file, small_jpeg());
  const Image grey = read_image(file);
  CHECK(grey.width == 8);
  CHECK(grey.height == 8);
  CHECK(grey.rgb == std::vector<uint8_t>(192, 153));
}

TEST_CASE("image: a damaged file is refused by name") {
  const Folder folder;
  const fs::path file = folder.path / "broken";
  const std::string name = file.string();
  CHECK(refusal(file) == "cannot read " + name + ": No such file or directory");
  write_atomically(file, "");
  CHECK(refusal(file) == name + ": not an image: the file is empty");
  write_atomically(file, "GIF89a");
  CHECK(refusal(file) == name + ": not an image: neither JPEG nor PNG");
  const std::vector<unsigned char> jpeg = small_jpeg();
  write_png(file, random_image(40, 40));
  const std::string text = read_text(file);
  const std::vector<unsigned char> png(text.begin(), text.end());
  for (const auto& whole : {jpeg, png})
    for (const size_t cut : {size_t{1}, size_t{2}, size_t{9}, whole.size() / 2, whole.size() - 8}) {
      write_bytes(file, {whole.begin(), whole.end() - static_cast<std::ptrdiff_t>(cut)});
      CHECK(refusal(file) == name + ": damaged image: the file is cut short");
    }
  std::vector<unsigned char> empty = png;
  for (const size_t i : {16U, 17U, 18U, 19U}) empty[i] = 0;  // the width
  write_bytes(file, empty);
  CHECK_THAT(refusal(file), Catch::Matchers::StartsWith(name + ": damaged image: "));
  std::vector<unsigned char> flat = jpeg;
  flat[71 + 5] = flat[71 + 6] = 0;  // the height
  write_bytes(file, flat);
  CHECK_THAT(refusal(file), Catch::Matchers::StartsWith(name + ": damaged image: "));
}

TEST_CASE("image: a file that cannot be written in full leaves the old one") {
  const Folder folder;
  const fs::path file = folder.path / "a.png";
  write_png(file, random_image(3, 3));
  CHECK_THROWS_WITH(write_png(folder.path / "none" / "a.png", random_image(3, 3)),
                    "cannot write " + (folder.path / "none" / "a.png: No such file or directory").string());
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};  // stands for a full disk
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string message;
  try {
    write_png(file, random_image(40, 40));
  } catch (const InputError&) {
    message = "the user's fault";
  } catch (const Error& error) {
    message = error.what();
  }
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  (void)std::signal(SIGXFSZ, handler);
  CHECK(message == "cannot write " + file.string() + ": File too large");
  CHECK(read_image(file) == random_image(3, 3));
  CHECK(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
}

TEST_CASE("image: bicubic by hand") {
  // A row of 0 and 240, from 2 pixels to 1: both lie equally far from the centre, 120.
  Image two(2, 1);
  std::fill_n(two.at(1, 0), 3, uint8_t{240});
  CHECK(resize(two, 1, 1).rgb == std::vector<uint8_t>(3, 120));
  // From 2 to 4 the centres are 0.25, 0.75, 1.25, 1.75, and
  //   k(0.25) = 1.5 / 64 - 2.5 / 16 + 1 = 0.8671875,   k(0.75) = 1.5 * 0.421875 - 2.5 * 0.5625 + 1 =
  //   0.2265625, k(1.25) = -0.5 (((1.25 - 5) 1.25 + 8) 1.25 - 4) = -0.0703125.
  // First pixel: -0.0703125 / 0.796875 * 240 < 0; second: 0.2265625 / 1.09375 * 240 = 49.7; third: 240 less
  // that; fourth: 0.8671875 / 0.796875 * 240 = 261.
  const Image four = resize(two, 4, 1);
  CHECK(std::vector<uint8_t>{*four.at(0, 0), *four.at(1, 0), *four.at(2, 0), *four.at(3, 0)} ==
        std::vector<uint8_t>{0, 50, 190, 255});
  // A column behaves as a row does.
  Image tall(1, 2);
  std::fill_n(tall.at(0, 1), 3, uint8_t{240});
  CHECK(resize(tall, 1, 4).rgb == four.rgb);
}

TEST_CASE("image: a constant stays constant, sides of one pixel work") {
  for (const auto& [w, h] : {std::pair{1, 1}, {1, 13}, {50, 3}, {64, 64}}) {
    Image image(w, h);
    std::fill(image.rgb.begin(), image.rgb.end(), uint8_t{173});
    for (const auto& [x, y] : {std::pair{1, 1}, {5, 1}, {32, 32}, {1, 40}}) {
      const Image out = resize(image, x, y);
      CHECK(out.width == x);
      CHECK(out.height == y);
      CHECK(out.rgb == std::vector<uint8_t>(static_cast<size_t>(x * y * 3), 173));
    }
  }
  const Image image = random_image(9, 6);
  CHECK(resize(image, 9, 6) == image);
  CHECK_THROWS_AS(resize(image, 0, 6), Error);
}

TEST_CASE("image: crop, flip, CLIP's square") {
  const Image image = random_image(7, 4);
  const Image part = crop(image, 2, 1, 4, 3);
  CHECK(std::equal(part.at(3, 2), part.at(3, 2) + 3, image.at(5, 3)));
  CHECK(part.rgb.size() == 36);
  CHECK_THROWS_AS(crop(image, 4, 0, 4, 4), Error);
  const Image flipped = flip_horizontal(image);
  CHECK(std::equal(flipped.at(0, 3), flipped.at(0, 3) + 3, image.at(6, 3)));
  CHECK(flip_horizontal(flipped) == image);
  CHECK(Preprocess::square(4)(image) == crop(image, 1, 0, 4, 4));  // floor((7 - 4) / 2) = 1
  const Image wide = random_image(50, 30);
  CHECK(Preprocess::square(20)(wide) ==
        crop(resize(wide, 33, 20), 6, 0, 20, 20));  // floor(20 * 50 / 30) = 33
}
