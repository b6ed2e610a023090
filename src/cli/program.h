// The `gmail` program: one file per command, and here what they share. A command declares its options as
// fields of a struct; every option is a --long-flag and a key of --config FILE (JSON). The command line wins
// over the file; a key that the command does not know is an error. A required option may come from either.
// CLI11 reads the command line; it is known to program.cpp alone, for its templates take seconds to compile.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/context.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace gmail::cli {

// Options that every command has.
struct Common {
  std::string config;
  std::string device = "auto", precision = "fp32", conv = "auto", attention = "own";
  bool tf32 = false;
  int threads = 0;
  uint64_t seed = 0;
};

// The device of --device and the types of --precision; InputError if they cannot be had. auto takes a GPU
// where there is one, and says in a line why not where the build has the CUDA backend.
[[nodiscard]] Context make_context(const Common& common);

// An option just declared: command.option(..)->required()->one_of({"a", "b"}).
class Declared {
 public:
  explicit Declared(CLI::Option* option) : option_(option) {}
  const Declared* operator->() const { return this; }
  const Declared* required() const;
  const Declared* one_of(std::vector<std::string> words) const;

 private:
  CLI::Option* option_;
};

class Command {
 public:
  // run: called after parsing, with the threads set
  Command(CLI::App& parent, const std::string& name, const std::string& help,
          std::function<void(Command&)> run);
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  // T: std::string, int, int64_t, uint64_t, double, std::vector<std::string>
  template <class T>
  Declared option(const std::string& name, T& variable, const std::string& help);
  Declared flag(const std::string& name, bool& variable, const std::string& help);
  // another default for an option that every command has
  void preset(const std::string& name, const std::string& value);
  // arguments without a flag
  Declared argument(const std::string& name, std::string& variable, const std::string& help);
  Declared files(const std::string& name, std::vector<std::string>& variable, const std::string& help);
  // Called once, after all options are declared: what is required is asked for after --config was read.
  void declared();

  [[nodiscard]] std::string name() const;  // "caption train"
  [[nodiscard]] const Common& common() const { return common_; }
  // The device, chosen when it is first asked for: a command that computes nothing touches none.
  [[nodiscard]] const Context& ctx() const;
  // every option with the value it has now: printed and stored beside the output
  [[nodiscard]] nlohmann::json resolved() const;
  // the command line that does this again
  [[nodiscard]] std::string command_line() const;

 private:
  void start();
  void read_config();
  CLI::App* app_;
  Common common_;
  mutable std::optional<Context> ctx_;
  std::vector<std::pair<std::string, std::function<nlohmann::json()>>> dumps_;
  std::vector<const CLI::Option*> required_;
  std::function<void(Command&)> run_;
};

// Holds the commands (and their options) while the program runs.
struct Program {
  std::shared_ptr<CLI::App> owner;
  CLI::App& app;
  std::vector<std::shared_ptr<void>> keep;

  Program();
  // A command that only holds others: `gmail eval retrieval`.
  [[nodiscard]] CLI::App& group(const std::string& name, const std::string& help);
  // A command whose options live in an Options struct: setup(command, options) declares, run(command,
  // options) works.
  template <class Options, class Setup, class Run>
  void add(CLI::App& parent, const std::string& name, const std::string& help, Setup setup, Run run) {
    auto options = std::make_shared<Options>();
    auto command =
        std::make_shared<Command>(parent, name, help, [options, run](Command& c) { run(c, *options); });
    setup(*command, *options);
    command->declared();
    keep.push_back(options);
    keep.push_back(command);
  }
  // Reads the command line and runs the command that it names. Returns when all is fine; bad usage is an
  // InputError.
  void parse(int argc, char** argv);
};

// "a,b" -> {"a", "b"}; an empty part is one, for the caller to refuse.
[[nodiscard]] std::vector<std::string> comma_parts(const std::string& list);

// `gmail --version`: the build, its compiler, what it runs matrix products with, CUDA and CBLAS found or not.
[[nodiscard]] std::string version_text();

// The whole argument list of this process, for "continue with: ..." messages.
[[nodiscard]] std::vector<std::string>& arguments();

}  // namespace gmail::cli
