// SPDX-License-Identifier: Apache-2.0
#include "cli/facts/snapshot.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "common/config/sources.h"
#include "common/kube/url.h"

namespace stentor::cli {
namespace {

constexpr std::string_view kGroup = "/apis/metallb.io/v1beta1/namespaces/";
// As often as it takes until a refusal is believed (config::Sources).
constexpr int kBelieved = 4;

constexpr std::size_t Index(Resource resource) { return static_cast<std::size_t>(resource); }

// In which namespaces somebody needs the right to read it.
std::string ScopeOf(Resource resource, const std::string& name_space) {
  switch (resource) {
    case Resource::kNodes:
    case Resource::kNamespaces:
    case Resource::kWebhooks:
      return "";
    case Resource::kServices:
    case Resource::kSlices:
    case Resource::kEvents:
      return " in all namespaces";
    default:
      return StrCat(" in namespace ", name_space);
  }
}

std::string RemedyOf(const absl::Status& why, Resource resource, const std::string& name_space) {
  if (absl::IsPermissionDenied(why)) {
    return StrCat("; needed: the right to get and list ",
                  resource == Resource::kConfigMap ? "configmaps" : ResourceName(resource),
                  ScopeOf(resource, name_space));
  }
  return absl::IsDeadlineExceeded(why) ? "; give it more time: --request-timeout" : "";
}

}  // namespace

std::string_view ResourceName(Resource resource) {
  switch (resource) {
    case Resource::kServices:
      return "services";
    case Resource::kNodes:
      return "nodes";
    case Resource::kNamespaces:
      return "namespaces";
    case Resource::kPools:
      return "ipaddresspools.metallb.io";
    case Resource::kAdvertisements:
      return "l2advertisements.metallb.io";
    case Resource::kAddressPools:
      return "addresspools.metallb.io";
    case Resource::kConfigMap:
      return "the ConfigMap of older manifests";
    case Resource::kPods:
      return "pods";
    case Resource::kStatuses:
      return "servicel2statuses.metallb.io";
    case Resource::kStates:
      return "configurationstates.metallb.io";
    case Resource::kSlices:
      return "endpointslices.discovery.k8s.io";
    case Resource::kEvents:
      return "events";
    case Resource::kWebhooks:
      return "validatingwebhookconfigurations.admissionregistration.k8s.io";
  }
  return "";
}

std::string_view RoleName(Role role) {
  return role == Role::kController ? "controller" : "speaker";
}

ResourceRequest RequestFor(Resource resource, const Snapshot& snapshot,
                           const std::optional<model::ServiceKey>& service) {
  const std::string& name_space = snapshot.name_space;
  const auto of_group = [&name_space](std::string_view plural, bool may_be_absent) {
    return ResourceRequest{.path = StrCat(kGroup, name_space, "/", plural),
                           .may_be_absent = may_be_absent};
  };
  const auto core = [&name_space](std::string_view plural) {
    return StrCat("/api/v1/namespaces/", name_space, "/", plural);
  };
  switch (resource) {
    case Resource::kServices:
      return {.path = "/api/v1/services?fieldSelector=spec.type%3DLoadBalancer"};
    case Resource::kNodes:
      return {.path = "/api/v1/nodes"};
    case Resource::kNamespaces:
      return {.path = "/api/v1/namespaces"};
    case Resource::kPools:
      return of_group("ipaddresspools", true);
    case Resource::kAdvertisements:
      return of_group("l2advertisements", true);
    case Resource::kAddressPools:
      return of_group("addresspools", true);
    case Resource::kConfigMap:
      return {.path = StrCat(core("configmaps"), "/", kube::PercentEncode(snapshot.config_map)),
              .single = true,
              .may_be_absent = true};
    case Resource::kPods:
      return {.path = core("pods")};
    case Resource::kStatuses:
      return of_group("servicel2statuses", true);
    case Resource::kStates:
      return of_group("configurationstates", true);
    case Resource::kSlices:
      if (!service) {
        return {.path = "/apis/discovery.k8s.io/v1/endpointslices"};
      }
      return {.path = StrCat(
                  "/apis/discovery.k8s.io/v1/namespaces/", service->name_space,
                  "/endpointslices?labelSelector=",
                  kube::PercentEncode(StrCat("kubernetes.io/service-name=", service->name)))};
    case Resource::kEvents: {
      const model::ServiceKey key = service.value_or(model::ServiceKey{});
      return {.path = StrCat("/api/v1/namespaces/", key.name_space, "/events?fieldSelector=",
                             kube::PercentEncode(StrCat(
                                 "involvedObject.kind=Service,involvedObject.name=", key.name)))};
    }
    case Resource::kWebhooks:
      return {.path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"};
  }
  return {};
}

void Snapshot::Done(Resource resource) {
  Knowledge& known = knowledge_[Index(resource)];
  // What was refused once for one Service stays unknown as a whole.
  known = known == Knowledge::kRefused ? known : Knowledge::kKnown;
}

void Snapshot::Refuse(Resource resource, const absl::Status& why) {
  const ResourceRequest request = RequestFor(resource, *this, std::nullopt);
  if (absl::IsNotFound(why) && request.may_be_absent) {
    // One object that is not there is known not to be.
    knowledge_[Index(resource)] = request.single ? Knowledge::kKnown : Knowledge::kAbsent;
    return;
  }
  knowledge_[Index(resource)] = Knowledge::kRefused;
  std::string& refusal = refusals_[Index(resource)];
  refusal = StrCat("cannot read ", ResourceName(resource), ": ", std::string(why.message()),
                   RemedyOf(why, resource, name_space));
  problems.push_back(refusal);
}

bool Snapshot::Knows(Resource resource) const {
  return knowledge_[Index(resource)] == Knowledge::kKnown;
}

bool Snapshot::Lacks(Resource resource) const {
  return knowledge_[Index(resource)] == Knowledge::kAbsent;
}

std::optional<Resource> Snapshot::ConfigGap() const {
  for (const Resource resource : {Resource::kPools, Resource::kAdvertisements}) {
    if (!Knows(resource) && !Lacks(resource)) {
      return resource;
    }
  }
  return std::nullopt;
}

std::optional<Resource> Snapshot::PoolGap() const {
  for (const Resource resource : {Resource::kPools, Resource::kAddressPools}) {
    if (!Knows(resource) && !Lacks(resource)) {
      return resource;
    }
  }
  return Knows(Resource::kConfigMap) ? std::nullopt : std::optional(Resource::kConfigMap);
}

std::optional<Resource> Snapshot::AllocationGap() const {
  if (const auto gap = PoolGap()) {
    return gap;
  }
  if (!Knows(Resource::kServices)) {
    return Resource::kServices;
  }
  return config.ok() && config->SelectsByNamespaceLabels() && !Knows(Resource::kNamespaces)
             ? std::optional(Resource::kNamespaces)
             : std::nullopt;
}

bool Snapshot::KnowsClass() const { return Knows(Resource::kPods) && !programs.empty(); }

std::string Snapshot::GapText(Resource resource) const {
  switch (knowledge_[Index(resource)]) {
    case Knowledge::kKnown:
      return "";
    case Knowledge::kAbsent:
      return StrCat("the API server has no kind ", ResourceName(resource), ", which would tell");
    case Knowledge::kRefused:
      return refusals_[Index(resource)];
    case Knowledge::kUnread:
      break;
  }
  return StrCat(ResourceName(resource), " were not read");
}

std::string Snapshot::ClassGapText() const {
  if (KnowsClass()) {
    return "";
  }
  return Knows(Resource::kPods) ? StrCat("no pod in namespace ", name_space,
                                         " tells which class of Services Stentor serves")
                                : GapText(Resource::kPods);
}

std::string Snapshot::AllocationGapText() const {
  for (const auto& gap : {ConfigGap(), AllocationGap()}) {
    if (gap) {
      return GapText(*gap);
    }
  }
  return ClassGapText();
}

void Snapshot::Finish() {
  config = MakeConfig();
  std::ranges::sort(programs, {}, [](const Program& p) { return std::pair(p.role, p.name); });
  for (auto& [service, of_service] : announcers) {
    std::ranges::sort(of_service, {}, &Announcer::node);
  }
  std::ranges::sort(states, {}, &status::ConfigurationState::key);
  std::ranges::sort(nodes, {}, &model::Node::name);
  const auto repeated = std::ranges::unique(nodes, {}, &model::Node::name);
  nodes.erase(repeated.begin(), repeated.end());
  speaker_nodes_.clear();
  for (const Program& program : programs) {
    if (program.role == Role::kSpeaker && program.runs && !program.node.empty()) {
      speaker_nodes_.insert(program.node);
    }
  }
}

// As controller and speakers make it of what they are told.
absl::StatusOr<config::Config> Snapshot::MakeConfig() const {
  using config::Source;
  if (const auto gap = ConfigGap()) {
    return absl::UnavailableError(StrCat("it is not known: ", GapText(*gap)));
  }
  config::Sources sources(
      {.config_map = {name_space, config_map}, .config_map_named = config_map_named});
  for (const auto& [key, pool] : resources.pools) {
    sources.SetPool(key, pool);
  }
  for (const auto& [key, advertisement] : resources.l2_advertisements) {
    sources.SetAdvertisement(key, advertisement);
  }
  for (const auto& [key, pool] : resources.address_pools) {
    sources.SetAddressPool(key, pool);
  }
  if (resources.config_map) {
    sources.SetConfigMap({name_space, config_map}, *resources.config_map);
  }
  const std::pair<Resource, Source> kinds[] = {{Resource::kPools, Source::kPools},
                                               {Resource::kAdvertisements, Source::kAdvertisements},
                                               {Resource::kAddressPools, Source::kAddressPools},
                                               {Resource::kConfigMap, Source::kConfigMap}};
  for (const auto& [resource, source] : kinds) {
    if (Knows(resource)) {
      sources.Synced(source);
      continue;
    }
    for (int i = 0; i < kBelieved; ++i) {
      sources.Refused(source);
    }
  }
  if (auto made = sources.Take()) {
    return *std::move(made);
  }
  return absl::FailedPreconditionError(
      Lacks(Resource::kPools) || Lacks(Resource::kAdvertisements)
          ? StrCat("the API server has no kind ",
                   ResourceName(Lacks(Resource::kPools) ? Resource::kPools
                                                        : Resource::kAdvertisements),
                   "; apply the CRDs")
          : "it is not known: nothing that defines pools can be read");
}

bool Snapshot::IsOurs(const model::Service& service) const {
  return service.IsLoadBalancer() &&
         (load_balancer_class.empty() ? !service.load_balancer_class.has_value()
                                      : service.load_balancer_class == load_balancer_class);
}

const model::Service* Snapshot::Find(const model::ServiceKey& key) const {
  const auto it = services.find(key);
  return it == services.end() ? nullptr : &it->second;
}

std::vector<const model::Service*> Snapshot::FindByAddress(const net::IpAddress& address) const {
  std::vector<const model::Service*> ours;
  std::vector<const model::Service*> others;
  for (const auto& [key, service] : services) {
    const std::vector<net::IpAddress> addresses = AddressesOf(service);
    if (std::ranges::find(addresses, address) != addresses.end()) {
      (IsOurs(service) ? ours : others).push_back(&service);
    }
  }
  return ours.empty() ? others : ours;
}

bool Snapshot::HasSpeaker(std::string_view node) const { return speaker_nodes_.contains(node); }

bool Snapshot::HasController() const {
  return std::ranges::any_of(
      programs, [](const Program& p) { return p.role == Role::kController && p.runs; });
}

const model::Labels* Snapshot::LabelsOf(std::string_view service_namespace) const {
  const auto it = namespaces.find(service_namespace);
  return it == namespaces.end() ? nullptr : &it->second;
}

std::vector<model::Endpoint> Snapshot::EndpointsOf(const model::ServiceKey& service) const {
  std::vector<model::Endpoint> endpoints;
  if (const auto it = slices.find(service); it != slices.end()) {
    for (const model::EndpointSlice& slice : it->second) {
      endpoints.insert(endpoints.end(), slice.endpoints.begin(), slice.endpoints.end());
    }
  }
  return endpoints;
}

const std::vector<Announcer>& Snapshot::AnnouncersOf(const model::ServiceKey& service) const {
  static const std::vector<Announcer> kNone;
  const auto it = announcers.find(service);
  return it == announcers.end() ? kNone : it->second;
}

const status::ConfigurationState* Snapshot::StateOf(std::string_view node) const {
  if (!HasSpeaker(node)) {
    return nullptr;
  }
  const model::ObjectKey key{name_space, StrCat("speaker-", node)};
  const auto it = std::ranges::lower_bound(states, key, {}, &status::ConfigurationState::key);
  return it == states.end() || it->key != key ? nullptr : &*it;
}

bool Snapshot::IsOfRunning(const status::ConfigurationState& state) const {
  constexpr std::string_view kSpeaker = "speaker-";
  const std::string_view name = state.key.name;
  return name.starts_with(kSpeaker) ? HasSpeaker(name.substr(kSpeaker.size()))
                                    : name != "controller" || HasController();
}

std::vector<net::IpAddress> AddressesOf(const model::Service& service) {
  std::vector<net::IpAddress> addresses;
  for (const std::string& text : service.ingress_ips) {
    if (const auto address = net::IpAddress::Parse(text)) {
      addresses.push_back(*address);
    }
  }
  return addresses;
}

}  // namespace stentor::cli
