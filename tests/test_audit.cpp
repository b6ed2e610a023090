// Protects `gmail audit`: every model of the method passes, its FLOPs are those of models/flops.h, the named
// equations exist, table, JSON and exit codes say what is so.
#include "catch.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "desk.h"
#include "gmail/audit_steps.h"
#include "models/flops.h"
#include "report/audit_table.h"
#include "tiny.h"

using namespace gmail;
using namespace gmail::test;

namespace {

const AuditSizes kSizes{.batch = 4, .tokens = 7, .seed = 3};

AuditReport report_of(const MakeAuditStep& make, const AuditOptions& options = {.repeats = 1}) {
  return audit(Context(), make, options);
}

double flop(const AuditReport& report) { return report.total.forward.flop + report.total.backward.flop; }

void check_passes(const AuditReport& report) {
  INFO(audit_table(report));
  CHECK(report.failures() == 0);
  CHECK(report.total.forward.alone > 0);
  CHECK(report.total.backward.alone > 0);
  CHECK(report.gradient_error > 0);
}

int64_t rows_of(const AuditReport& report, const std::string& op) {
  return std::count_if(report.rows.begin(), report.rows.end(), [&](const AuditRow& r) { return r.op == op; });
}

}  // namespace

TEST_CASE("audit: pretraining passes, with the FLOPs of the formulas") {
  const ClipConfig c = tiny_clip();
  const AuditReport report = report_of([&] { return pretrain_audit(c, kSizes); });
  check_passes(report);
  Flops expected = image_tower_flops(c, 4);
  expected += text_tower_flops(c, 4, 7);
  expected += contrastive_flops(c, 4);
  expected -= last_block_flops_left_out(c.vision, 4, 5);
  expected -= last_block_flops_left_out(c.text, 4, 7);
  CHECK(flop(report) == Approx(expected.step()).epsilon(1e-12));
  CHECK(report.trained == report.parameters);
}

TEST_CASE("audit: alignment passes; the frozen tower has no backward pass") {
  const ClipConfig c = tiny_clip();
  for (const RealEncoder real : {RealEncoder::frozen, RealEncoder::lora}) {
    AlignAudit o;
    o.gen.real_encoder = real;
    o.symmetric = real == RealEncoder::lora;
    const AuditReport report = report_of([&] { return align_audit(c, o, kSizes); });
    check_passes(report);
    Flops tower = image_tower_flops(c, 4);
    tower -= last_block_flops_left_out(c.vision, 4, 5);
    CHECK(report.total.forward.flop > 2 * tower.forward);    // f_r and f_g, and LoRA
    CHECK(report.total.backward.flop < 2 * tower.backward);  // no dW of a frozen weight
    CHECK((real == RealEncoder::lora || report.total.backward.flop < tower.backward));
    CHECK(report.trained < report.parameters);
  }
}

TEST_CASE("audit: the generator passes, with the FLOPs of the formulas") {
  const ClipConfig c = tiny_clip();
  const UnetConfig u = tiny_unet();
  const AuditReport report = report_of([&] { return generator_audit(c, u, {}, kSizes); });
  check_passes(report);
  const double text = text_tower_flops(c, 4, 7).forward - 2.0 * 4 * 24 * 12;  // without the projection
  CHECK(flop(report) == Approx(unet_flops(Unet(u), 4, 7).step() + text).epsilon(1e-12));
  CHECK(rows_of(report, "weighted_mse") == 1);
}

TEST_CASE("audit: the captioner passes") {
  check_passes(report_of([] { return caption_audit(tiny_clipcap(), kSizes); }));
  ClipCapConfig c = tiny_clipcap();
  c.normalize_prefix = true;
  const AuditReport report = report_of([&] { return caption_audit(c, kSizes); });
  check_passes(report);
  CHECK(rows_of(report, "l2_normalize") == 1);
  CHECK(rows_of(report, "cross_entropy") == 1);
}

TEST_CASE("audit: every equation that an op names stands in its header") {
  const std::filesystem::path source = std::filesystem::path(GMAIL_SOURCE_DIR) / "src";
  const std::regex named(R"re("([a-z0-9_]+\.h)(?: \((\d)(?:-(\d))?\))?")re");
  int found = 0;
  for (const auto& file : std::filesystem::directory_iterator(source / "autograd")) {
    if (!file.path().filename().string().starts_with("fn_")) continue;
    const std::string text = read_text(file.path());
    for (std::sregex_iterator it(text.begin(), text.end(), named), end; it != end; ++it) {
      const std::smatch& m = *it;
      const std::string header = read_text(source / "ops" / m[1].str());
      ++found;
      if (!m[2].matched) continue;
      const char last = m[3].matched ? m[3].str()[0] : m[2].str()[0];
      for (char n = m[2].str()[0]; n <= last; ++n) {
        INFO(m[0].str() << " in " << file.path().filename().string());
        CHECK(header.find(std::string("(") + n + ")") != std::string::npos);
      }
    }
  }
  CHECK(found >= 30);
}

TEST_CASE("audit: the table marks what fails and fits the terminal") {
  const auto step = [] { return pretrain_audit(tiny_clip(), kSizes); };
  const std::string good = audit_table(report_of(step));
  CHECK(good.find("\n!") == std::string::npos);
  CHECK(good.find("verdict     passed\n") != std::string::npos);
  const AuditReport strict = report_of(step, {.repeats = 1, .tolerance = 1e-12});
  const std::string bad = audit_table(strict);
  CHECK(bad.find("\n!linear ") != std::string::npos);
  CHECK(bad.find("\n reshape ") != std::string::npos);  // copies are exact
  CHECK(bad.find("verdict     FAILED, ") != std::string::npos);
  CHECK(strict.failures() > 5);
  std::istringstream lines(good);
  for (std::string line; std::getline(lines, line);) {
    INFO(line);
    CHECK(line.size() <= 110);
  }
}

TEST_CASE("gmail audit: table, JSON and exit codes") {
  const Desk desk;
  desk.write("model.json", Desk::kModel);
  desk.write("audit.json", R"({"train": "align", "model": "model.json", "batch": 3, "repeats": 1})");
  const std::string out = desk.ok("audit --config audit.json --out runs/a.json");
  CHECK(out.find("GMAIL alignment, eq. (1)") != std::string::npos);
  CHECK(out.find("contrastive.h (1-3)") != std::string::npos);
  CHECK(out.find("passed") != std::string::npos);
  const nlohmann::json j = desk.json("runs/a.json");
  CHECK(j["passed"] == true);
  CHECK(j["device"] == "cpu");
  CHECK(j["precision"] == "float32");
  CHECK(j["loss"]["error"].get<double>() < 1e-4);
  int64_t calls = 0;
  for (const auto& row : j["rows"]) {
    for (const char* key : {"op", "equations", "inputs", "result", "first", "passed", "forward", "backward"})
      CHECK(row.contains(key));
    for (const char* key : {"flop", "bytes", "ms", "error", "step_error"})
      CHECK(row["forward"].contains(key));
    calls += row["calls"].get<int64_t>();
  }
  CHECK(calls == j["ops"]);

  const Outcome all = desk.gmail("audit --config audit.json --all --out all.json");
  CHECK(all.code == 0);
  CHECK(std::ssize(desk.json("all.json")["rows"]) == j["ops"]);
  desk.refused("audit --config audit.json --quiet --tolerance 1e-12 --out bad.json",
               {"outside the tolerance"}, 1);
  CHECK(desk.json("bad.json")["passed"] == false);
  CHECK(read_text(desk.dir / "out.txt").find("\n!") != std::string::npos);
}

TEST_CASE("gmail audit: wrong input ends with code 2 and says what") {
  const Desk desk;
  desk.write("model.json", Desk::kModel);
  desk.write("unknown.json", R"({"train": "align", "model": "model.json", "bach": 3})");
  desk.refused("audit", {"--train is required"});
  desk.refused("audit --config unknown.json", {"unknown.json", "bach"});
  desk.refused("audit --train tune --model model.json", {"tune"});
  desk.refused("audit --train align --model none.json", {"none.json"});
  desk.refused("audit --train generator --model model.json", {"--unet is required"});
  desk.refused("audit --train align --model model.json --batch 2", {"batch of 2", "at least 3"});
  desk.refused("audit --train pretrain --model model.json --tokens 25", {"25 tokens"});
  desk.refused("audit --train align --model model.json --repeats 0", {"--repeats"});
  desk.refused("audit --train align --model model.json --precision bf16",
               {"--precision bf16", "--device cuda"});
}

TEST_CASE("gmail audit: the steps in data/audit pass", "[heavy]") {
  const Desk desk;
  std::filesystem::create_directory_symlink(std::filesystem::path(GMAIL_SOURCE_DIR) / "data",
                                            desk.dir / "data");
  for (const char* name : {"pretrain", "align", "generator", "caption"})
    CHECK(desk.ok(concat("audit --quiet --repeats 1 --config data/audit/", name, ".json")).find("passed") !=
          std::string::npos);
}
