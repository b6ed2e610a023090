// Images of 8 bits a channel: reading (JPEG, PNG), writing (PNG), and resizing exactly as Pillow does.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace gmail {

struct Image {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> rgb;  // (height, width, 3)

  Image() = default;
  Image(int64_t w, int64_t h) : width(w), height(h), rgb(static_cast<size_t>(w * h * 3)) {}
  [[nodiscard]] uint8_t* at(int64_t x, int64_t y) { return rgb.data() + (y * width + x) * 3; }
  [[nodiscard]] const uint8_t* at(int64_t x, int64_t y) const { return rgb.data() + (y * width + x) * 3; }
  bool operator==(const Image&) const = default;
};

// From a file, or in place from a tar shard (image_source.h). Grey is expanded, alpha dropped, 16 bits become
// 8. Throws InputError, naming the file and the reason, if it is missing, empty, cut short, of no pixels, or
// neither JPEG nor PNG.
[[nodiscard]] Image read_image(const std::filesystem::path& path);

// Nothing half-written is ever seen at `path`; throws Error if the disk is full.
void write_png(const std::filesystem::path& path, const Image& image);

// Antialiased bicubic, a = -0.5, in the integer arithmetic of Pillow's Image.resize((width, height), BICUBIC)
// [python-pillow/Pillow: src/libImaging/Resample.c]. Per output pixel x, with scale = in / out,
//   centre = (x + 0.5) scale,   weight_i = k((i - centre + 0.5) / max(1, scale)), normalised to sum 1,
// rounded to 22 fractional bits; rows first, rounded to 8 bits, then columns.
[[nodiscard]] Image resize(const Image& image, int64_t width, int64_t height);

// CLIP's preprocessing: the short side becomes `size`, the long one floor(size long / short); then the centre
// square, from floor((long - size) / 2).
[[nodiscard]] Image resize_and_crop(const Image& image, int64_t size);

[[nodiscard]] Image crop(const Image& image, int64_t x, int64_t y, int64_t width, int64_t height);
[[nodiscard]] Image flip_horizontal(const Image& image);

}  // namespace gmail
