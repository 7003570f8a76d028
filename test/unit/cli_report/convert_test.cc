// SPDX-License-Identifier: Apache-2.0
#include "cli/report/convert.h"

#include <string>
#include <vector>

#include "common/base/strings.h"
#include "common/config/yaml_documents.h"
#include "test/support/catch.h"

namespace stentor::cli {
namespace {

Conversion ConvertText(const std::string& yaml) {
  const auto documents = config::ParseYamlDocuments(yaml);
  REQUIRE(documents.ok());
  return Convert(*documents, "ns");
}

constexpr const char* kPoolHead =
    "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata:\n  name: a\n  namespace: ns\n"
    "spec:\n";
// Before the pool: nobody is to get an address that nobody announces yet.
constexpr const char* kAdvertisement =
    "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata:\n  name: a\n"
    "  namespace: ns\nspec:\n  ipAddressPools:\n  - a\n";
constexpr const char* kNext = "---\n";

}  // namespace

TEST_CASE("Older kinds become pools and advertisements", "[cli]") {
  struct Case {
    const char* name;
    const char* in;
    std::string out;
    std::vector<std::string> remarks;
  };
  const auto c = GENERATE(values<Case>({
      {"ConfigMap of layer 2",
       "kind: ConfigMap\nmetadata: {name: config, namespace: x}\ndata:\n  config: |\n"
       "    address-pools:\n    - name: a\n      protocol: layer2\n      auto-assign: false\n"
       "      addresses: [192.0.2.0/28]\n",
       StrCat(kAdvertisement, kNext, kPoolHead,
              "  addresses:\n  - \"192.0.2.0/28\"\n  autoAssign: false\n"),
       {}},
      {"ConfigMap of BGP",
       "kind: ConfigMap\nmetadata: {name: config, namespace: x}\ndata:\n  config: |\n"
       "    peers:\n    - peer-address: 192.0.2.1\n    address-pools:\n    - name: a\n"
       "      protocol: bgp\n      avoid-buggy-ips: true\n      addresses: [192.0.2.0/28]\n",
       StrCat(kPoolHead, "  addresses:\n  - \"192.0.2.0/28\"\n  avoidBuggyIPs: true\n"),
       {"ConfigMap x/config, pool a: protocol bgp is not spoken: its pool is converted, and "
        "announced by nobody",
        "ConfigMap x/config: peers are left out: Stentor announces by layer 2 only"}},
      {"AddressPool",
       "apiVersion: metallb.io/v1beta1\nkind: AddressPool\nmetadata: {name: a, namespace: x}\n"
       "spec: {protocol: layer2, addresses: [192.0.2.1-192.0.2.9, '2001:db8::/120']}\n",
       StrCat(kAdvertisement, kNext, kPoolHead,
              "  addresses:\n  - \"192.0.2.1-192.0.2.9\"\n  - \"2001:db8::/120\"\n"),
       {}},
      {"Eip for namespaces",
       "apiVersion: network.kubesphere.io/v1alpha2\nkind: Eip\nmetadata: {name: a}\n"
       "spec: {address: 192.0.2.7, protocol: layer2, interface: eth1, priority: 5,\n"
       "  namespaces: [test], namespaceSelector: {team: b}}\n",
       StrCat(kAdvertisement, "  interfaces:\n  - eth1\n", kNext, kPoolHead,
              "  addresses:\n  - \"192.0.2.7-192.0.2.7\"\n  serviceAllocation:\n    priority: 5\n"
              "    namespaces:\n    - test\n    namespaceSelectors:\n    - matchLabels:\n"
              "        team: b\n"),
       {}},
      {"default Eip by what it can reach",
       "kind: Eip\nmetadata: {name: a, annotations: {eip.openelb.kubesphere.io/is-default-eip: "
       "'true'}}\nspec: {address: 192.0.2.0/28, protocol: vip, interface: 'can_reach:192.0.2.1'}\n",
       StrCat(kAdvertisement, kNext, kPoolHead, "  addresses:\n  - \"192.0.2.0/28\"\n"),
       {"Eip a: protocol vip (keepalived) becomes layer 2: the segment must be the nodes' own",
        "Eip a: interface can_reach:192.0.2.1 has no equivalent: it is announced on all "
        "interfaces"}},
      {"Eip that nobody gets by itself, of BGP, and disabled",
       "kind: Eip\nmetadata: {name: a}\nspec: {address: 192.0.2.0/28, disable: true}\n",
       StrCat(kPoolHead, "  addresses:\n  - \"192.0.2.0/28\"\n  autoAssign: false\n"),
       {"Eip a: is disabled: its pool gives out nothing by itself (autoAssign: false)",
        "Eip a: protocol bgp is not spoken: its pool is converted, and announced by nobody"}},
      {"a List, and another kind",
       "kind: List\nitems:\n- {kind: Secret, metadata: {name: s}}\n- kind: AddressPool\n"
       "  metadata: {name: a}\n  spec: {protocol: layer2, addresses: [192.0.2.0/28]}\n",
       StrCat(kAdvertisement, kNext, kPoolHead, "  addresses:\n  - \"192.0.2.0/28\"\n"),
       {"Secret s: not converted: not one of ConfigMap, AddressPool and Eip"}},
  }));
  DYNAMIC_SECTION(c.name) {
    const Conversion conversion = ConvertText(c.in);
    CHECK(conversion.errors.empty());
    CHECK(ToYamlDocuments(conversion) == c.out);
    CHECK(conversion.remarks == c.remarks);
    CHECK(ToList(conversion)["items"].size() == conversion.objects.size());
  }
}

TEST_CASE("What can't be converted is an error that names the object", "[cli]") {
  struct Case {
    const char* name;
    const char* in;
    const char* error;  // a part
  };
  const auto c = GENERATE(values<Case>({
      {"ConfigMap without an entry", "kind: ConfigMap\nmetadata: {name: c, namespace: x}\n",
       "ConfigMap x/c: has no entry config"},
      {"ConfigMap with a mistyped key",
       "kind: ConfigMap\nmetadata: {name: c}\ndata: {config: 'address-pool: []'}\n",
       "address-pool"},
      {"Eip without an address", "kind: Eip\nmetadata: {name: a}\n", "Eip a: "},
      {"addresses that are none",
       "kind: AddressPool\nmetadata: {name: a}\nspec: {protocol: layer2, addresses: [nowhere]}\n",
       "nowhere"},
      {"pools that overlap",
       "kind: Eip\nmetadata: {name: a}\nspec: {address: 192.0.2.0/28}\n---\n"
       "kind: Eip\nmetadata: {name: b}\nspec: {address: 192.0.2.3}\n",
       "overlap"},
  }));
  DYNAMIC_SECTION(c.name) {
    const Conversion conversion = ConvertText(c.in);
    REQUIRE(conversion.errors.size() == 1);
    INFO(conversion.errors[0]);
    CHECK(conversion.errors[0].find(c.error) != std::string::npos);
  }
}

}  // namespace stentor::cli
