// SPDX-License-Identifier: Apache-2.0
#include "controller/reconcile/convergence.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"
#include "controller/reconcile/service_wish.h"

namespace stentor::controller {
namespace {

std::string Bracketed(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    StrAppend(&out, out.size() == 1 ? "" : " ", text);
  }
  return out + "]";
}

class Convergence {
 public:
  Convergence(AddressAllocator& allocator, const model::Service& service,
              const model::Labels* namespace_labels, bool have_pools)
      : allocator_(allocator),
        service_(service),
        namespace_labels_(namespace_labels),
        have_pools_(have_pools) {}

  Standing Run() && {
    if (Prepare()) {
      Keep();
      if (!stopped_ && !allocator_.Find(service_.key)) {
        Obtain();
      }
    }
    standing_.allocation = allocator_.Find(service_.key);
    return std::move(standing_);
  }

 private:
  void Say(bool warning, std::string_view reason, std::string message) {
    standing_.remarks.push_back({warning, reason, std::move(message)});
  }

  // Clears what the Service has.
  bool Refuse(std::string_view reason, std::string message) {
    allocator_.Release(service_.key);
    standing_.refusal = {.reason = reason, .message = std::move(message)};
    return false;
  }

  // What has to hold before addresses are looked at. False: it has been dealt with.
  bool Prepare() {
    if (!have_pools_) {
      return Refuse(kNoPools, "no address pools are configured");
    }
    if (service_.cluster_ips.empty()) {
      return Refuse(kNoClusterIp, "the service has no cluster IP");
    }
    if (service_.ip_family_policy == "RequireDualStack" && service_.cluster_ips.size() < 2) {
      std::string message = StrCat("Service requires dual stack but not enough clusterips ",
                                   Bracketed(service_.cluster_ips));
      Say(true, "not enough clusterips", message);
      return Refuse(kNoClusterIp, std::move(message));
    }
    cluster_ = ClusterFamilies(service_);
    if (cluster_ == Families::kUnknown) {
      KeepUnjudged();
      return false;
    }
    standing_.wants_address = true;
    return true;
  }

  // Of a Service without usable cluster addresses nothing can be said; it is left what it shows.
  void KeepUnjudged() {
    std::string message =
        StrCat("Failed to retrieve clusterIPs family: ", Bracketed(service_.cluster_ips),
               " are not usable");
    Say(true, "noclusterIPsIPFamily", message);
    const AddressList shown = StatusAddresses(service_);
    if (shown.empty() ||
        !allocator_.Claim(MakeRequest(service_, {}, namespace_labels_), shown).ok()) {
      allocator_.Release(service_.key);
    }
    standing_.refusal = {.reason = kNoClusterIp, .message = WithKept(std::move(message))};
  }

  std::string WithKept(std::string message) const {
    if (const auto held = allocator_.Find(service_.key)) {
      StrAppend(&message, "; it keeps ", FormatAddresses(held->addresses));
    }
    return message;
  }

  // Keeps what the status shows, or what was given and is not in the status yet, where it may.
  void Keep() {
    AddressList current = StatusAddresses(service_);
    const bool in_status = !service_.ingress_ips.empty();
    if (!in_status) {
      if (const auto held = allocator_.Find(service_.key)) {
        current = held->addresses;
      } else {
        return;
      }
    }
    const Families families = current.size() == service_.ingress_ips.size() || !in_status
                                  ? FamiliesOf(current)
                                  : Families::kUnknown;
    if (families == Families::kUnknown) {
      Say(true, "nolbIPsIPFamily",
          StrCat("Failed to retrieve lbIPs family: ", Bracketed(service_.ingress_ips),
                 " are not usable"));
    }
    const bool prefers_dual =
        cluster_ == Families::kDual && service_.ip_family_policy == "PreferDualStack";
    if (families == Families::kUnknown || (families != cluster_ && !prefers_dual)) {
      allocator_.Release(service_.key);
      return;
    }
    const auto claimed = allocator_.Claim(MakeRequest(service_, {}, namespace_labels_), current);
    if (!claimed.ok()) {
      Say(false, "ClearAssignment",
          StrCat("current IP for \"", service_.key.ToString(),
                 "\" not allowed by config, will attempt for new IP assignment: ",
                 std::string(claimed.status().message())));
      allocator_.Release(service_.key);
      return;
    }
    CheckWishes(*claimed);
    if (allocator_.Find(service_.key) && prefers_dual && families != Families::kDual) {
      AddFamily();
    }
  }

  // The pool and the addresses that the Service asks for, against those that it has.
  void CheckWishes(const Allocation& current) {
    const auto pool = RequestedPool(service_);
    if (pool && *pool != current.pool) {
      allocator_.Release(service_.key);
      return;
    }
    const auto requested = RequestedAddresses(service_);
    if (!requested.ok()) {
      std::string message =
          StrCat("invalid requested loadbalancer IPs: ", std::string(requested.status().message()));
      Say(true, "LoadBalancerFailed", message);
      standing_.refusal = {.reason = kRequestInvalid, .message = WithKept(std::move(message))};
      stopped_ = true;  // it keeps what it has
      return;
    }
    if (!requested->empty() && !std::ranges::is_permutation(*requested, current.addresses)) {
      allocator_.Release(service_.key);
    }
  }

  void AddFamily() {
    const auto requested = RequestedAddresses(service_);
    if (!requested.ok() || !requested->empty()) {
      return;  // exactly these were asked for
    }
    const auto allocation = allocator_.Allocate(MakeRequest(service_, {}, namespace_labels_));
    if (allocation.ok() && allocation->addresses.size() == 2) {
      Say(false, "IPAllocated",
          StrCat("Assigned additional IP ",
                 FormatAddresses(std::span(&allocation->addresses.back(), 1))));
    } else {
      Say(false, "AdditionalAssignFailed",
          StrCat("cannot assign additional IP in PreferDualStack: no available IPs in pool \"",
                 allocator_.Find(service_.key)->pool, "\""));
    }
  }

  void Obtain() {
    auto requested = RequestedAddresses(service_);
    if (!requested.ok()) {
      standing_.refusal = {.reason = kRequestInvalid,
                           .message = std::string(requested.status().message())};
      SayFailed(requested.status());
      return;
    }
    const AllocationRequest request =
        MakeRequest(service_, *std::move(requested), namespace_labels_);
    const auto allocation = allocator_.Allocate(request);
    if (!allocation.ok()) {
      standing_.refusal = Explain(allocator_, request, allocation.status());
      SayFailed(allocation.status());
      return;
    }
    Say(false, "IPAllocated", StrCat("Assigned IP ", FormatAddresses(allocation->addresses)));
  }

  void SayFailed(const absl::Status& why) {
    Say(true, "AllocationFailed",
        StrCat("Failed to allocate IP for \"", service_.key.ToString(),
               "\": ", std::string(why.message())));
  }

  AddressAllocator& allocator_;
  const model::Service& service_;
  const model::Labels* const namespace_labels_;
  const bool have_pools_;
  Families cluster_ = Families::kUnknown;
  bool stopped_ = false;
  Standing standing_;
};

// Whether `held` is what the Service asks for now, or it may keep it all the same: when it is
// settled it gives up anything else.
bool MeetsWishes(const model::Service& service, const Allocation& held) {
  const Families families = FamiliesOf(held.addresses);
  const Families wanted = ClusterFamilies(service);
  const auto pool = RequestedPool(service);
  const auto requested = RequestedAddresses(service);
  if (wanted == Families::kUnknown) {
    return true;  // nothing can be said, and it is left what it shows
  }
  return (families == wanted ||
          (wanted == Families::kDual && service.ip_family_policy == "PreferDualStack")) &&
         (!pool || *pool == held.pool) &&
         (!requested.ok() || requested->empty() ||
          std::ranges::is_permutation(*requested, held.addresses));
}

}  // namespace

std::vector<const model::Service*> AdoptClaims(AddressAllocator& allocator,
                                               std::vector<const model::Service*> services,
                                               const NamespaceLabels& labels_of) {
  std::ranges::sort(services, [](const model::Service* a, const model::Service* b) {
    const std::size_t x = a->ingress_ips.size();
    const std::size_t y = b->ingress_ips.size();
    return x != y ? x > y : a->key < b->key;
  });
  std::vector<const model::Service*> refused;
  for (const model::Service* service : services) {
    const auto claimed = allocator.Claim(
        MakeRequest(*service, {}, labels_of(service->key.name_space)), StatusAddresses(*service));
    if (!claimed.ok()) {
      refused.push_back(service);
    } else if (!MeetsWishes(*service, *claimed)) {
      allocator.Release(service->key);  // or whoever got it already would lose it
    }
  }
  return refused;
}

AddressList AddressesIn(std::span<const std::string> texts) {
  AddressList addresses;
  for (const std::string& text : texts) {
    if (const auto address = net::IpAddress::Parse(text)) {
      addresses.push_back(*address);
    }
  }
  return addresses;
}

AddressList StatusAddresses(const model::Service& service) {
  return AddressesIn(service.ingress_ips);
}

Standing Converge(AddressAllocator& allocator, const model::Service& service,
                  const model::Labels* namespace_labels, bool have_pools) {
  return Convergence(allocator, service, namespace_labels, have_pools).Run();
}

}  // namespace stentor::controller
