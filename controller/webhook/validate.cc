// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/validate.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_join.h"
#include "common/base/strings.h"
#include "common/config/config.h"
#include "common/kube/codec.h"
#include "common/kube/json_member.h"
#include "controller/reconcile/service_wish.h"
#include "controller/webhook/rules.h"

namespace stentor::controller {
namespace {

using kube::TextMember;
using nlohmann::json;
using Level = Finding::Level;

constexpr std::string_view kGroup = "metallb.io/";

// An object that is judged, or a Service; for the rest nothing but findings is made.
struct Item {
  std::string source;
  std::optional<Kind> kind;  // absent: a Service
  json object;
  model::ObjectKey key;
};

class Validation {
 public:
  Validation(std::string_view name_space, BgpMode bgp_mode)
      : facts_{.name_space = std::string(name_space), .bgp_mode = bgp_mode} {}

  void Add(const std::string& source, const json& object, int depth) {
    if (object.is_null()) {
      return;
    }
    if (!object.is_object()) {
      Report(Level::kError, source, "", "not a Kubernetes object");
      return;
    }
    const std::string kind = TextMember(object, "kind");
    const std::string api_version = TextMember(object, "apiVersion");
    if (kind == "List" && api_version == "v1" && depth == 0) {
      AddList(source, object);
    } else if (kind == "Service" && api_version == "v1") {
      AddItem(source, std::nullopt, object, "default");
    } else if (api_version.substr(0, kGroup.size()) == kGroup && KindOf(kind)) {
      AddItem(source, KindOf(kind), object, facts_.name_space);
    } else {
      Report(Level::kWarning, source, kind, "not checked: no kind that this program reads");
    }
  }

  std::vector<Finding> Finish() {
    const auto config = config::Parse(facts_.Resources());
    std::map<Kind, absl::Status> errors;
    for (const Item& item : items_) {
      if (item.kind) {
        auto error = errors.find(*item.kind);
        if (error == errors.end()) {
          error = errors.emplace(*item.kind, CheckAll(*item.kind, facts_)).first;
        }
        ReportVerdict(item, JudgeHeld(*item.kind, item.object, facts_, error->second));
      } else {
        CheckService(item, config.ok() ? &*config : nullptr);
      }
    }
    std::vector<Finding> findings;
    for (auto& [document, of_document] : findings_) {
      findings.insert(findings.end(), of_document.begin(), of_document.end());
    }
    return findings;
  }

  void NextDocument() { ++document_; }

 private:
  void Report(Level level, const std::string& source, std::string object, std::string message) {
    findings_[document_].push_back({level, source, std::move(object), std::move(message)});
  }

  void AddList(const std::string& source, const json& list) {
    const auto items = list.find("items");
    if (items == list.end() || !items->is_array()) {
      Report(Level::kError, source, "List", "items: expected a list");
      return;
    }
    for (const json& item : *items) {
      Add(source, item, 1);
    }
  }

  void AddItem(const std::string& source, std::optional<Kind> kind, json object,
               const std::string& default_namespace) {
    const std::string_view kind_name = kind ? KindName(*kind) : "Service";
    json& metadata = object["metadata"];
    if (metadata.is_object() && TextMember(metadata, "namespace").empty()) {
      metadata["namespace"] = default_namespace;
    }
    const auto key = kube::DecodeKey(object);
    if (!key.ok()) {
      Report(Level::kError, source, std::string(kind_name), std::string(key.status().message()));
      return;
    }
    const std::string name = StrCat(kind_name, " ", key->ToString());
    if (!names_.insert(name).second) {
      Report(Level::kError, source, name, "defined twice");
      return;
    }
    if (kind && key->name_space != facts_.name_space) {
      Report(Level::kError, source, name,
             StrCat("resource must be created in ", facts_.name_space, " namespace"));
      return;
    }
    if (kind) {
      (void)facts_.Put(*kind, object);  // what can't be read is told by Judge()
    }
    numbers_.push_back(document_);
    items_.push_back({source, kind, std::move(object), *key});
  }

  // Everything about one item gets its document's number.
  void ReportItem(const Item& item, Level level, std::string message) {
    const std::string_view kind_name = item.kind ? KindName(*item.kind) : "Service";
    document_ = numbers_[static_cast<std::size_t>(&item - items_.data())];
    Report(level, item.source, StrCat(kind_name, " ", item.key.ToString()), std::move(message));
  }

  void ReportVerdict(const Item& item, const Verdict& verdict) {
    if (!verdict.allowed) {
      ReportItem(item, Level::kError, verdict.message);
    }
    for (const std::string& warning : verdict.warnings) {
      ReportItem(item, Level::kWarning, warning);
    }
    if (verdict.allowed && verdict.warnings.empty()) {
      ReportItem(item, Level::kOk, "ok");
    }
  }

  // Without a configuration, only what the Service itself says can be judged.
  void CheckService(const Item& item, const config::Config* config) {
    const auto service = kube::DecodeService(item.object, kube::Verbatim::kDrop);
    if (!service.ok()) {
      ReportItem(item, Level::kError, std::string(service.status().message()));
      return;
    }
    if (!service->IsLoadBalancer()) {
      ReportItem(
          item, Level::kOk,
          StrCat("type ", service->type.empty() ? "ClusterIP" : service->type, " gets no address"));
      return;
    }
    bool good = true;
    const auto report = [&](Level level, std::string message) {
      good = false;
      ReportItem(item, level, std::move(message));
    };
    const auto requested = RequestedAddresses(*service);
    if (!requested.ok()) {
      report(Level::kError, std::string(requested.status().message()));
    }
    if (const auto deprecated = DeprecatedAnnotations(*service); !deprecated.empty()) {
      report(Level::kWarning, StrCat("deprecated annotations: ", absl::StrJoin(deprecated, ", ")));
    }
    if (config != nullptr) {
      CheckRequest(*service, requested.ok() ? *requested : AddressList{}, *config, report);
    }
    if (good) {
      ReportItem(item, Level::kOk, "ok");
    }
  }

  // Labels of namespaces are not known here, so a pool that selects by them may admit it.
  static bool MayUse(const config::Pool& pool, const model::Service& service) {
    const auto& allocation = pool.service_allocation;
    return !allocation || !allocation->namespace_selectors.empty() ||
           allocation->Admits(service.key.name_space, {}, service.labels);
  }

  // The API server gives cluster IPs, and families, which a file need not have.
  static bool FitsFamilies(const model::Service& service, const AddressList& requested) {
    const Families wanted = FamiliesOf(requested);
    if (!service.cluster_ips.empty()) {
      return wanted == ClusterFamilies(service);
    }
    return wanted != Families::kUnknown &&
           (service.ip_families.empty() ||
            std::ranges::all_of(requested, [&service](const net::IpAddress& address) {
              return std::ranges::find(service.ip_families, address.family()) !=
                     service.ip_families.end();
            }));
  }

  // As the allocator would see it when all addresses are free.
  template <typename ReportFunction>
  static void CheckRequest(const model::Service& service, const AddressList& requested,
                           const config::Config& config, ReportFunction report) {
    const auto wanted_pool = RequestedPool(service);
    if (wanted_pool) {
      const auto pool = std::ranges::find(config.pools, *wanted_pool, &config::Pool::name);
      if (pool == config.pools.end()) {
        report(Level::kError, StrCat("unknown pool \"", *wanted_pool, "\""));
        return;
      }
      if (!MayUse(*pool, service)) {
        report(Level::kError, StrCat("pool ", *wanted_pool, " not compatible for ip assignment"));
      }
    }
    if (!requested.empty()) {
      CheckAddresses(service, requested, wanted_pool, config, report);
    } else if (!wanted_pool && std::ranges::none_of(config.pools, &config::Pool::auto_assign)) {
      report(Level::kWarning, "no pool gives addresses by itself");
    }
  }

  template <typename ReportFunction>
  static void CheckAddresses(const model::Service& service, const AddressList& requested,
                             const std::optional<model::PoolName>& wanted_pool,
                             const config::Config& config, ReportFunction report) {
    const std::string list = StrCat("[",
                                    absl::StrJoin(requested, " ",
                                                  [](std::string* out, const auto& address) {
                                                    StrAppend(out, "\"", address.ToString(), "\"");
                                                  }),
                                    "]");
    if (!FitsFamilies(service, requested)) {
      report(Level::kError, StrCat("requested loadBalancer IP(s) ", list,
                                   " does not match the ipFamily of the service"));
      return;
    }
    // All of them have to be of one pool.
    const config::Pool* pool = config.FindPool(requested[0]);
    const auto gives = [pool](const net::IpAddress& address) {
      const auto last = address.low() & 0xffU;
      return pool->Contains(address) &&
             !(pool->avoid_buggy_ips && address.IsIpv4() && (last == 0 || last == 0xff));
    };
    if (pool == nullptr || !std::ranges::all_of(requested, gives)) {
      report(Level::kError, StrCat(list, " is not allowed in config"));
    } else if (wanted_pool && pool->name != *wanted_pool) {
      report(Level::kError,
             StrCat("requested loadBalancer IP(s) ", list,
                    " is not compatible with requested address pool ", *wanted_pool));
    } else if (!wanted_pool && !MayUse(*pool, service)) {
      report(Level::kError, StrCat("pool ", pool->name, " not compatible for ip assignment"));
    }
  }

  Facts facts_;
  std::vector<Item> items_;
  std::vector<std::size_t> numbers_;  // document of each item
  std::set<std::string> names_;
  std::map<std::size_t, std::vector<Finding>> findings_;  // by document
  std::size_t document_ = 0;
};

}  // namespace

std::string ToLine(const Finding& finding) {
  const std::string_view level = finding.level == Level::kError     ? "error"
                                 : finding.level == Level::kWarning ? "warning"
                                                                    : "ok";
  return StrCat(level, ": ", finding.source, finding.object.empty() ? "" : ": ", finding.object,
                ": ", finding.message);
}

std::vector<Finding> Validate(const std::vector<Document>& documents, std::string_view name_space,
                              BgpMode bgp_mode) {
  Validation validation(name_space, bgp_mode);
  for (const Document& document : documents) {
    validation.NextDocument();
    validation.Add(document.source, document.object, 0);
  }
  return validation.Finish();
}

}  // namespace stentor::controller
