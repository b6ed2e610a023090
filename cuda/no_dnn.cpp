// dnn.h in a build without cuDNN.
#include "dnn.h"

namespace gmail::cuda {

std::string why_no_cudnn() { return "this build has no cuDNN (see gmail --version)"; }

namespace dnn {
namespace {
[[noreturn]] void refuse() { throw Error("[cudnn] " + why_no_cudnn()); }
}  // namespace

Prepared prepare(const std::string&, const std::function<Graph()>&) { refuse(); }
void run(const Prepared&, const std::vector<Tensor>&, Stream) { refuse(); }
std::vector<std::string> engines(const Graph&, const std::string&) { refuse(); }
std::string compile(const Graph&, const std::string&) { refuse(); }

}  // namespace dnn
}  // namespace gmail::cuda
