// A small fixed-width font for pictures: printable ASCII, 5 x 7 pixels a character. Anything else is a box.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/image.h"

namespace gmail {

constexpr int64_t kGlyphWidth = 5, kGlyphHeight = 7;
constexpr int64_t kCharWidth = kGlyphWidth + 1, kLineHeight = kGlyphHeight + 3;  // with the space around

using Colour = std::array<uint8_t, 3>;
// Seven rows from the top; bit 4 is the leftmost pixel. g, p, q and y are drawn two pixels lower.
using Glyph = std::array<uint8_t, kGlyphHeight>;
[[nodiscard]] const Glyph& glyph(char c);

// Breaks at spaces into lines of at most `columns` characters; a longer word is cut. UTF-8 in, one byte a
// character out: what is not printable ASCII becomes the box '\x7f'.
[[nodiscard]] std::vector<std::string> wrap_text(std::string_view text, int64_t columns);

// Draws one line with its upper left corner at (x, y), every pixel `scale` wide; what lies outside is left
// out.
void draw_text(Image& image, int64_t x, int64_t y, std::string_view line, Colour colour, int64_t scale = 1);

}  // namespace gmail
