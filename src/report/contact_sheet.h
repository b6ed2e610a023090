// One picture of many: rows of images with a label at the left and text below, under a title. Small images
// are enlarged by a whole factor, pixel by pixel, so that what a model drew is seen as it is; large ones are
// reduced to fit.
#pragma once

#include <string>
#include <vector>

#include "data/image.h"

namespace gmail {

struct SheetCell {
  Image image;       // an image of no pixels leaves the cell empty
  std::string text;  // below the image, wrapped to its width; may be empty
};

struct SheetRow {
  std::string label;  // at the left, wrapped; may be empty
  std::vector<SheetCell> cells;
};

struct ContactSheet {
  std::string title;
  std::vector<SheetRow> rows;  // may differ in length
  int64_t cell = 128;          // pixels of a cell's side
};

[[nodiscard]] Image draw(const ContactSheet& sheet);

// Two rows for every `columns` pairs: above as given, below with the pair's text. All three of one length.
[[nodiscard]] ContactSheet compare_by_caption(const std::string& title, const std::string& above_label,
                                              const std::vector<Image>& above, const std::string& below_label,
                                              const std::vector<Image>& below,
                                              const std::vector<std::string>& captions, int64_t columns = 8);

}  // namespace gmail
