// Images of 8 bits a channel: reading (JPEG, PNG), writing (PNG), cutting. Resizing: resize.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
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

// The pixels that Pillow's Image.open(..).convert("RGB") has: grey and palette are expanded, alpha and
// transparent colours dropped, 16 bits a channel become the upper 8 (grey ones are clipped at 255 instead),
// CMYK goes through its inks; the orientation in EXIF is not applied. A JPEG's may differ by a few steps, as
// its decoders do. Throws InputError, naming the file and the reason, if it is empty, cut short, of no pixels
// or of more than 178,956,970 (Pillow's limit too), or neither JPEG nor PNG.
[[nodiscard]] Image decode_image(std::span<const std::byte> bytes, const std::string& name);
// From a file, or in place from a tar shard (image_source.h).
[[nodiscard]] Image read_image(const std::filesystem::path& path);

// Nothing half-written is ever seen at `path`; throws Error if the disk is full.
void write_png(const std::filesystem::path& path, const Image& image);

[[nodiscard]] Image crop(const Image& image, int64_t x, int64_t y, int64_t width, int64_t height);
[[nodiscard]] Image flip_horizontal(const Image& image);

}  // namespace gmail
