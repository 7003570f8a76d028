// SPDX-License-Identifier: Apache-2.0
#include "cli/report/convert.h"

#include <algorithm>
#include <utility>

#include "cli/report/output.h"
#include "common/base/strings.h"
#include "common/config/config.h"
#include "common/config/legacy.h"
#include "common/kube/codec.h"
#include "common/kube/json_member.h"

namespace stentor::cli {
namespace {

using kube::Member;
using kube::TextMember;
using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* kApiVersion = "metallb.io/v1beta1";
constexpr const char* kDefaultEip = "eip.openelb.kubesphere.io/is-default-eip";
constexpr std::string_view kCanReach = "can_reach:";

bool IsTrue(const json& value) { return value.is_boolean() && value.get<bool>(); }

class Converter {
 public:
  explicit Converter(std::string_view name_space) : name_space_(name_space) {}

  void Add(const json& document) {
    const std::string kind = TextMember(document, "kind");
    if (kind.ends_with("List") && Member(document, "items").is_array()) {
      for (const json& item : document["items"]) {
        Add(item);
      }
    } else if (kind == "ConfigMap") {
      AddConfigMap(document);
    } else if (kind == "AddressPool") {
      const auto pool = kube::DecodeAddressPool(document);
      if (pool.ok()) {
        AddPool(*pool, StrCat("AddressPool ", pool->key.name));
        RemarkAdvertisements(document, StrCat("AddressPool ", pool->key.name));
      } else {
        Fail(std::string(pool.status().message()));
      }
    } else if (kind == "Eip") {
      AddEip(document);
    } else {
      Remark(kind.empty() ? "a document without a kind"
                          : StrCat(kind, " ", TextMember(Member(document, "metadata"), "name")),
             "not converted: not one of ConfigMap, AddressPool and Eip");
    }
  }

  Conversion Take() {
    // The judge is the parser that controller and speakers use.
    config::Resources resources;
    for (const ordered_json& object : result_.objects) {
      const json plain(object);
      if (object["kind"] == "IPAddressPool") {
        Keep(kube::DecodeIpAddressPool(plain), resources.pools);
      } else {
        Keep(kube::DecodeL2Advertisement(plain), resources.l2_advertisements);
      }
    }
    if (result_.errors.empty()) {
      if (const auto config = config::Parse(resources); !config.ok()) {
        Fail(std::string(config.status().message()));
      }
    }
    return std::move(result_);
  }

 private:
  template <typename T>
  void Keep(absl::StatusOr<T> decoded, std::vector<T>& into) {
    if (decoded.ok()) {
      into.push_back(*std::move(decoded));
    } else {
      Fail(std::string(decoded.status().message()));
    }
  }

  void Fail(std::string message) { result_.errors.push_back(std::move(message)); }
  void Remark(std::string_view object, std::string_view message) {
    result_.remarks.push_back(StrCat(object, ": ", message));
  }

  void AddObject(const char* kind, const std::string& name, ordered_json spec) {
    result_.objects.push_back({{"apiVersion", kApiVersion},
                               {"kind", kind},
                               {"metadata", {{"name", name}, {"namespace", name_space_}}},
                               {"spec", std::move(spec)}});
  }

  // Before its pool: kubectl applies in this order, and nobody is to get an address that is
  // announced by nobody. Names of pools that don't exist are ignored (config::Parse).
  void AddAdvertisement(const std::string& pool, const std::string& interface) {
    ordered_json spec{{"ipAddressPools", {pool}}};
    if (!interface.empty()) {
      spec["interfaces"] = {interface};
    }
    AddObject("L2Advertisement", pool, std::move(spec));
  }

  void AddPool(const model::AddressPoolResource& pool, std::string_view object) {
    ordered_json spec{{"addresses", pool.addresses}};
    if (!pool.auto_assign) {
      spec["autoAssign"] = false;
    }
    if (pool.avoid_buggy_ips) {
      spec["avoidBuggyIPs"] = true;
    }
    if (pool.protocol == "layer2") {
      AddAdvertisement(pool.key.name, "");
    } else {
      Remark(object, StrCat("protocol ", pool.protocol,
                            " is not spoken: its pool is converted, and announced by nobody"));
    }
    AddObject("IPAddressPool", pool.key.name, std::move(spec));
  }

  void RemarkAdvertisements(const json& pool, std::string_view object) {
    if (!Member(Member(pool, "spec"), "bgpAdvertisements").empty()) {
      Remark(object, "bgpAdvertisements are left out");
    }
  }

  void AddConfigMap(const json& document) {
    const auto entry = kube::DecodeConfigMapEntry(document, config::kLegacyEntry);
    if (!entry.ok() || !entry->text) {
      return Fail(entry.ok() ? StrCat("ConfigMap ", entry->key.ToString(), ": has no entry ",
                                      config::kLegacyEntry)
                             : std::string(entry.status().message()));
    }
    const auto legacy = config::ParseLegacyConfig(*entry->text, entry->key);
    if (!legacy.ok()) {
      return Fail(std::string(legacy.status().message()));
    }
    const std::string object = StrCat("ConfigMap ", entry->key.ToString());
    for (const model::AddressPoolResource& pool : legacy->pools) {
      AddPool(pool, StrCat(object, ", pool ", pool.key.name));
    }
    for (const std::string& key : legacy->ignored) {
      Remark(object, StrCat(key, " are left out: Stentor announces by layer 2 only"));
    }
  }

  // https://openelb.io/docs/getting-started/configuration/configure-ip-address-pools-using-eip
  void AddEip(const json& eip) {
    const json& metadata = Member(eip, "metadata");
    const json& spec = Member(eip, "spec");
    const std::string name = TextMember(metadata, "name");
    const std::string object = StrCat("Eip ", name);
    const std::string address = TextMember(spec, "address");
    if (name.empty() || address.empty()) {
      return Fail(StrCat(object, ": metadata.name and spec.address: expected texts"));
    }
    // OpenELB also takes a single address.
    ordered_json pool{
        {"addresses", {net::IpAddress::Parse(address) ? StrCat(address, "-", address) : address}}};
    const json& namespaces = Member(spec, "namespaces");
    const json& selector = Member(spec, "namespaceSelector");
    const bool restricted = !namespaces.empty() || !selector.empty();
    const bool by_default = TextMember(Member(metadata, "annotations"), kDefaultEip) == "true";
    const bool disabled = IsTrue(Member(spec, "disable"));
    if (disabled || (!restricted && !by_default)) {
      pool["autoAssign"] = false;
    }
    if (disabled) {
      Remark(object, "is disabled: its pool gives out nothing by itself (autoAssign: false)");
    }
    if (restricted) {
      pool["serviceAllocation"] = Allocation(spec, namespaces, selector);
    }
    if (restricted && by_default) {
      Remark(object, "is the default and restricted to namespaces: the pool is restricted too");
    }
    AnnounceEip(name, object, TextMember(spec, "protocol"), TextMember(spec, "interface"));
    AddObject("IPAddressPool", name, std::move(pool));
  }

  static ordered_json Allocation(const json& spec, const json& namespaces, const json& selector) {
    ordered_json allocation = ordered_json::object();
    if (const json& priority = Member(spec, "priority"); priority.is_number_integer()) {
      allocation["priority"] = priority;
    }
    if (!namespaces.empty()) {
      allocation["namespaces"] = namespaces;
    }
    if (!selector.empty()) {
      allocation["namespaceSelectors"] = {{{"matchLabels", selector}}};
    }
    return allocation;
  }

  void AnnounceEip(const std::string& name, const std::string& object, const std::string& protocol,
                   const std::string& interface) {
    if (protocol.empty() || protocol == "bgp") {
      return Remark(object,
                    "protocol bgp is not spoken: its pool is converted, and announced by "
                    "nobody");
    }
    if (protocol == "vip") {
      Remark(object,
             "protocol vip (keepalived) becomes layer 2: the segment must be the nodes' own");
    }
    if (interface.starts_with(kCanReach)) {
      Remark(object, StrCat("interface ", interface,
                            " has no equivalent: it is announced on all interfaces"));
      return AddAdvertisement(name, "");
    }
    AddAdvertisement(name, interface);
  }

  const std::string name_space_;
  Conversion result_;
};

}  // namespace

Conversion Convert(const std::vector<json>& documents, std::string_view name_space) {
  Converter converter(name_space);
  for (const json& document : documents) {
    converter.Add(document);
  }
  return converter.Take();
}

std::string ToYamlDocuments(const Conversion& conversion) {
  std::string out;
  for (const ordered_json& object : conversion.objects) {
    StrAppend(&out, out.empty() ? "" : "---\n", ToYaml(object));
  }
  return out;
}

ordered_json ToList(const Conversion& conversion) {
  return {{"apiVersion", "v1"}, {"kind", "List"}, {"items", conversion.objects}};
}

}  // namespace stentor::cli
