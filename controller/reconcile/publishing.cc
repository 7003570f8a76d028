// SPDX-License-Identifier: Apache-2.0

/// \file
/// What is said and written about a Service that was settled.

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/hash/hash.h"
#include "common/base/strings.h"
#include "controller/reconcile/reconciler_impl.h"
#include "controller/reconcile/service_wish.h"

namespace stentor::controller {
namespace {

bool Has(const AddressList& addresses, const net::IpAddress& address) {
  return std::ranges::find(addresses, address) != addresses.end();
}

}  // namespace

std::vector<std::string> Texts(std::span<const net::IpAddress> addresses) {
  std::vector<std::string> out;
  for (const net::IpAddress& address : addresses) {
    out.push_back(address.ToString());
  }
  return out;
}

std::optional<model::PoolName> PoolAnnotation(const model::Service& service) {
  const auto it = service.annotations.find(kAllocatedFromAnnotation);
  return it == service.annotations.end() ? std::nullopt : std::optional(it->second);
}

Reconciler::Impl::Content Reconciler::Impl::ContentOf(const model::Service& service) {
  return {.ingress = service.ingress_ips,
          .pool = PoolAnnotation(service),
          .condition = service.address_allocated
                           ? std::make_shared<const model::Condition>(*service.address_allocated)
                           : nullptr};
}

void Reconciler::Impl::Publish(Entry& entry, const Standing& standing) {
  auto& [key, record] = entry;
  const bool lacks_second_family =
      !standing.remarks.empty() &&
      standing.remarks.back().reason == std::string_view("AdditionalAssignFailed");
  if ((standing.wants_address && !standing.allocation) || lacks_second_family) {
    waiting.insert(key);
  } else {
    waiting.erase(key);
  }
  Report(record, standing);
  const std::vector<std::string> former = std::exchange(record.wanted, {}).ingress;
  EnterDemand(entry, standing.refusal && standing.refusal->reason == kAddressInUse);
  if (standing.allocation) {
    record.wanted.ingress = Texts(standing.allocation->addresses);
    record.wanted.pool = standing.allocation->pool;
    AddressList taken = standing.allocation->addresses;
    taken.erase(std::remove_if(taken.begin(), taken.end(),
                               [&former](const net::IpAddress& address) {
                                 return std::ranges::find(former, address.ToString()) !=
                                        former.end();
                               }),
                taken.end());
    WakeAt(taken, entry);
  }
  if (standing.refusal) {
    record.wanted.condition = std::make_shared<const model::Condition>(
        model::Condition{.status = "False",
                         .reason = std::string(standing.refusal->reason),
                         .message = CutText(standing.refusal->message, kMaxRefusalOctets),
                         .observed_generation = record.service->generation});
  }
  to_write_.insert(key);
}

// Notes the addresses that it asks for and others use, or that there are none.
void Reconciler::Impl::EnterDemand(Entry& entry, bool in_use) {
  auto& [key, record] = entry;
  const AddressList before = record.in_vain;
  record.in_vain.clear();
  for (const net::IpAddress& address : before) {
    const auto it = in_vain_.find(address);
    it->second.erase(key);
    if (it->second.empty()) {
      in_vain_.erase(it);
    }
  }
  const auto requested = RequestedAddresses(*record.service);
  if (in_use && requested.ok()) {
    for (const net::IpAddress& address : *requested) {
      if (in_vain_[address].insert(key).second) {
        record.in_vain.push_back(address);
      }
    }
  }
}

// The Service holds `addresses` now, which it did not before.
void Reconciler::Impl::WakeAt(const AddressList& addresses, const Entry& entry) {
  for (const net::IpAddress& address : addresses) {
    if (Has(entry.second.shown, address)) {
      // Who waited until it shows the address no more may share it now.
      for (model::ServiceKey& waiter : shown_.WaitersFor(address)) {
        due.insert(std::move(waiter));
      }
    }
    // Who is told that others use it has to be told who.
    if (const auto it = in_vain_.find(address); it != in_vain_.end()) {
      due.insert(it->second.begin(), it->second.end());
    }
  }
}

// Says what is new: the same words twice in a row are said once.
void Reconciler::Impl::Report(Record& record, const Standing& standing) {
  const model::ServiceKey& key = record.service->key;
  const std::vector<std::string> addresses =
      standing.allocation ? Texts(standing.allocation->addresses) : std::vector<std::string>{};
  decltype(record.said) said;
  for (const Remark& remark : standing.remarks) {
    said.push_back(absl::HashOf(remark.warning, remark.reason, remark.message));
    if (std::ranges::find(record.said, said.back()) != record.said.end()) {
      continue;
    }
    actions_.push_back(EmitEvent{.service = record.service,
                                 .type = remark.warning ? EventType::kWarning : EventType::kNormal,
                                 .reason = std::string(remark.reason),
                                 .message = remark.message});
    const bool allocated = remark.reason == std::string_view("IPAllocated");
    if (allocated || remark.warning) {
      actions_.push_back(
          LogFact{.kind = allocated ? FactKind::kAllocated : FactKind::kAllocationFailed,
                  .service = key,
                  .addresses = addresses,
                  .pool = standing.allocation ? standing.allocation->pool : "",
                  .message = remark.message});
    }
  }
  if (!standing.remarks.empty() || !standing.allocation || addresses != record.wanted.ingress) {
    record.said = std::move(said);
  }
  if (!standing.allocation && !record.wanted.ingress.empty()) {
    actions_.push_back(LogFact{
        .kind = FactKind::kReleased,
        .service = key,
        .addresses = record.wanted.ingress,
        .pool = record.wanted.pool.value_or(""),
        .message = standing.refusal ? standing.refusal->message : "no load balancer any more"});
  }
}

// --- who shows what ---

AddressList Reconciler::Impl::MayShow(const Record& record, AddressList status) const {
  const model::Service& service = *record.service;
  if (service.IsLoadBalancer() ? !IsOfClass(service) : !IsOurLeftover(record)) {
    return {};  // not ours to clear
  }
  for (const net::IpAddress& address : record.unconfirmed) {
    if (!Has(status, address)) {
      status.push_back(address);
    }
  }
  return status;
}

void Reconciler::Impl::SetShown(Entry& entry, AddressList now) {
  for (model::ServiceKey& waiter : shown_.Replace(entry.first, entry.second.shown, now)) {
    due.insert(std::move(waiter));
  }
  entry.second.shown = std::move(now);
}

// Whether another Service may be showing `address` and has to give it up: it does not hold it.
bool Reconciler::Impl::IsShownElsewhere(const model::ServiceKey& key,
                                        const net::IpAddress& address) const {
  return std::ranges::any_of(shown_.At(address), [&](const model::ServiceKey* other) {
    if (*other == key) {
      return false;
    }
    const auto held = allocator.Find(*other);
    return !held || !Has(held->addresses, address);
  });
}

// Whether others wait for an address that it may be showing and is to show no more.
bool Reconciler::Impl::OthersWaitFor(const Record& record) const {
  return std::ranges::any_of(record.shown, [&](const net::IpAddress& address) {
    return std::ranges::find(record.wanted.ingress, address.ToString()) ==
               record.wanted.ingress.end() &&
           !shown_.WaitersFor(address).empty();
  });
}

// Enters what has to be given up elsewhere before it can be written here. True where others wait
// for what this one may be showing and is to show no more.
bool Reconciler::Impl::WaitForOthers(Entry& entry) {
  auto& [key, record] = entry;
  const AddressList before = record.blocked_on;
  record.blocked_on.clear();
  shown_.StopWaiting(key, before);
  const AddressList showing = StatusAddresses(*record.service);
  for (const net::IpAddress& address : AddressesIn(record.wanted.ingress)) {
    if (!Has(showing, address) && IsShownElsewhere(key, address)) {
      record.blocked_on.push_back(address);
      shown_.Wait(key, address);
    }
  }
  const bool awaited = OthersWaitFor(record);
  for (const net::IpAddress& address : record.blocked_on) {
    if (Has(before, address)) {
      continue;  // they were told
    }
    // Whoever has nothing to write has to make sure what it shows; whoever waits itself has to give
    // up first, or all might wait in a circle. Not where this one does.
    for (const model::ServiceKey* other : shown_.At(address)) {
      const Record& theirs = records_.at(*other);
      if (theirs.write == 0 &&
          (!theirs.unconfirmed.empty() || (!awaited && !theirs.blocked_on.empty()))) {
        due.insert(*other);
      }
    }
  }
  return awaited;
}

// --- writing ---

void Reconciler::Impl::WriteIfNeeded(Entry& entry) {
  auto& [key, record] = entry;
  const model::Service& service = *record.service;
  const Content current = ContentOf(service);
  const bool awaited = WaitForOthers(entry);
  Content next = record.wanted;
  if (!record.blocked_on.empty()) {
    if (!awaited) {
      return;
    }
    // It gives up what others wait for, and gets the rest later.
    std::erase_if(next.ingress, [&current](const std::string& text) {
      return std::ranges::find(current.ingress, text) == current.ingress.end();
    });
    if (next.ingress.empty()) {
      next.pool.reset();
    }
  }
  // Where others wait for what it may or may not show, a write that changes nothing makes it sure.
  if ((next == current && !awaited) || service.resource_version == record.refused_version ||
      (service.resource_version == record.altered_version && record.written &&
       next == *record.written)) {
    return;
  }
  if (next.ingress != current.ingress || next.pool != current.pool) {
    TellDeprecated(record);
  }
  record.write = next_write_++;
  record.written_version = service.resource_version;
  for (const net::IpAddress& address : AddressesIn(next.ingress)) {
    if (!Has(record.unconfirmed, address)) {
      record.unconfirmed.push_back(address);
    }
  }
  SetShown(entry, MayShow(record, StatusAddresses(service)));
  actions_.push_back(
      WriteStatus{.id = record.write,
                  .service = record.service,
                  .ingress_ips = next.ingress,
                  .pool = next.pool,
                  .condition = next.condition ? std::optional(*next.condition) : std::nullopt});
  record.written = std::make_unique<Content>(std::move(next));
}

// With a change, and once: MetalLB repeats it with each.
void Reconciler::Impl::TellDeprecated(Record& record) {
  if (std::exchange(record.deprecation_told, true)) {
    return;
  }
  const model::Service& service = *record.service;
  for (const std::string& annotation : DeprecatedAnnotations(service)) {
    const std::string name = annotation.substr(annotation.find('/') + 1);
    actions_.push_back(EmitEvent{
        .service = record.service,
        .type = EventType::kWarning,
        .reason = "deprecatedAnnotation",
        .message = StrCat("Service ", service.key.ToString(), " uses the deprecated annotation ",
                          annotation, ", use metallb.io/", name, " instead")});
  }
}

}  // namespace stentor::controller
