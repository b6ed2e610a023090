#include "eval/transport.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "core/check.h"

namespace gmail {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();

// Nodes 0 .. n - 1 are the supplies, n .. n + m - 1 the demands.
class Transport {
 public:
  Transport(std::span<const int64_t> supply, std::span<const int64_t> demand, std::span<const double> cost)
      : n_(supply.size()),
        m_(demand.size()),
        cost_(cost),
        open_(demand.begin(), demand.end()),
        flow_(n_ * m_, 0),
        potential_(n_ + m_, 0.0),
        distance_(n_ + m_),
        before_(n_ + m_),
        done_(n_ + m_) {}

  void send(size_t source, int64_t mass) {
    while (mass > 0) {
      const size_t target = shortest_path(source);
      const int64_t amount = room(source, target, std::min(mass, open_[target - n_]));
      for (size_t v = target; v != source; v = before_[v]) {
        if (v >= n_)
          flow_[before_[v] * m_ + v - n_] += amount;
        else
          flow_[v * m_ + before_[v] - n_] -= amount;
      }
      open_[target - n_] -= amount;
      mass -= amount;
    }
  }

  [[nodiscard]] double cost() const {
    double sum = 0;
    for (size_t k = 0; k < flow_.size(); ++k)
      if (flow_[k] > 0) sum += static_cast<double>(flow_[k]) * cost_[k];
    return sum;
  }

 private:
  // The nearest demand that is open. Afterwards reduced costs, c_ij + p_i - p_j, are >= 0 on every arc, and 0
  // along the path.
  [[nodiscard]] size_t shortest_path(size_t source) {
    std::fill(distance_.begin(), distance_.end(), kFar);
    std::fill(done_.begin(), done_.end(), false);
    distance_[source] = 0;
    for (;;) {
      size_t nearest = done_.size();
      for (size_t v = 0; v < done_.size(); ++v)
        if (!done_[v] && distance_[v] < kFar &&
            (nearest == done_.size() || distance_[v] < distance_[nearest]))
          nearest = v;
      GMAIL_CHECK(nearest < done_.size(), "[transport_cost] supplies are left without a demand");
      done_[nearest] = true;
      if (nearest >= n_ && open_[nearest - n_] > 0) {
        const double reached = distance_[nearest];
        for (size_t v = 0; v < done_.size(); ++v) potential_[v] += std::min(distance_[v], reached);
        return nearest;
      }
      relax(nearest);
    }
  }

  void relax(size_t v) {
    const auto offer = [&](size_t to, double cost) {
      // below 0 by rounding only
      const double way = distance_[v] + std::max(0.0, cost + potential_[v] - potential_[to]);
      if (way < distance_[to]) distance_[to] = way, before_[to] = v;
    };
    if (v < n_) {
      for (size_t j = 0; j < m_; ++j)
        if (!done_[n_ + j]) offer(n_ + j, cost_[v * m_ + j]);
    } else {
      for (size_t i = 0; i < n_; ++i)
        if (!done_[i] && flow_[i * m_ + v - n_] > 0) offer(i, -cost_[i * m_ + v - n_]);
    }
  }

  // as much of `amount` as the shipments that the path takes back allow
  [[nodiscard]] int64_t room(size_t source, size_t target, int64_t amount) const {
    for (size_t v = target; v != source; v = before_[v])
      if (v < n_) amount = std::min(amount, flow_[v * m_ + before_[v] - n_]);
    return amount;
  }

  size_t n_, m_;
  std::span<const double> cost_;
  std::vector<int64_t> open_, flow_;  // (m) demand that is left, (n, m) shipments
  std::vector<double> potential_, distance_;
  std::vector<size_t> before_;
  std::vector<bool> done_;
};

}  // namespace

double transport_cost(std::span<const int64_t> supply, std::span<const int64_t> demand,
                      std::span<const double> cost) {
  const auto positive = [](int64_t x) { return x > 0; };
  GMAIL_CHECK(!supply.empty() && !demand.empty() && cost.size() == supply.size() * demand.size(),
              "[transport_cost] sizes do not match: ", supply.size(), " supplies, ", demand.size(),
              " demands, ", cost.size(), " costs");
  GMAIL_CHECK(std::all_of(supply.begin(), supply.end(), positive) &&
                  std::all_of(demand.begin(), demand.end(), positive) &&
                  std::all_of(cost.begin(), cost.end(), [](double c) { return std::isfinite(c) && c >= 0; }),
              "[transport_cost] expected masses > 0 and finite costs >= 0");
  GMAIL_CHECK(std::accumulate(supply.begin(), supply.end(), int64_t{0}) ==
                  std::accumulate(demand.begin(), demand.end(), int64_t{0}),
              "[transport_cost] supplies and demands have different sums");
  Transport plan(supply, demand, cost);
  for (size_t i = 0; i < supply.size(); ++i) plan.send(i, supply[i]);
  return plan.cost();
}

}  // namespace gmail
