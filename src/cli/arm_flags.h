// What stage B trains on, for the commands of stage B: one of the paper's arms on generated records, or plain
// real images.
#pragma once

#include "cli/program.h"
#include "gmail/arms.h"

namespace gmail::cli {

struct ArmFlags {
  std::string model, manifest, real, adapter, split, arm = "gmail", caption = "all", features;
};
// --model, --manifest, --real, --adapter, --arm, --split, --caption, --features
void add_arm_flags(Command& command, ArmFlags& flags);

// With generated records in the manifest: a row for each, by its arm (gmail/arms.h). Without: arm real on the
// images of the manifest, with all of their captions, one at random, or caption number N.
[[nodiscard]] EmbeddedPairs load_arm_data(const Command& command, const ArmFlags& flags, ClipModel& base);

}  // namespace gmail::cli
