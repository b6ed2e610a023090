// A manifest of records that come one by one and need never be together in memory.
#pragma once

#include <filesystem>
#include <functional>

#include "data/manifest.h"

namespace gmail {

// false, and nothing is written, if a record of this id was there already
using AddRecord = std::function<bool(const Record&)>;

// fill(add) calls add(record) for each. All of it or nothing: the old file stays until the new one is
// complete. A record that could not be read back is an Error.
void write_manifest(const std::filesystem::path& file, const std::function<void(const AddRecord& add)>& fill);

}  // namespace gmail
