// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/unit/reconcile/rows.h"

namespace stentor::controller {
namespace {

std::vector<Row> AllRows() {
  std::vector<Row> rows;
  for (const auto& group : {TypeRows(), NewRows(), AddressRows(), PoolRows(), StatusRows()}) {
    rows.insert(rows.end(), group.begin(), group.end());
  }
  return rows;
}

void CheckOutcome(const Cluster& cluster, const Row& row) {
  CHECK(cluster.AddressesOf("web") == row.ingress);
  CHECK(cluster.PoolOf("web") == row.pool);
  CHECK(cluster.ReasonOf("web") == row.refusal);
  CHECK(cluster.MessageOf("web").empty() == cluster.ReasonOf("web").empty());
}

void CheckEvents(const Cluster& cluster, const Row& row) {
  static const std::set<std::string> kNormal = {"IPAllocated", "ClearAssignment",
                                                "AdditionalAssignFailed"};
  Texts reasons;
  for (const EmitEvent& event : cluster.events) {
    reasons.push_back(event.reason);
    CHECK((event.type == EventType::kNormal) == kNormal.contains(event.reason));
    CHECK_FALSE(event.message.empty());
  }
  CHECK(reasons == row.events);
}

bool IsInPlace(const Row& row) {
  const auto pool = row.found.annotations.find(kAllocatedFromAnnotation);
  return row.found.ingress_ips == row.ingress &&
         (pool == row.found.annotations.end() ? "" : pool->second) == row.pool &&
         !row.found.address_allocated && std::string(row.refusal).empty();
}

}  // namespace

TEST_CASE("A Service converges as MetalLB's controller makes it", "[convergence]") {
  for (const Row& row : AllRows()) {
    INFO(row.name);
    Cluster cluster;
    cluster.SetPools(RowPools());
    cluster.Put(row.found);
    cluster.Synced();
    cluster.Run();
    CheckOutcome(cluster, row);
    CheckEvents(cluster, row);
    CHECK(cluster.write_count == (IsInPlace(row) ? 0 : 1));  // one write does it

    // Whoever starts now finds nothing to do.
    Cluster restarted;
    restarted.SetPools(RowPools());
    restarted.Put(cluster.services.at("web"));
    restarted.Synced();
    restarted.Run();
    CHECK(restarted.write_count == 0);
  }
}

TEST_CASE("What becomes of a Service does not depend on what was before", "[convergence]") {
  std::vector<Row> rows = AllRows();
  std::mt19937 shuffle(20240607);  // NOLINT(cert-msc51-cpp): the same orders in every run
  for (int order = 0; order < 100; ++order) {
    std::shuffle(rows.begin(), rows.end(), shuffle);
    Cluster cluster;
    cluster.SetPools(RowPools());
    cluster.Synced();
    std::string before;
    for (const Row& row : rows) {
      INFO("order " << order << ": " << row.name << ", after " << before);
      before = row.name;
      model::Service service = row.found;
      service.uid += row.name;  // deleted and made anew
      cluster.Put(service);
      cluster.Run();
      CheckOutcome(cluster, row);
      CheckEvents(cluster, row);
      cluster.Remove("web");
      cluster.Run();
      CHECK(cluster.reconciler.Allocator().size() == 0);
      CHECK(cluster.reconciler.WaitingCount() == 0);
    }
  }
}

TEST_CASE("An edit leads to where a new Service would be", "[convergence]") {
  // One object is edited from row to row; its status is set to what the row begins with.
  std::vector<Row> rows = AllRows();
  std::erase_if(rows, [](const Row& row) {
    // What it held before would be kept, and rightly so.
    return row.found.ingress_ips.empty() || row.found.key.name_space != "default";
  });
  REQUIRE(rows.size() > 30);
  std::mt19937 shuffle(7);  // NOLINT(cert-msc51-cpp)
  for (int order = 0; order < 100; ++order) {
    std::shuffle(rows.begin(), rows.end(), shuffle);
    Cluster cluster;
    cluster.SetPools(RowPools());
    cluster.Synced();
    for (const Row& row : rows) {
      INFO("order " << order << ": " << row.name);
      cluster.Put(row.found);
      cluster.Run();
      CheckOutcome(cluster, row);
    }
  }
}

}  // namespace stentor::controller
