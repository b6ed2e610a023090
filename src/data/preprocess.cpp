#include "data/preprocess.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/json.h"

namespace gmail {
namespace {

constexpr int64_t kMaxPixels = 1 << 28;

// Written by transformers, without a bearing on what becomes of an image.
constexpr const char* kBookkeeping[] = {
    "_valid_processor_keys", "processor_class",   "auto_map",         "_commit_hash", "return_tensors",
    "data_format",           "input_data_format", "device",           "name_or_path", "transformers_version",
    "image_seq_length",      "disable_grouping",  "default_to_square"};
// The classes that share this preprocessing; another one's file may mean something else by the same keys.
constexpr const char* kProcessors[] = {"CLIPImageProcessor", "CLIPImageProcessorFast",
                                       "CLIPImageProcessorPil", "CLIPFeatureExtractor"};

bool flag(Fields& fields, const Json& json, const std::string& name, bool otherwise) {
  if (!fields.has(name)) return otherwise;
  if (!json[name].is_boolean()) fields.wrong(name, "true or false");
  return json[name].get<bool>();
}

int64_t side(Fields& fields, const std::string& name) {
  const int64_t n = fields.whole(name);
  if (n < 1 || n > kMaxSide) fields.wrong(name, concat("1 to ", kMaxSide, " pixels"));
  return n;
}

void check_processor(Fields& fields, const std::string& name) {
  if (!fields.has(name)) return;
  const std::string found = fields.text(name);
  const auto* end = std::end(kProcessors);
  if (std::find(std::begin(kProcessors), end, found) == end)
    fields.wrong(name, "CLIPImageProcessor or CLIPFeatureExtractor");
}

void read_size(Preprocess& p, Fields& fields, const Json& json) {
  if (!fields.has("size")) return;
  if (json["size"].is_number()) {
    p.width = p.height = side(fields, "size");
    return;
  }
  if (!json["size"].is_object()) fields.wrong("size", "a number, {shortest_edge}, or {height, width}");
  Fields size = fields.object("size");
  if (size.has("shortest_edge")) {
    p.width = p.height = side(size, "shortest_edge");
  } else {
    p.resizing = Resizing::exact;
    p.height = side(size, "height");
    p.width = side(size, "width");
  }
  size.finish();
}

void read_crop(Preprocess& p, Fields& fields, const Json& json) {
  if (!fields.has("crop_size")) return;
  if (json["crop_size"].is_number()) {
    p.crop_width = p.crop_height = side(fields, "crop_size");
    return;
  }
  if (!json["crop_size"].is_object()) fields.wrong("crop_size", "a number, or {height, width}");
  Fields size = fields.object("crop_size");
  p.crop_height = side(size, "height");
  p.crop_width = side(size, "width");
  size.finish();
}

Filter read_filter(Fields& fields) {
  if (!fields.has("resample")) return Filter::bicubic;
  constexpr const char* kNames[] = {"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"};
  const int64_t number = fields.whole("resample");
  const auto filter = static_cast<Filter>(number);
  if (filter != Filter::bilinear && filter != Filter::bicubic)
    fields.wrong("resample",
                 concat("2 (bilinear) or 3 (bicubic)", number < 6 ? concat(", not ", kNames[number]) : ""));
  return filter;
}

std::array<double, 3> three(Fields& fields, const Json& json, const std::string& name,
                            const std::array<double, 3>& otherwise) {
  if (!fields.has(name)) return otherwise;
  const Json& list = json[name];
  if (!list.is_array() || list.size() != 3 ||
      !std::all_of(list.begin(), list.end(), [](const Json& v) { return v.is_number(); }))
    fields.wrong(name, "three numbers");
  return list.get<std::array<double, 3>>();
}

Normalisation read_norm(Fields& fields, const Json& json) {
  Normalisation norm = kClipNormalisation;
  if (fields.has("rescale_factor")) norm.scale = fields.number("rescale_factor");
  if (!(norm.scale > 0)) fields.wrong("rescale_factor", "> 0");
  norm.mean = three(fields, json, "image_mean", norm.mean);
  norm.std = three(fields, json, "image_std", norm.std);
  for (const double s : norm.std)
    if (!(s > 0)) fields.wrong("image_std", "three numbers > 0");
  // the same bits as without the step
  if (!flag(fields, json, "do_rescale", true)) norm.scale = 1;
  if (!flag(fields, json, "do_normalize", true)) norm.mean = {0, 0, 0}, norm.std = {1, 1, 1};
  return norm;
}

// Which part of a side of n pixels is cut out, and where it stands in the crop.
struct Cut {
  int64_t from, length, to;
};

Cut cut(int64_t n, int64_t wanted, CropRule rule) {
  const int64_t spare = n - wanted;
  int64_t offset = spare >= 0 ? spare / 2 : -((1 - spare) / 2);  // floor(spare / 2)
  if (rule == CropRule::openai) {
    if (spare < 0)
      offset = -(-spare / 2);
    else if (spare % 4 == 3)  // half to even
      ++offset;
  }
  const int64_t from = std::max<int64_t>(0, offset), end = std::min(n, offset + wanted);
  return {from, end - from, from - offset};
}

}  // namespace

Preprocess Preprocess::square(int64_t size, const Normalisation& norm) {
  Preprocess p;
  p.width = p.height = p.crop_width = p.crop_height = size;
  p.norm = norm;
  return p;
}

Preprocess Preprocess::from_json(const Json& json, const std::string& where) {
  Json given = json;
  if (given.is_object())
    for (auto it = given.begin(); it != given.end();) it = it->is_null() ? given.erase(it) : std::next(it);
  Fields fields(given, where);
  check_processor(fields, "image_processor_type");
  check_processor(fields, "feature_extractor_type");
  Preprocess p;
  read_size(p, fields, given);
  if (!flag(fields, given, "do_resize", true)) p.resizing = Resizing::none;
  p.resample.filter = read_filter(fields);
  read_crop(p, fields, given);
  p.centre_crop = flag(fields, given, "do_center_crop", true);
  p.norm = read_norm(fields, given);
  (void)flag(fields, given, "do_convert_rgb", true);
  for (const char* off : {"do_pad", "use_square_size"})
    if (flag(fields, given, off, false)) fields.wrong(off, "false");
  for (const char* name : kBookkeeping) (void)fields.has(name);
  fields.finish();
  return p;
}

Preprocess Preprocess::for_size(int64_t size) const {
  Preprocess p = *this;
  p.width = p.height = p.crop_width = p.crop_height = size;
  return p;
}

Json Preprocess::to_json() const {
  Json json = {{"image_processor_type", "CLIPImageProcessor"},
               {"feature_extractor_type", "CLIPFeatureExtractor"},
               {"do_convert_rgb", true},
               {"do_resize", resizing != Resizing::none},
               {"resample", static_cast<int>(resample.filter)},
               {"do_center_crop", centre_crop},
               {"crop_size", {{"height", crop_height}, {"width", crop_width}}},
               {"do_rescale", true},
               {"rescale_factor", norm.scale},
               {"do_normalize", true},
               {"image_mean", norm.mean},
               {"image_std", norm.std}};
  if (resizing == Resizing::exact)
    json["size"] = {{"height", height}, {"width", width}};
  else
    json["size"] = {{"shortest_edge", width}};
  return json;
}

Image Preprocess::operator()(const Image& image) const {
  GMAIL_CHECK(image.width > 0 && image.height > 0, "[preprocess] an image of ", image.width, " x ",
              image.height);
  int64_t w = image.width, h = image.height;
  if (resizing == Resizing::exact) w = width, h = height;
  if (resizing == Resizing::short_side) {
    const int64_t short_side = std::min(w, h);
    w = width * image.width / short_side, h = width * image.height / short_side;
  }
  if (!centre_crop) {
    GMAIL_INPUT(w <= kMaxPixels / h, "preprocessing: expected an image of at most ", kMaxPixels,
                " pixels, found ", w, " x ", h, " without do_center_crop");
    return resize(image, w, h, resample);
  }
  const Cut across = cut(w, crop_width, crop_rule), down = cut(h, crop_height, crop_rule);
  const Window window{across.from, down.from, across.length, down.length};
  Image part = resize_window(image, w, h, window, resample);
  if (part.width == crop_width && part.height == crop_height) return part;
  Image out(crop_width, crop_height);  // black
  for (int64_t y = 0; y < part.height; ++y)
    std::copy_n(part.at(0, y), part.width * 3, out.at(across.to, down.to + y));
  return out;
}

int64_t Preprocess::size() const {
  const bool fixed = centre_crop || resizing == Resizing::exact;
  GMAIL_INPUT(fixed, "preprocessing: expected do_center_crop, or a size of height and width: otherwise ",
              "images of many sizes come out");
  const int64_t w = centre_crop ? crop_width : width, h = centre_crop ? crop_height : height;
  GMAIL_INPUT(w == h, "preprocessing: expected square images, found height ", h, " and width ", w);
  return w;
}

std::string Preprocess::pixel_key() const {
  std::string key = "as it is";
  if (resizing != Resizing::none)
    key =
        concat(resizing == Resizing::exact ? "both sides " : "short side ", width, " ", height, " filter ",
               static_cast<int>(resample.filter), resample.passes == Passes::rows_first ? " rows first" : "");
  if (centre_crop)
    key += concat(" crop ", crop_width, " ", crop_height, crop_rule == CropRule::openai ? " openai" : " hf");
  return key;
}

}  // namespace gmail
