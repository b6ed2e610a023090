// gmail caption train | run.
#include "cli/caption.h"

#include "cli/commands.h"

namespace gmail::cli {

void add_caption(Program& program) {
  CLI::App& group = program.group("caption", "train a captioner, or caption images with it");
  add_caption_train(program, group);
  add_caption_run(program, group);
}

}  // namespace gmail::cli
