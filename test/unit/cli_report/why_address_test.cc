// SPDX-License-Identifier: Apache-2.0
#include "cli/report/why.h"

#include <string>

#include "test/support/catch.h"
#include "test/unit/cli_report/cluster.h"

namespace stentor::cli {

TEST_CASE("why finds the Service of an address", "[cli]") {
  struct Case {
    const char* name;
    const char* address;
    std::string subject;
    std::string seen;  // of the cause
  };
  const auto c = GENERATE(values<Case>({
      {"that has it", "192.0.2.10", "192.0.2.10 (Service default/web)", ""},
      {"that asks for it", "198.51.100.7", "198.51.100.7 (Service default/wish)",
       "it has no address"},
      {"free in a pool", "192.0.2.12", "192.0.2.12", "pool web has it, and it is free"},
      {"of no pool", "203.0.113.1", "203.0.113.1", "and no pool has it"},
  }));
  DYNAMIC_SECTION(c.name) {
    Cluster cluster;
    cluster.services.push_back(MakeService("wish", ""));
    cluster.services[1]["spec"]["loadBalancerIP"] = "198.51.100.7";
    const WhyReport report =
        Why(cluster.Read(), {.address = net::IpAddress::Parse(c.address), .service = {}});
    CHECK(report.subject == c.subject);
    CHECK((report.cause() == nullptr) == c.seen.empty());
    if (report.cause() != nullptr) {
      CHECK(report.cause()->seen.find(c.seen) != std::string::npos);
    }
  }
}

TEST_CASE("why asks of an address only what is about it", "[cli]") {
  Cluster cluster;
  cluster.services[0]["spec"]["loadBalancerIP"] = "192.0.2.11";
  cluster.services[0]["status"]["loadBalancer"]["ingress"] = {{{"ip", "192.0.2.10"}}};
  const auto cause_of = [&cluster](const char* address) {
    const WhyReport report =
        Why(cluster.Read(), {.address = net::IpAddress::Parse(address), .service = {}});
    INFO(ToText(report));
    return report.cause() == nullptr ? "" : report.cause()->cause;
  };
  SECTION("the one that is shown works, the one that is asked for does not yet") {
    CHECK(cause_of("192.0.2.11") == "notYet");
    CHECK(cause_of("192.0.2.10") == "");
  }
  SECTION("a conflict is of one of two addresses") {
    cluster.services[0]["spec"] = MakeService("web", "")["spec"];
    cluster.services[0]["spec"]["clusterIPs"] = {"10.0.0.1", "2001:db8:1::1"};
    cluster.services[0]["spec"]["ipFamilyPolicy"] = "RequireDualStack";
    cluster.services[0]["status"]["loadBalancer"]["ingress"] = {{{"ip", "192.0.2.10"}},
                                                                {{"ip", "2001:db8::10"}}};
    cluster.pools[0]["spec"]["addresses"].push_back("2001:db8::10-2001:db8::12");
    AddConflict(cluster.states[0], "2001:db8::10 is also claimed by 02:00:00:00:00:01 on eth0");
    CHECK(cause_of("2001:db8::10") == "foreignOwner");
    CHECK(cause_of("192.0.2.10") == "");
  }
}

TEST_CASE("why looks at all Services that share an address", "[cli]") {
  Cluster cluster;
  cluster.services.push_back(MakeService("api", "192.0.2.10"));
  cluster.services[1]["spec"]["ports"][0]["port"] = 443;
  for (nlohmann::json& service : cluster.services) {
    service["metadata"]["annotations"] = {{"metallb.io/allow-shared-ip", "x"}};
  }
  cluster.statuses.push_back(MakeL2Status("api", Cluster::kElected));
  const WhyQuestion question{.address = net::IpAddress::Parse("192.0.2.10"), .service = {}};
  SECTION("all is well") {
    cluster.slices.push_back(MakeSlice("api", {"node-1"}));
    const WhyReport report = Why(cluster.Read(), question);
    INFO(ToText(report));
    CHECK(report.cause() == nullptr);
    CHECK(report.subject == "192.0.2.10 (Services default/api, default/web)");
    CHECK(ToText(report).find("default/web   endpoints") != std::string::npos);
  }
  SECTION("the second one has no endpoint") {
    cluster.slices[0]["metadata"]["labels"]["kubernetes.io/service-name"] = "api";
    const WhyReport report = Why(cluster.Read(), question);
    INFO(ToText(report));
    REQUIRE(report.cause() != nullptr);
    CHECK(report.cause()->cause == "noEndpoint");
    const auto object = ToJson(report);
    CHECK(object["address"] == "192.0.2.10");
    CHECK(object["namespace"] == "default");
    CHECK(object["name"] == "web");
  }
}

}  // namespace stentor::cli
