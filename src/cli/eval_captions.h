#pragma once

#include "cli/program.h"

namespace gmail::cli {
void add_eval_caption(Program& program, CLI::App& group);
}  // namespace gmail::cli
