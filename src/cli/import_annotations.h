// The importers of annotation files among the commands of `gmail import`.
#pragma once

#include "cli/program.h"

namespace gmail::cli {

void add_import_annotations(Program& program, CLI::App& group);

}  // namespace gmail::cli
