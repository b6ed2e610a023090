// The transportation problem (Hitchcock 1941), solved exactly:
//   (1)  min_T  sum_ij T_ij c_ij   with  T_ij >= 0,  sum_j T_ij = a_i,  sum_i T_ij = b_j
// by successive shortest paths (Ahuja, Magnanti, Orlin, Network Flows, 1993, sec. 9.7; potentials and
// Dijkstra's algorithm on the dense residual graph): one supply after the other is sent along the cheapest
// path to a demand that is still open, back through earlier shipments where that is cheaper. Supplies and
// demands are whole numbers, so what is left to send is never a matter of rounding; only the costs are
// doubles.
#pragma once

#include <cstdint>
#include <span>

namespace gmail {

// supply (n) and demand (m), both > 0 and of the same sum; cost (n, m) row by row, finite and >= 0.
// The minimum of (1) in units of cost times mass. Time grows with the cube of n + m (300 on 300: 20 ms),
// memory with n m. An Error if the sizes, signs or sums are not as said.
[[nodiscard]] double transport_cost(std::span<const int64_t> supply, std::span<const int64_t> demand,
                                    std::span<const double> cost);

}  // namespace gmail
