// The `gmail` program: one file per command, and here what they share. A command declares its options as
// fields of a struct; every option is a --long-flag and a key of --config FILE (JSON). The command line wins
// over the file; a key that the command does not know is an error.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/context.h"

namespace gmail::cli {

// Options that every command has.
struct Common {
  std::string config;
  std::string device = "auto";
  int threads = 0;
  uint64_t seed = 0;
};

class Command {
 public:
  // run: called after parsing, with the device chosen and the threads set
  Command(CLI::App& parent, const std::string& name, const std::string& help,
          std::function<void(Command&)> run);
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  template <class T>
  CLI::Option* option(const std::string& name, T& variable, const std::string& help) {
    dumps_.emplace_back(name, [&variable] { return nlohmann::json(variable); });
    return app_->add_option("--" + name, variable, help)->capture_default_str();
  }
  CLI::Option* flag(const std::string& name, bool& variable, const std::string& help) {
    dumps_.emplace_back(name, [&variable] { return nlohmann::json(variable); });
    return app_->add_flag("--" + name, variable, help);
  }
  CLI::Option* files(const std::string& name, std::vector<std::string>& variable, const std::string& help) {
    return app_->add_option(name, variable, help);
  }
  [[nodiscard]] CLI::App& app() { return *app_; }
  [[nodiscard]] const Common& common() const { return common_; }
  [[nodiscard]] const Context& ctx() const { return ctx_; }
  // every option with the value it has now: printed and stored beside the output
  [[nodiscard]] nlohmann::json resolved() const;
  // the command line that does this again
  [[nodiscard]] std::string command_line() const;

 private:
  void start();
  void read_config();
  CLI::App* app_;
  Common common_;
  Context ctx_;
  std::vector<std::pair<std::string, std::function<nlohmann::json()>>> dumps_;
  std::function<void(Command&)> run_;
};

// Holds the commands (and their options) while the program runs.
struct Program {
  CLI::App app{"GMAIL: align generated images with real ones, then learn from them (arXiv:2602.15368)",
               "gmail"};
  std::vector<std::shared_ptr<void>> keep;

  // A command whose options live in an Options struct: setup(command, options) declares, run(command,
  // options) works.
  template <class Options, class Setup, class Run>
  void add(CLI::App& parent, const std::string& name, const std::string& help, Setup setup, Run run) {
    auto options = std::make_shared<Options>();
    auto command =
        std::make_shared<Command>(parent, name, help, [options, run](Command& c) { run(c, *options); });
    setup(*command, *options);
    keep.push_back(options);
    keep.push_back(command);
  }
};

// `gmail --version`: the build, its compiler, what it runs matrix products with, CUDA and CBLAS found or not.
[[nodiscard]] std::string version_text();

// The whole argument list of this process, for "continue with: ..." messages.
[[nodiscard]] std::vector<std::string>& arguments();

}  // namespace gmail::cli
