#include "train/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <set>

#include "nn/param_file.h"

namespace gmail {
namespace {

using nlohmann::json;
constexpr const char* kFormat = "gmail.checkpoint.1";

std::string value_of(const Metadata& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? "" : found->second;
}

// "/train/lr is 0.001 there, 0.002 here", at most five of them; "" if the two are equal
std::string difference(const json& there, const json& here) {
  constexpr int kShown = 5;
  if (there == here) return "";
  const json a = there.flatten(), b = here.flatten();
  std::set<std::string> keys;
  for (const json* side : {&a, &b})
    for (const auto& [key, value] : side->items()) keys.insert(key);
  std::string text;
  int shown = 0;
  for (const std::string& key : keys) {
    const bool in_a = a.contains(key), in_b = b.contains(key);
    if (in_a && in_b && a[key] == b[key]) continue;
    if (shown++ == kShown) return text + ", ...";
    text += concat(shown > 1 ? ", " : "", key, " is ", in_a ? a[key].dump() : "absent", " there, ",
                   in_b ? b[key].dump() : "absent", " here");
  }
  return text;
}

}  // namespace

void save_checkpoint(const std::filesystem::path& path, const ParamBlock& block, int64_t step,
                     const json& identity) {
  save_safetensors(path, block.state(),
                   {{"format", kFormat}, {"step", std::to_string(step)}, {"identity", identity.dump()}});
}

int64_t load_checkpoint(const std::filesystem::path& path, const ParamBlock& block, const json& identity) {
  const SafetensorsFile file(path);
  const std::string format = value_of(file.metadata(), "format"), text = value_of(file.metadata(), "step");
  GMAIL_INPUT(format == kFormat, path.string(), " is no checkpoint: format '", format, "', expected '",
              kFormat, "'");
  int64_t step = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), step);
  GMAIL_INPUT(error == std::errc() && end == text.data() + text.size() && step >= 0, path.string(),
              ": bad step '", text, "'");
  const auto shallow = [](int depth, json::parse_event_t, json&) { return depth <= 32; };
  const json there = json::parse(value_of(file.metadata(), "identity"), shallow, false);
  GMAIL_INPUT(!there.is_discarded(), path.string(), ": the identity of the run is damaged");
  const std::string other = difference(there, identity);
  GMAIL_INPUT(other.empty(), "cannot resume from ", path.string(), ", it belongs to another run: ", other);
  std::vector<Param> parts;
  for (const NamedTensor& t : block.state()) parts.push_back({t.name, t.tensor, {}, true, true});
  ParamList list;
  for (Param& p : parts) list.push_back(&p);
  load_params(file, list);
  return step;
}

std::string frozen_digest(const ParamList& params) {
  constexpr uint64_t kPrime = 0x100000001b3ULL;
  uint64_t hash = 0xcbf29ce484222325ULL;
  const auto mix = [&](const std::byte* p, size_t bytes) {
    uint64_t word = 0;
    std::memcpy(&word, p, bytes);
    hash = (hash ^ word) * kPrime;
    hash ^= hash >> 32U;
  };
  const auto add = [&](const void* data, size_t bytes) {  // eight bytes at a time: weights are large
    const auto* p = static_cast<const std::byte*>(data);
    for (; bytes >= 8; p += 8, bytes -= 8) mix(p, 8);
    if (bytes > 0) mix(p, bytes);
  };
  for (const Param* p : params) {
    if (p->trainable) continue;
    add(p->name.data(), p->name.size());
    const Tensor value = p->value.to(Device::cpu);
    add(value.raw(), value.bytes());
  }
  char text[17] = {};
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

}  // namespace gmail
