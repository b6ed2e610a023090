#include "models/clipcap_config.h"

#include <nlohmann/json.hpp>

#include "io/json.h"

namespace gmail {

std::string name_of(MapperKind kind) { return kind == MapperKind::mlp ? "mlp" : "transformer"; }

MapperKind mapper_from(const std::string& name, const std::string& where) {
  for (const MapperKind kind : {MapperKind::mlp, MapperKind::transformer})
    if (name_of(kind) == name) return kind;
  throw InputError(concat(where, ": expected mlp or transformer, found ", name));
}

ClipCapConfig ClipCapConfig::from_json(const nlohmann::json& j, const std::string& file) {
  GMAIL_INPUT(j.is_object() && j.contains("clip_dim") && j.contains("prefix_length") && j.contains("end_id"),
              file,
              ": expected a captioner's config.json with clip_dim, prefix_length, normalize_prefix, end_id");
  const auto size = [&](const char* key, int64_t least, int64_t most, int64_t absent = 0) {
    if (!j.contains(key)) return absent;
    GMAIL_INPUT(j[key].is_number_integer() && j[key] >= least && j[key] <= most, file, ": field \"", key,
                "\": expected a whole number, ", least, " .. ", most, ", found ", describe(j[key]));
    return j[key].get<int64_t>();
  };
  const auto flag = [&](const char* key) {
    GMAIL_INPUT(!j.contains(key) || j[key].is_boolean(), file, ": field \"", key,
                "\": expected true or false, found ", describe(j[key]));
    return j.value(key, false);
  };
  constexpr int64_t kMost = int64_t{1} << 20U;
  ClipCapConfig c;
  c.gpt = Gpt2Config::from_json(j, file);
  if (j.contains("mapper"))
    c.mapper = mapper_from(j["mapper"].is_string() ? j["mapper"].get<std::string>() : describe(j["mapper"]),
                           file + ": field \"mapper\"");
  GMAIL_INPUT(c.gpt.vocab_size >= 2, file,
              ": field \"vocab_size\": expected a word and an end at least, found ", c.gpt.vocab_size);
  c.clip_dim = size("clip_dim", 1, kMost);
  c.prefix_length = size("prefix_length", 1, c.gpt.n_positions - 1);
  c.clip_length = size("clip_length", 1, kMost, c.prefix_length);
  c.mapper_layers = size("mapper_layers", 1, kMost, c.mapper_layers);
  c.mapper_heads = static_cast<int>(size("mapper_heads", 1, kMost, c.mapper_heads));
  GMAIL_INPUT(c.mapper == MapperKind::mlp || c.gpt.n_embd % c.mapper_heads == 0, file,
              ": field \"mapper_heads\": expected a divisor of n_embd ", c.gpt.n_embd, ", found ",
              c.mapper_heads);
  c.normalize_prefix = flag("normalize_prefix");
  c.released = flag("released");
  c.end_id = static_cast<int32_t>(size("end_id", 0, c.gpt.vocab_size - 1));
  return c;
}

nlohmann::json ClipCapConfig::to_json() const {
  nlohmann::json j = gpt.to_json();
  j.update({{"model_type", "clipcap"},
            {"mapper", name_of(mapper)},
            {"clip_dim", clip_dim},
            {"prefix_length", prefix_length},
            {"normalize_prefix", normalize_prefix},
            {"released", released},
            {"end_id", end_id}});
  if (mapper == MapperKind::transformer)
    j.update(
        {{"clip_length", clip_length}, {"mapper_layers", mapper_layers}, {"mapper_heads", mapper_heads}});
  return j;
}

}  // namespace gmail
