// The commands, one file each; main.cpp lists them.
#pragma once

#include "cli/program.h"

namespace gmail::cli {

void add_pretrain(Program& program);

}  // namespace gmail::cli
