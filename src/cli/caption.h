// The two halves of `gmail caption`.
#pragma once

#include "cli/program.h"

namespace gmail::cli {

void add_caption_train(Program& program, CLI::App& group);
void add_caption_run(Program& program, CLI::App& group);

}  // namespace gmail::cli
