#include "data/image.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>

namespace {

constexpr int64_t kMaxPixels = 2 * 89'478'485;  // where Pillow refuses: twice its MAX_IMAGE_PIXELS
// The decoder's largest block: eight bytes a pixel is the most that a PNG means. One of 1 MB inflates to 1 GB
// if it is made so.
constexpr size_t kMaxBlock = size_t{8} * kMaxPixels + (size_t{1} << 26);
// Zeros: the decoder looks into tables that a damaged JPEG does not have.
void* bounded_malloc(size_t bytes) { return bytes > kMaxBlock ? nullptr : std::calloc(1, bytes); }
void* bounded_realloc(void* p, size_t bytes) { return bytes > kMaxBlock ? nullptr : std::realloc(p, bytes); }

}  // namespace

#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_MALLOC(n) bounded_malloc(n)
#define STBI_REALLOC(p, n) bounded_realloc(p, n)
#define STBI_FREE(p) std::free(p)
// Its assertions fail on damaged data too: there are none, and the tests see what happens then.
#define STBI_ASSERT(condition) static_cast<void>(0)
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb_image.h>
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>

#include "core/check.h"
#include "data/image_source.h"
#include "io/files.h"

namespace gmail {
namespace {

using Bytes = std::span<const unsigned char>;

bool begins_with(Bytes bytes, std::initializer_list<unsigned char> magic) {
  return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), bytes.begin());
}

// Has every table of a DHT segment, whose contents begin at `at`, room for its codes? stb (up to 2.28) writes
// beyond 256 of them, loses the last of 256, and reads a table to its end where the segment ends before. A
// JPEG of 8 bits has no use for more than 162.
bool huffman_tables_fit(Bytes bytes, size_t at, int64_t length) {
  while (length > 0) {
    int64_t codes = 0;
    for (size_t k = 1; k <= 16 && at + k < bytes.size(); ++k) codes += bytes[at + k];
    if (codes > 255) return false;
    at += static_cast<size_t>(17 + codes);
    length -= 17 + codes;
  }
  return true;
}

constexpr const char* kCutShort = "the file is cut short";

// What is wrong with a JPEG that stb would not refuse, or null: it pads one that ends too early with grey.
// Walks marker by marker to the end of the image (FF D9); a thumbnail's own end, inside an application
// segment, is jumped over.
const char* damage_of_jpeg(Bytes bytes) {
  size_t i = 2;
  while (i + 1 < bytes.size()) {
    if (bytes[i] != 0xFF) {  // entropy-coded data
      ++i;
      continue;
    }
    const unsigned char marker = bytes[i + 1];
    if (marker == 0xD9) return nullptr;
    const bool fill = marker == 0xFF;  // may precede a marker
    const bool without_length = marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8);
    if (fill || without_length) {
      i += fill ? 1 : 2;
      continue;
    }
    if (i + 3 >= bytes.size()) return kCutShort;
    const int length = bytes[i + 2] << 8 | bytes[i + 3];
    if (marker == 0xC4 && !huffman_tables_fit(bytes, i + 4, length - 2))
      return "a Huffman table of more than 255 codes";
    i += 2 + static_cast<size_t>(length);
  }
  return kCutShort;
}

// The same of a PNG, chunk by chunk (length, type, data, checksum) to IEND.
const char* damage_of_png(Bytes bytes) {
  size_t i = 8;
  while (i + 12 <= bytes.size()) {
    const size_t length = static_cast<size_t>(bytes[i]) << 24 | static_cast<size_t>(bytes[i + 1]) << 16 |
                          static_cast<size_t>(bytes[i + 2]) << 8 | bytes[i + 3];
    if (std::equal(&bytes[i + 4], &bytes[i + 8], "IEND")) return nullptr;
    i += 12 + length;
  }
  return kCutShort;
}

// A grey image of 16 bits: Pillow's convert("RGB") clips it, and does not scale it.
bool is_grey16(Bytes png) { return png.size() > 25 && png[24] == 16 && png[25] == 0; }

// Before anything is decoded. Of a PNG from where the format has them, since stb names no reason for what it
// finds too large.
void check_size(Bytes bytes, bool png, const std::string& name) {
  int64_t width = 0, height = 0;
  const auto at = [&](size_t i) {
    return int64_t{bytes[i]} << 24 | int64_t{bytes[i + 1]} << 16 | int64_t{bytes[i + 2]} << 8 | bytes[i + 3];
  };
  if (png && bytes.size() > 25 && std::equal(&bytes[12], &bytes[16], "IHDR")) {
    width = at(16), height = at(20);
  } else {
    int w = 0, h = 0, channels = 0;
    const int known = stbi_info_from_memory(bytes.data(), static_cast<int>(bytes.size()), &w, &h, &channels);
    GMAIL_INPUT(known != 0, name, ": damaged image: ", stbi_failure_reason());
    width = w, height = h;
  }
  GMAIL_INPUT(width > 0 && height > 0, name, ": damaged image: ", width, " x ", height, " pixels");
  GMAIL_INPUT(width <= kMaxPixels / height, name, ": expected at most ", kMaxPixels, " pixels, found ", width,
              " x ", height);
}

template <class T, class Load>
std::unique_ptr<T, decltype(&stbi_image_free)> load(Load load_from_memory, Bytes bytes, int& width,
                                                    int& height, int channels) {
  int found = 0;
  return {load_from_memory(bytes.data(), static_cast<int>(bytes.size()), &width, &height, &found, channels),
          stbi_image_free};
}

}  // namespace

Image read_image(const std::filesystem::path& path) {
  const ImageBytes source(path);
  return decode_image(source.get(), path.string());
}

Image decode_image(std::span<const std::byte> encoded, const std::string& name) {
  const Bytes bytes(reinterpret_cast<const unsigned char*>(encoded.data()), encoded.size());
  GMAIL_INPUT(!bytes.empty(), name, ": not an image: the file is empty");
  const bool jpeg = begins_with(bytes, {0xFF, 0xD8});
  const bool png = begins_with(bytes, {0x89, 'P', 'N', 'G', 0x0D, 0x0A, 0x1A, 0x0A});
  GMAIL_INPUT(jpeg || png, name, ": not an image: neither JPEG nor PNG");
  GMAIL_INPUT(bytes.size() < (1U << 31), name, ": not an image that we can read: larger than 2 GiB");
  const char* damage = jpeg ? damage_of_jpeg(bytes) : damage_of_png(bytes);
  GMAIL_INPUT(damage == nullptr, name, ": damaged image: ", damage);
  int width = 0, height = 0;
  check_size(bytes, png, name);
  Image image;
  if (png && is_grey16(bytes)) {
    const auto grey = load<stbi_us>(stbi_load_16_from_memory, bytes, width, height, 1);
    GMAIL_INPUT(grey != nullptr, name, ": damaged image: ", stbi_failure_reason());
    image = Image(width, height);
    for (size_t i = 0; i < image.rgb.size(); ++i)
      image.rgb[i] = static_cast<uint8_t>(std::min<stbi_us>(grey.get()[i / 3], 255));
  } else {
    const auto rgb = load<stbi_uc>(stbi_load_from_memory, bytes, width, height, 3);
    GMAIL_INPUT(rgb != nullptr, name, ": damaged image: ", stbi_failure_reason());
    image = Image(width, height);
    std::copy_n(rgb.get(), image.rgb.size(), image.rgb.begin());
  }
  return image;
}

void write_png(const std::filesystem::path& path, const Image& image) {
  const bool sane =
      image.width > 0 && image.height > 0 && image.width < (1 << 24) && image.height < (1 << 24);
  GMAIL_CHECK(sane && static_cast<int64_t>(image.rgb.size()) == image.width * image.height * 3,
              "[write_png] ", path.string(), ": an image of ", image.width, " x ", image.height,
              " pixels and ", image.rgb.size(), " bytes");
  std::string bytes;
  const auto append = [](void* context, void* data, int size) {
    static_cast<std::string*>(context)->append(static_cast<const char*>(data), static_cast<size_t>(size));
  };
  const int encoded =
      stbi_write_png_to_func(append, &bytes, static_cast<int>(image.width), static_cast<int>(image.height), 3,
                             image.rgb.data(), static_cast<int>(image.width * 3));
  GMAIL_CHECK(encoded != 0, path.string(), ": cannot encode as PNG: out of memory");
  write_atomically(path, bytes, Flush::no);
}

Image crop(const Image& image, int64_t x, int64_t y, int64_t width, int64_t height) {
  GMAIL_CHECK(
      x >= 0 && y >= 0 && width > 0 && height > 0 && x + width <= image.width && y + height <= image.height,
      "[crop] ", width, " x ", height, " at (", x, ", ", y, ") of an image of ", image.width, " x ",
      image.height);
  Image out(width, height);
  for (int64_t row = 0; row < height; ++row) std::copy_n(image.at(x, y + row), width * 3, out.at(0, row));
  return out;
}

Image flip_horizontal(const Image& image) {
  Image out(image.width, image.height);
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x) std::copy_n(image.at(x, y), 3, out.at(image.width - 1 - x, y));
  return out;
}

}  // namespace gmail
