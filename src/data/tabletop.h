// The built-in world as a data set: pictures, five captions each, and a manifest.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/tabletop_captions.h"
#include "data/tabletop_render.h"
#include "data/tabletop_scene.h"

namespace gmail {

struct TabletopSplit {
  std::string name;
  int64_t count = 0;
};

// Writes dir/images/000000.png ..., dir/tabletop.json (the options) and, last, dir/manifest.jsonl. The first
// scenes are of the first split, and so on; the counts of the splits add up to options.count. A picture that
// is there is not drawn again, so a killed run continues; a folder that holds another world is refused.
// `progress`, if given, hears how many pictures are done, from one thread.
void write_tabletop(const std::filesystem::path& dir, const TabletopOptions& options,
                    const std::vector<TabletopSplit>& splits,
                    const std::function<void(int64_t done)>& progress = {});

}  // namespace gmail
