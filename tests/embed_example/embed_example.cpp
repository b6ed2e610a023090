// Ranks three embeddings for a query with the installed library and prints them, best first.
#include <iostream>
#include <vector>

#include "core/build_info.h"
#include "eval/retrieval.h"

int main() {
  using gmail::Tensor;
  const Tensor query = Tensor::from(std::vector<float>{1, 1}, {1, 2});
  const Tensor gallery = Tensor::from(std::vector<float>{-1, 0, 2, 2, 0, 3}, {3, 2});
  std::cout << "gmail " << gmail::build_info().version << '\n';
  const auto ranked = gmail::rank(query, gallery, 2);
  for (const gmail::Ranked& r : ranked[0]) std::cout << r.index << ' ' << r.score << '\n';
}
