#include "report/contact_sheet.h"

#include <algorithm>

#include "core/check.h"
#include "data/resize.h"
#include "report/font.h"

namespace gmail {
namespace {

constexpr int64_t kMargin = 8;  // around the sheet and between its parts
constexpr int64_t kTitleScale = 2;
constexpr int64_t kLabelColumns = 10;  // characters of a row's label before it wraps
constexpr Colour kPaper = {255, 255, 255}, kInk = {20, 20, 20}, kFrame = {215, 215, 215};

// Fitted into a square of side `cell`: enlarged by the largest whole factor, or reduced.
Image fit(const Image& image, int64_t cell) {
  const int64_t side = std::max(image.width, image.height);
  if (side > cell)
    return resize(image, std::max<int64_t>(1, image.width * cell / side),
                  std::max<int64_t>(1, image.height * cell / side));
  const int64_t factor = cell / side;
  Image large(image.width * factor, image.height * factor);
  for (int64_t y = 0; y < large.height; ++y)
    for (int64_t x = 0; x < large.width; ++x)
      std::copy_n(image.at(x / factor, y / factor), 3, large.at(x, y));
  return large;
}

void paste(Image& sheet, int64_t x, int64_t y, const Image& image) {
  for (int64_t v = 0; v < image.height; ++v) std::copy_n(image.at(0, v), image.width * 3, sheet.at(x, y + v));
}

void fill(Image& sheet, int64_t x, int64_t y, int64_t width, int64_t height, Colour colour) {
  for (int64_t v = y; v < y + height; ++v)
    for (int64_t u = x; u < x + width; ++u) std::copy(colour.begin(), colour.end(), sheet.at(u, v));
}

void draw_lines(Image& sheet, int64_t x, int64_t y, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    draw_text(sheet, x, y, line, kInk);
    y += kLineHeight;
  }
}

// What every part of the sheet measures, in pixels.
struct Layout {
  int64_t cell, label_width, title_height, width, height;
  std::vector<int64_t> text_height;  // below the images of each row

  explicit Layout(const ContactSheet& sheet) : cell(sheet.cell) {
    GMAIL_CHECK(cell >= kCharWidth, "[contact_sheet] a cell of ", cell, " pixels holds no character");
    size_t cells = 0, label = 0;
    for (const SheetRow& row : sheet.rows) {
      cells = std::max(cells, row.cells.size());
      for (const std::string& line : wrap_text(row.label, kLabelColumns))
        label = std::max(label, line.size());
      size_t lines = 0;
      for (const SheetCell& c : row.cells) lines = std::max(lines, wrap_text(c.text, columns()).size());
      text_height.push_back(lines ? static_cast<int64_t>(lines) * kLineHeight + kMargin / 2 : 0);
    }
    label_width = label ? static_cast<int64_t>(label) * kCharWidth + kMargin : 0;
    width = kMargin + label_width + std::max<int64_t>(1, static_cast<int64_t>(cells)) * (cell + kMargin);
    title_height = static_cast<int64_t>(title_lines(sheet).size()) * kLineHeight * kTitleScale;
    height = kMargin + title_height;
    for (const int64_t text : text_height) height += cell + text + kMargin;
  }
  [[nodiscard]] int64_t columns() const { return cell / kCharWidth; }
  [[nodiscard]] std::vector<std::string> title_lines(const ContactSheet& sheet) const {
    return wrap_text(sheet.title, (width - 2 * kMargin) / (kCharWidth * kTitleScale) + 1);
  }
};

}  // namespace

Image draw(const ContactSheet& sheet) {
  const Layout layout(sheet);
  Image out(layout.width, layout.height);
  fill(out, 0, 0, out.width, out.height, kPaper);
  int64_t y = kMargin;
  for (const std::string& line : layout.title_lines(sheet)) {
    draw_text(out, kMargin, y, line, kInk, kTitleScale);
    y += kLineHeight * kTitleScale;
  }
  for (size_t r = 0; r < sheet.rows.size(); ++r) {
    const SheetRow& row = sheet.rows[r];
    draw_lines(out, kMargin, y, wrap_text(row.label, kLabelColumns));
    int64_t x = kMargin + layout.label_width;
    for (const SheetCell& c : row.cells) {
      fill(out, x, y, layout.cell, layout.cell, kFrame);
      if (c.image.width > 0 && c.image.height > 0) {
        const Image fitted = fit(c.image, layout.cell);
        paste(out, x + (layout.cell - fitted.width) / 2, y + (layout.cell - fitted.height) / 2, fitted);
      }
      draw_lines(out, x, y + layout.cell + kMargin / 2, wrap_text(c.text, layout.columns()));
      x += layout.cell + kMargin;
    }
    y += layout.cell + layout.text_height[r] + kMargin;
  }
  return out;
}

ContactSheet compare_by_caption(const std::string& title, const std::string& above_label,
                                const std::vector<Image>& above, const std::string& below_label,
                                const std::vector<Image>& below, const std::vector<std::string>& captions,
                                int64_t columns) {
  GMAIL_CHECK(above.size() == below.size() && above.size() == captions.size() && columns > 0,
              "[contact_sheet] ", above.size(), " images above, ", below.size(), " below, ", captions.size(),
              " captions, ", columns, " columns");
  ContactSheet sheet;
  sheet.title = title;
  for (size_t begin = 0; begin < above.size(); begin += static_cast<size_t>(columns)) {
    const size_t end = std::min(above.size(), begin + static_cast<size_t>(columns));
    SheetRow top{above_label, {}}, bottom{below_label, {}};
    for (size_t i = begin; i < end; ++i) {
      top.cells.push_back({above[i], ""});
      bottom.cells.push_back({below[i], captions[i]});
    }
    sheet.rows.push_back(std::move(top));
    sheet.rows.push_back(std::move(bottom));
  }
  return sheet;
}

}  // namespace gmail
