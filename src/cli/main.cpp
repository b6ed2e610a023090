// gmail: the program. This file lists the commands and turns errors into one line and an exit code:
// 0 fine, 1 failed, 2 bad usage or input, 130 interrupted.
#include <iostream>

#include "cli/commands.h"
#include "core/build_info.h"

int main(int argc, char** argv) {
  using namespace gmail;
  using namespace gmail::cli;
  arguments().assign(argv, argv + argc);
  Program program;
  program.app.require_subcommand(0, 1);
  program.app.set_version_flag("--version", version_text);
  add_pretrain(program);
  add_generator(program);
  add_align(program);
  add_demo(program);
  try {
    program.app.parse(argc, argv);
    if (program.app.get_subcommands().empty()) std::cout << program.app.help();
    return 0;
  } catch (const CLI::ParseError& e) {
    return program.app.exit(e) == 0 ? 0 : 2;
  } catch (const Error& e) {
    std::cerr << "gmail: " << e.what() << '\n';
    return e.exit_code();
  } catch (const std::exception& e) {
    std::cerr << "gmail: " << e.what() << '\n';
    return 1;
  }
}
