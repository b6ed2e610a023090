#include "data/image.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <span>
#include <string>

#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb_image.h>
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb_image_write.h>

#include "core/check.h"
#include "io/files.h"

namespace gmail {
namespace {

using Bytes = std::span<const unsigned char>;

bool begins_with(Bytes bytes, std::initializer_list<unsigned char> magic) {
  return bytes.size() >= magic.size() && std::equal(magic.begin(), magic.end(), bytes.begin());
}

// stb pads a JPEG that ends too early with grey and reports success. Walks marker by marker to the end of the
// image (FF D9); a thumbnail's own end, inside an application segment, is jumped over.
bool jpeg_is_complete(Bytes bytes) {
  size_t i = 2;
  while (i + 1 < bytes.size()) {
    if (bytes[i] != 0xFF) {  // entropy-coded data
      ++i;
      continue;
    }
    const unsigned char marker = bytes[i + 1];
    if (marker == 0xD9) return true;
    const bool fill = marker == 0xFF;  // may precede a marker
    const bool without_length = marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8);
    if (fill || without_length) {
      i += fill ? 1 : 2;
      continue;
    }
    if (i + 3 >= bytes.size()) return false;
    i += 2 + static_cast<size_t>(bytes[i + 2] << 8 | bytes[i + 3]);
  }
  return false;
}

// Chunk by chunk (length, type, data, checksum) to IEND.
bool png_is_complete(Bytes bytes) {
  size_t i = 8;
  while (i + 12 <= bytes.size()) {
    const size_t length = static_cast<size_t>(bytes[i]) << 24 | static_cast<size_t>(bytes[i + 1]) << 16 |
                          static_cast<size_t>(bytes[i + 2]) << 8 | bytes[i + 3];
    if (std::equal(&bytes[i + 4], &bytes[i + 8], "IEND")) return true;
    i += 12 + length;
  }
  return false;
}

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

constexpr int kFraction = 22;  // bits of a weight after the point: 32, less 8 of a pixel, 2 for overshoot

// The input pixels [first, first + weights.size()) that make one output pixel.
struct Taps {
  int64_t first = 0;
  std::vector<int32_t> weights;
};

std::vector<Taps> make_taps(int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double filter_scale = std::max(1.0, scale);
  const double support = 2 * filter_scale;
  std::vector<Taps> all(static_cast<size_t>(out));
  std::vector<double> w;
  for (int64_t x = 0; x < out; ++x) {
    const double centre = (static_cast<double>(x) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const int64_t last = std::min(in, static_cast<int64_t>(centre + support + 0.5));
    double sum = 0;
    w.clear();
    for (int64_t i = 0; i < last - first; ++i) {
      w.push_back(bicubic((static_cast<double>(i + first) - centre + 0.5) * (1 / filter_scale)));
      sum += w.back();
    }
    Taps& taps = all[static_cast<size_t>(x)];
    taps.first = first;
    for (const double v : w) {
      const double fixed = v / sum * (1 << kFraction);
      taps.weights.push_back(static_cast<int32_t>(fixed < 0 ? fixed - 0.5 : fixed + 0.5));
    }
  }
  return all;
}

// One output pixel: taps over pixels that lie `stride` bytes apart.
void apply(const Taps& taps, const uint8_t* in, int64_t stride, uint8_t* out) {
  std::array<int32_t, 3> sum{1 << (kFraction - 1), 1 << (kFraction - 1), 1 << (kFraction - 1)};
  for (const int32_t w : taps.weights) {
    for (size_t c = 0; c < 3; ++c) sum[c] += w * in[c];
    in += stride;
  }
  for (size_t c = 0; c < 3; ++c) out[c] = static_cast<uint8_t>(std::clamp(sum[c] >> kFraction, 0, 255));
}

}  // namespace

Image read_image(const std::filesystem::path& path) {
  return decode_image(MappedFile(path).bytes(), path.string());
}

Image decode_image(std::span<const std::byte> file, const std::string& name) {
  const Bytes bytes(reinterpret_cast<const unsigned char*>(file.data()), file.size());
  GMAIL_INPUT(!bytes.empty(), name, ": not an image: the file is empty");
  const bool jpeg = begins_with(bytes, {0xFF, 0xD8});
  const bool png = begins_with(bytes, {0x89, 'P', 'N', 'G', 0x0D, 0x0A, 0x1A, 0x0A});
  GMAIL_INPUT(jpeg || png, name, ": not an image: neither JPEG nor PNG");
  GMAIL_INPUT(bytes.size() < (1U << 31), name, ": not an image that we can read: larger than 2 GiB");
  GMAIL_INPUT(jpeg ? jpeg_is_complete(bytes) : png_is_complete(bytes), name,
              ": damaged image: the file is cut short");
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> pixels(
      stbi_load_from_memory(bytes.data(), static_cast<int>(bytes.size()), &width, &height, &channels, 3),
      stbi_image_free);
  GMAIL_INPUT(pixels != nullptr, name, ": damaged image: ", stbi_failure_reason());
  GMAIL_INPUT(width > 0 && height > 0, name, ": damaged image: ", width, " x ", height, " pixels");
  Image image(width, height);
  std::copy_n(pixels.get(), image.rgb.size(), image.rgb.begin());
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

Image resize(const Image& image, int64_t width, int64_t height) {
  GMAIL_CHECK(image.width > 0 && image.height > 0 && width > 0 && height > 0, "[resize] from ", image.width,
              " x ", image.height, " to ", width, " x ", height, " pixels");
  const std::vector<Taps> across = make_taps(image.width, width), down = make_taps(image.height, height);
  Image narrow(width, image.height), out(width, height);
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const Taps& taps = across[static_cast<size_t>(x)];
      apply(taps, image.at(taps.first, y), 3, narrow.at(x, y));
    }
  for (int64_t y = 0; y < height; ++y) {
    const Taps& taps = down[static_cast<size_t>(y)];
    for (int64_t x = 0; x < width; ++x) apply(taps, narrow.at(x, taps.first), width * 3, out.at(x, y));
  }
  return out;
}

Image resize_and_crop(const Image& image, int64_t size) {
  GMAIL_CHECK(image.width > 0 && image.height > 0 && size > 0, "[resize_and_crop] from ", image.width, " x ",
              image.height, " to ", size, " pixels");
  const int64_t short_side = std::min(image.width, image.height);
  const int64_t width = size * image.width / short_side, height = size * image.height / short_side;
  return crop(resize(image, width, height), (width - size) / 2, (height - size) / 2, size, size);
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
