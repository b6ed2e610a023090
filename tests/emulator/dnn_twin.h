// What the twin of cuDNN offers to tests beyond dnn.h.
#pragma once

#include "dnn.h"

namespace gmail::cuda::dnn {

// Called with each graph that is to be prepared; it may refuse one with a reason. Absent: all are taken.
void set_judge(std::function<std::string(const Graph&)> f);

}  // namespace gmail::cuda::dnn
