#include "golden.h"

#include "gradcheck.h"

namespace gmail::test {

std::filesystem::path golden_folder(const std::string& name) {
  return std::filesystem::path(GMAIL_SOURCE_DIR) / "tests" / "golden" / name;
}

double Golden::number(const std::string& key) const {
  const auto found = file_.metadata().find(key);
  GMAIL_CHECK(found != file_.metadata().end(), file_.path().string(), ": no metadata \"", key, "\"");
  return std::stod(found->second);
}

std::string Golden::compare(const std::string& name, const Tensor& found, const std::string& kind,
                            double atol) const {
  const double tolerance = number("tolerance." + (kind.empty() ? name : kind));
  const Tensor expected = file_.read(name);
  if (found.numel() != expected.numel())
    return concat(name, ": expected ", expected.shape(), ", found ", found.shape());
  const std::string difference = close(found, expected.reshape(found.shape()), tolerance, atol);
  return difference.empty() ? "" : name + ": " + difference;
}

}  // namespace gmail::test
