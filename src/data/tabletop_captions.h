// What people would say about a scene of the built-in world, and what such a sentence names.
// A caption is lower case, without a full stop, of at most kMaxCaptionWords words of a vocabulary of 48.
// It names every solid with its colour and its shape; size, finish, ground, light and place are said now and
// then.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/tabletop_scene.h"

namespace gmail {

inline constexpr int64_t kMaxCaptionWords = 24;

// `count` captions, no two alike; they depend on the scene's seed and index only.
[[nodiscard]] std::vector<std::string> captions_of(const Scene& scene, int64_t count = 5);

struct ObjectMention {
  std::optional<Colour> colour;
  SolidShape shape = SolidShape::ball;
  auto operator<=>(const ObjectMention&) const = default;
};

// The solids that a sentence names, in its order, synonyms resolved; other words are passed over.
[[nodiscard]] std::vector<ObjectMention> mentioned(std::string_view caption);

// Do both name the same solids, in whatever order and words? A generated caption against a true one.
[[nodiscard]] bool same_objects(std::string_view caption, std::string_view truth);

}  // namespace gmail
