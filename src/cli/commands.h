// The commands, one file each; main.cpp lists them.
#pragma once

#include "cli/program.h"

namespace gmail::cli {

void add_tabletop(Program& program);
void add_import(Program& program);
void add_tokenizer(Program& program);
void add_tokenize(Program& program);
void add_preprocess(Program& program);
void add_pretrain(Program& program);
void add_generator(Program& program);
void add_align(Program& program);
void add_caption(Program& program);
void add_finetune_text(Program& program);
void add_embed(Program& program);
void add_retrieve(Program& program);
void add_classify(Program& program);
void add_eval(Program& program);
void add_demo(Program& program);
void add_info(Program& program);
void add_convert(Program& program);
void add_bench(Program& program);
void add_audit(Program& program);

}  // namespace gmail::cli
