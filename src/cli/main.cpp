// gmail: the program. This file lists the commands and turns errors into one line and an exit code:
// 0 fine, 1 failed, 2 bad usage or input, 130 interrupted.
#include <iostream>

#include "cli/commands.h"

namespace {

// What went wrong, on one line.
int fail(const std::string& message, int code) {
  std::string line;
  bool fresh = false;  // a new line of the message: its indent goes
  for (const char c : message) {
    fresh = c == '\n' || (fresh && c == ' ');
    if (!fresh)
      line += c;
    else if (!line.ends_with(' '))
      line += ' ';
  }
  while (line.ends_with(' ')) line.pop_back();
  std::cerr << "gmail: " << line << std::endl;
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace gmail::cli;
  arguments().assign(argv, argv + argc);
  try {
    Program program;
    add_tabletop(program);
    add_import(program);
    add_tokenizer(program);
    add_tokenize(program);
    add_preprocess(program);
    add_pretrain(program);
    add_generator(program);
    add_align(program);
    add_caption(program);
    add_finetune_text(program);
    add_embed(program);
    add_retrieve(program);
    add_classify(program);
    add_eval(program);
    add_demo(program);
    add_bench(program);
    add_audit(program);
    add_info(program);
    add_convert(program);
    program.parse(argc, argv);
    return 0;
  } catch (const gmail::Error& e) {
    return fail(e.what(), e.exit_code());
  } catch (const std::exception& e) {
    return fail(e.what(), 1);
  }
}
