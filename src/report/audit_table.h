// An audit (train/audit.h) as a table for the terminal and as JSON.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "train/audit.h"

namespace gmail {

// Head, a line for each row, totals, verdict. "!" marks a row that is outside the tolerance.
[[nodiscard]] std::string audit_table(const AuditReport& report);

// {"model", "batch", "device", "precision", "parameters", "trained", "tolerance": {"op", "step"}, "passed",
//  "loss": {"value", "float64", "error"}, "gradient": {"error", "worst_parameter", "worst_error"}, "ops",
//  "step_ms", "repeats", "total": {..}, "rows": [{"op", "equations", "inputs", "result", "first", "calls",
//  "passed", "forward": {"flop", "bytes", "ms", "error", "step_error"}, "backward": {..} or null}]}
// An error that is not a number is null.
[[nodiscard]] nlohmann::ordered_json audit_json(const AuditReport& report);

}  // namespace gmail
