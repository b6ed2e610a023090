// Protects the contact sheet (enlargement, places, text), the font, and the markdown tables.
#include "catch.h"

#include <algorithm>
#include <limits>
#include <set>

#include "core/check.h"
#include "report/contact_sheet.h"
#include "report/font.h"
#include "report/markdown.h"

using namespace gmail;

namespace {

Image plain(int64_t width, int64_t height, Colour colour) {
  Image image(width, height);
  for (int64_t i = 0; i < width * height; ++i)
    std::copy(colour.begin(), colour.end(), image.rgb.begin() + i * 3);
  return image;
}

Colour pixel(const Image& image, int64_t x, int64_t y) {
  const uint8_t* p = image.at(x, y);
  return {p[0], p[1], p[2]};
}

int64_t count(const Image& image, Colour colour) {
  int64_t n = 0;
  for (int64_t y = 0; y < image.height; ++y)
    for (int64_t x = 0; x < image.width; ++x) n += pixel(image, x, y) == colour ? 1 : 0;
  return n;
}

constexpr Colour kRed = {255, 0, 0}, kGreen = {0, 255, 0}, kBlue = {0, 0, 255}, kInk = {20, 20, 20};

}  // namespace

TEST_CASE("font: every printable character has a shape of its own") {
  std::set<Glyph> shapes;
  for (char c = ' '; c < '\x7f'; ++c) shapes.insert(glyph(c));
  CHECK(shapes.size() == 95);
  CHECK(glyph('L') == Glyph{0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x1f});
  CHECK(glyph('\x01') == glyph('\x7f'));
}

TEST_CASE("font: text wraps at spaces and cuts long words") {
  CHECK(wrap_text("a red cube  on\nsand", 6) == std::vector<std::string>{"a red", "cube", "on", "sand"});
  CHECK(wrap_text("abcdefgh ij", 3) == std::vector<std::string>{"abc", "def", "gh", "ij"});
  CHECK(wrap_text("   ", 3).empty());
  CHECK(wrap_text("caf\xc3\xa9", 9) == std::vector<std::string>{"caf\x7f"});
}

TEST_CASE("font: text is clipped at the border") {
  Image image = plain(8, 8, kRed);
  draw_text(image, 6, 4, "LL", kBlue);
  draw_text(image, -3, -3, "L", kBlue);
  CHECK(count(image, kBlue) == 4 + 2);  // the stem's upper four rows; the foot's last two columns
}

TEST_CASE("font: descenders hang below the line") {
  Image image = plain(5, 9, kRed);
  draw_text(image, 0, 0, "p", kBlue);
  CHECK(pixel(image, 0, 1) == kRed);
  CHECK(pixel(image, 0, 2) == kBlue);
  CHECK(pixel(image, 0, 8) == kBlue);
}

TEST_CASE("contact_sheet: small images grow by a whole factor, large ones shrink, none is lost") {
  Image two(2, 1);
  std::copy(kRed.begin(), kRed.end(), two.at(0, 0));
  std::copy(kGreen.begin(), kGreen.end(), two.at(1, 0));
  ContactSheet sheet;
  sheet.cell = 15;
  sheet.rows = {{"", {{two, ""}, {plain(60, 30, kBlue), ""}, {Image(), ""}}},
                {"", {{plain(15, 15, kRed), ""}}}};
  const Image out = draw(sheet);
  CHECK(out.width == 8 + 3 * (15 + 8));
  CHECK(out.height == 8 + 2 * (15 + 8));
  CHECK(count(out, kGreen) == 7 * 7);
  CHECK(count(out, kRed) == 7 * 7 + 15 * 15);
  CHECK(count(out, kBlue) == 15 * 7);
  // 14 x 7 in the middle of the cell at (8, 8)
  CHECK(pixel(out, 8, 12) == kRed);
  CHECK(pixel(out, 8 + 6, 12 + 6) == kRed);
  CHECK(pixel(out, 8 + 7, 12) == kGreen);
  CHECK(pixel(out, 8 + 14, 12) != kGreen);
  CHECK(pixel(out, 8, 11) != kRed);
  CHECK(pixel(out, 8, 8 + 15 + 8) == kRed);
}

TEST_CASE("contact_sheet: title, labels and captions are drawn and make room") {
  ContactSheet sheet;
  sheet.cell = 30;
  sheet.rows = {{"", {{plain(3, 3, kRed), ""}}}};
  const Image bare = draw(sheet);
  CHECK(count(bare, kInk) == 0);
  sheet.rows[0].cells[0].text = "L L";  // five columns of characters: one line
  const Image captioned = draw(sheet);
  CHECK(captioned.height == bare.height + 10 + 4);
  CHECK(count(captioned, kInk) == 2 * 11);
  sheet.rows[0].label = "L";
  const Image labelled = draw(sheet);
  CHECK(labelled.width == bare.width + 6 + 8);
  CHECK(count(labelled, kInk) == 3 * 11);
  sheet.title = "L";
  const Image titled = draw(sheet);
  CHECK(titled.height == labelled.height + 20);
  CHECK(count(titled, kInk) == 3 * 11 + 4 * 11);
}

TEST_CASE("contact_sheet: pairs stand above one another in bands") {
  const std::vector<Image> above(5, plain(4, 4, kRed)), below(5, plain(4, 4, kBlue));
  const ContactSheet sheet =
      compare_by_caption("t", "real", above, "generated", below, {"a", "b", "c", "d", "e"}, 2);
  REQUIRE(sheet.rows.size() == 6);
  CHECK(sheet.rows[4].cells.size() == 1);
  CHECK(sheet.rows[2].label == "real");
  CHECK(sheet.rows[3].label == "generated");
  CHECK(sheet.rows[3].cells[1].text == "d");
  CHECK(sheet.rows[3].cells[1].image == below[3]);
  CHECK_THROWS_AS(compare_by_caption("t", "real", above, "generated", below, {"a"}), Error);
}

TEST_CASE("markdown: columns line up, bars are escaped") {
  CHECK(markdown_table({"arm", "R@1"}, {{"real", "12.3"}, {"a|b", fixed(5.25, 2)}}) ==
        "| arm  |  R@1 |\n"
        "|:-----|-----:|\n"
        "| real | 12.3 |\n"
        "| a\\|b | 5.25 |\n");
  CHECK_THROWS_AS(markdown_table({"a", "b"}, {{"1"}}), Error);
  CHECK(fixed(12.345) == "12.3");
  CHECK(fixed(std::numeric_limits<double>::quiet_NaN()) == "n/a");
}
