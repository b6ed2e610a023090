// gmail retrieve: searches an index by a text or by an image.
#include <cstdio>
#include <iostream>

#include "cli/commands.h"
#include "cli/index.h"
#include "data/image.h"
#include "eval/retrieval.h"
#include "io/files.h"
#include "report/contact_sheet.h"

namespace gmail::cli {
namespace {

struct Options {
  std::string index, query, image, sheet, model, adapter;
  int64_t top = 10;
};

void setup(Command& c, Options& o) {
  c.option("index", o.index, "folder that gmail embed --index made")->required();
  c.argument("query", o.query, "what to look for: \"a red cube\"");
  c.option("image", o.image, "look for what is like this image instead");
  c.option("top", o.top, "how many results");
  c.option("sheet", o.sheet, "PNG with the results, default INDEX/results.png");
  c.option("model", o.model, "CLIP folder, if it is no longer where the index says");
  c.option("adapter", o.adapter, "folder of the adapter, if it is no longer where the index says");
}

std::string score_text(float score) {
  char text[16];
  std::snprintf(text, sizeof text, "%.4f", static_cast<double>(score));
  return text;
}

void write_sheet(const std::filesystem::path& file, const Options& o, const Index& index,
                 const std::vector<Ranked>& found) {
  constexpr size_t kColumns = 5;
  ContactSheet sheet{
      o.image.empty() ? o.query : "like " + std::filesystem::path(o.image).filename().string(), {}, 128};
  if (!o.image.empty()) sheet.rows.push_back({"query", {{read_image(o.image), ""}}});
  for (size_t i = 0; i < found.size(); ++i) {
    if (i % kColumns == 0) sheet.rows.push_back({i == 0 ? "found" : "", {}});
    SheetCell cell{{},
                   concat(i + 1, ". ", score_text(found[i].score), " ",
                          index.manifest[found[i].index].captions.front())};
    try {
      cell.image = read_image(index.manifest.image_path(found[i].index));
    } catch (const InputError& e) {  // it was there when the index was made
      std::cerr << e.what() << '\n';
    }
    sheet.rows.back().cells.push_back(std::move(cell));
  }
  write_png(file, draw(sheet));
}

void run(Command& c, Options& o) {
  GMAIL_INPUT(o.query.empty() != o.image.empty(), "expected either a query in words or --image FILE");
  GMAIL_INPUT(o.top >= 1, "--top: expected at least 1, found ", o.top);
  Index index = load_index(o.index);
  if (!o.model.empty()) index.encoder.model = o.model;
  if (!o.adapter.empty()) index.encoder.adapter = o.adapter;
  Encoders encoders(c.ctx(), index.encoder);
  check_digest(o.index, index, encoders);
  make_parent_dirs(o.sheet);
  const Tensor query = o.image.empty() ? embed_texts(c.ctx(), encoders.model(), std::vector{o.query})
                                       : embed_files(c.ctx(), encoders, {o.image});
  const std::vector<Ranked> found = rank(query, index.images, o.top).front();
  const std::filesystem::path sheet =
      o.sheet.empty() ? std::filesystem::path(o.index) / "results.png" : std::filesystem::path(o.sheet);
  write_sheet(sheet, o, index, found);
  for (size_t i = 0; i < found.size(); ++i)
    std::cout << i + 1 << '\t' << score_text(found[i].score) << '\t'
              << index.manifest.image_path(found[i].index).lexically_normal().string() << '\t'
              << index.manifest[found[i].index].captions.front() << '\n';
  std::cout << "sheet: " << sheet.string() << '\n';
}

}  // namespace

void add_retrieve(Program& program) {
  program.add<Options>(program.app, "retrieve", "search an index by a text or an image", setup, run);
}

}  // namespace gmail::cli
