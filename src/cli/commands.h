// The commands, one file each; main.cpp lists them.
#pragma once

#include "cli/program.h"

namespace gmail::cli {

void add_pretrain(Program& program);
void add_generator(Program& program);
void add_align(Program& program);
void add_demo(Program& program);

}  // namespace gmail::cli
