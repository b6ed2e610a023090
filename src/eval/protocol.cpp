#include "eval/protocol.h"

#include <algorithm>
#include <unordered_map>

#include "core/check.h"
#include "data/image_source.h"

namespace gmail {
namespace {

bool all_digits(std::string_view s) {
  return !s.empty() && s.find_first_not_of("0123456789") == std::string_view::npos;
}

bool named(std::string_view stem, ImageNames names) {
  switch (names) {
    case ImageNames::any:
      return true;
    case ImageNames::coco_val2014:
      return stem.starts_with("COCO_val2014_");
    case ImageNames::twelve_digits:
      return stem.size() == 12 && all_digits(stem);
    case ImageNames::digits:
      return all_digits(stem);
  }
  return false;
}

const char* describe(ImageNames names) {
  switch (names) {
    case ImageNames::any:
      return "anything";
    case ImageNames::coco_val2014:
      return "COCO_val2014_..";
    case ImageNames::twelve_digits:
      return "twelve digits";
    case ImageNames::digits:
      return "digits";
  }
  return "";
}

}  // namespace

const std::vector<Protocol>& protocols() {
  static const std::vector<Protocol> all = {
      {"coco-karpathy-5k", "test", 0, 5000, {25010, 25000}, ImageNames::coco_val2014},
      {"coco-val2017-5k-first5", "val", 5, 5000, {25000}, ImageNames::twelve_digits},
      {"flickr30k-1k", "test", 0, 1000, {5000}, ImageNames::digits},
      {"flickr30k-full", "", 0, 31783, {158915}, ImageNames::digits},
      {"sharegpt4v-1k", "test", 0, 1000, {1000}, ImageNames::any}};
  return all;
}

std::string protocol_names() {
  std::string names;
  for (const Protocol& p : protocols()) names += (names.empty() ? "" : ", ") + p.name;
  return names;
}

const Protocol& protocol_of(const std::string& name) {
  const auto at =
      std::find_if(protocols().begin(), protocols().end(), [&](const Protocol& p) { return p.name == name; });
  GMAIL_INPUT(at != protocols().end(), "--protocol: expected ", protocol_names(), " or all, found \"", name,
              "\"");
  return *at;
}

std::string Protocol::mismatch(int64_t found_images, int64_t found_texts) const {
  const bool good =
      found_images == images && std::find(texts.begin(), texts.end(), found_texts) != texts.end();
  if (good) return "";
  std::string counts;
  for (const int64_t n : texts) counts += concat(counts.empty() ? "" : " or ", n);
  return concat("expected ", images, " images and ", counts, " captions, found ", found_images, " and ",
                found_texts);
}

ProtocolSet select(const Protocol& p, const Manifest& all) {
  ProtocolSet out{p.split.empty() ? all : all.filter(p.split), ""};
  int64_t texts = 0;
  const Record* other = nullptr;
  for (Record& r : out.manifest.records) {
    if (p.first > 0 && std::ssize(r.captions) > p.first) r.captions.resize(static_cast<size_t>(p.first));
    texts += std::ssize(r.captions);
    const bool shard = shard_name(r.image).has_value();
    if (!other && !shard && !named(std::filesystem::path(r.image).stem().string(), p.names)) other = &r;
  }
  out.mismatch = p.mismatch(out.manifest.size(), texts);
  if (!out.mismatch.empty() && !p.split.empty()) out.mismatch += concat(" in split \"", p.split, "\"");
  if (out.mismatch.empty() && other)
    out.mismatch = concat("expected images named ", describe(p.names), ", found ", other->image);
  return out;
}

std::vector<int64_t> first_texts(std::span<const int32_t> text_image, int64_t first) {
  std::unordered_map<int32_t, int64_t> before;
  std::vector<int64_t> out;
  for (size_t t = 0; t < text_image.size(); ++t)
    if (before[text_image[t]]++ < first || first == 0) out.push_back(static_cast<int64_t>(t));
  return out;
}

}  // namespace gmail
