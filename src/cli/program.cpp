#include "cli/program.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/build_info.h"
#include "core/cuda_options.h"
#include "core/parallel_for.h"
#include "io/json.h"

namespace gmail::cli {

std::vector<std::string>& arguments() {
  static std::vector<std::string> all;
  return all;
}

std::vector<std::string> comma_parts(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::string version_text() {
  const BuildInfo b = build_info();
  return concat("gmail ", b.version, " (", b.commit, ")\ncompiler: ", b.compiler, ", ", b.flags,
                "\nCUDA: ", b.cuda, "\nCBLAS: ", b.cblas);
}

const Declared* Declared::required() const {
  option_->required();
  return this;
}

const Declared* Declared::one_of(std::vector<std::string> words) const {
  option_->check(CLI::IsMember(std::move(words)));
  return this;
}

template <class T>
Declared Command::option(const std::string& name, T& variable, const std::string& help) {
  dumps_.emplace_back(name, [&variable] { return nlohmann::json(variable); });
  CLI::Option* const option = app_->add_option("--" + name, variable, help);
  if (!nlohmann::json(variable).empty()) option->capture_default_str();  // an empty list is no default
  return Declared(option);
}
template Declared Command::option(const std::string&, std::string&, const std::string&);
template Declared Command::option(const std::string&, int&, const std::string&);
template Declared Command::option(const std::string&, int64_t&, const std::string&);
template Declared Command::option(const std::string&, uint64_t&, const std::string&);
template Declared Command::option(const std::string&, double&, const std::string&);
template Declared Command::option(const std::string&, std::vector<std::string>&, const std::string&);

Declared Command::flag(const std::string& name, bool& variable, const std::string& help) {
  dumps_.emplace_back(name, [&variable] { return nlohmann::json(variable); });
  return Declared(app_->add_flag("--" + name, variable, help));
}

void Command::preset(const std::string& name, const std::string& value) {
  app_->get_option("--" + name)->default_val(value);
}

Declared Command::argument(const std::string& name, std::string& variable, const std::string& help) {
  return Declared(app_->add_option(name, variable, help));
}

Declared Command::files(const std::string& name, std::vector<std::string>& variable,
                        const std::string& help) {
  return Declared(app_->add_option(name, variable, help));
}

Command::Command(CLI::App& parent, const std::string& name, const std::string& help,
                 std::function<void(Command&)> run)
    : app_(parent.add_subcommand(name, help)), run_(std::move(run)) {
  option("config", common_.config, "JSON file of options (keys as the flags, without the dashes)");
  option("device", common_.device, "auto | cpu | cuda")->one_of({"auto", "cpu", "cuda"});
  option("precision", common_.precision, "fp32 | bf16 (on cuda): of products and activations")
      ->one_of({"fp32", "bf16"});
  option("conv", common_.conv, "auto | own | cudnn: who convolves on cuda; auto is cudnn where it is found")
      ->one_of({"auto", "own", "cudnn"});
  option("attention", common_.attention, "own | cudnn (bf16) | naive: who attends on cuda")
      ->one_of({"own", "cudnn", "naive"});
  flag("tf32", common_.tf32, "float32 products on cuda may round their inputs to 10 bits (TF32)");
  option("threads", common_.threads, "CPU threads, 0 = one per core");
  option("seed", common_.seed, "seed of all random numbers");
  app_->final_callback([this] { start(); });
}

void Command::declared() {
  for (CLI::Option* option : app_->get_options()) {
    if (!option->get_required()) continue;
    option->required(false)->option_text(option->get_type_name() + " REQUIRED");
    required_.push_back(option);
  }
}

std::string Command::name() const {
  std::string name = app_->get_name();
  for (const CLI::App* up = app_->get_parent(); up != nullptr && up->get_parent() != nullptr;
       up = up->get_parent())
    name = up->get_name() + " " + name;
  return name;
}

void Command::start() {
  if (!common_.config.empty()) read_config();
  for (const CLI::Option* option : required_)
    GMAIL_INPUT(option->count() > 0, option->get_name(), " is required (gmail ", name(), " --help)");
  GMAIL_INPUT(common_.threads >= 0, "--threads: expected 0 or more, found ", common_.threads);
  set_num_threads(common_.threads);
  if (common_.device == "cuda" || common_.precision != "fp32") (void)ctx();  // refuses at once
  run_(*this);
  if (common_.conv != "cudnn" && common_.attention != "cudnn") return;
  for (const auto& [what, why] : cudnn_fallbacks())
    std::cerr << "not by cuDNN: " << what << ": " << why << '\n';
}

const Context& Command::ctx() const {
  if (!ctx_) ctx_ = make_context(common_);
  return *ctx_;
}

namespace {
std::string as_argument(const nlohmann::json& value, const std::string& file, const std::string& key) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  GMAIL_INPUT(value.is_number(), file, ": field \"", key,
              "\": expected a string, a number or a boolean, found ", value.dump());
  return value.dump();
}
}  // namespace

void Command::read_config() {
  const std::string& file = common_.config;
  const nlohmann::json config = read_json(file);
  GMAIL_INPUT(config.is_object(), file, ": expected an object, found ", config.type_name());
  for (const auto& [key, value] : config.items()) {
    CLI::Option* const found =
        key == "config" || key == "help" ? nullptr : app_->get_option_no_throw("--" + key);
    GMAIL_INPUT(found != nullptr, file, ": unknown field \"", key, "\" (gmail ", name(),
                " --help lists them)");
    if (found->count() > 0) continue;  // the command line wins
    try {
      if (value.is_array())
        for (const auto& item : value) found->add_result(as_argument(item, file, key));
      else
        found->add_result(as_argument(value, file, key));
      found->run_callback();
    } catch (const CLI::ParseError& e) {
      throw InputError(concat(file, ": field \"", key, "\": ", e.what()));
    }
  }
}

nlohmann::json Command::resolved() const {
  nlohmann::json all = nlohmann::json::object();
  for (const auto& [name, value] : dumps_)
    if (name != "config") all[name] = value();
  return all;
}

std::string Command::command_line() const {
  std::string line;
  for (const std::string& argument : arguments()) {
    const bool plain =
        argument.find_first_of(" \t\n\"'$&|;<>*?()\\") == std::string::npos && !argument.empty();
    line += (line.empty() ? "" : " ") + (plain ? argument : "'" + argument + "'");
  }
  return line;
}

Program::Program()
    : owner(std::make_shared<CLI::App>(
          "GMAIL: align generated images with real ones, then learn from them (arXiv:2602.15368)", "gmail")),
      app(*owner) {
  app.require_subcommand(0, 1);
  app.set_help_flag("--help", "Print this help message and exit");
  app.set_version_flag("--version", version_text);
}

CLI::App& Program::group(const std::string& name, const std::string& help) {
  CLI::App& group = *app.add_subcommand(name, help);
  group.require_subcommand(1);
  return group;
}

namespace {
// The command that was being read: " caption train".
std::string command_of(const CLI::App& app) {
  std::string name;
  for (const CLI::App* at = &app; !at->get_subcommands().empty();) {
    at = at->get_subcommands().front();
    name += " " + at->get_name();
  }
  return name;
}
}  // namespace

void Program::parse(int argc, char** argv) {
  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) std::cout << app.help();
  } catch (const CLI::ParseError& e) {
    GMAIL_INPUT(e.get_exit_code() == 0, e.what(), " (gmail", command_of(app), " --help)");
    app.exit(e);  // --help, --version
  }
  std::cout.flush();
  GMAIL_CHECK(std::cout, "cannot write to the standard output");
}

}  // namespace gmail::cli
