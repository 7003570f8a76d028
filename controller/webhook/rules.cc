// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/rules.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/config.h"
#include "common/kube/codec.h"
#include "controller/webhook/conflicts.h"

namespace stentor::controller {
namespace {

using nlohmann::json;

bool IsBgp(Kind kind) {
  return kind == Kind::kBgpAdvertisement || kind == Kind::kBgpPeer || kind == Kind::kBfdProfile ||
         kind == Kind::kCommunity;
}

std::string Text(const absl::Status& status) { return std::string(status.message()); }

// `own`: nothing but the object.
void AddWarnings(Kind kind, const Facts& own, const Facts& facts, Verdict& verdict) {
  if (kind == Kind::kAddressPool) {
    verdict.warnings.emplace_back(
        "AddressPool is deprecated: write it as IPAddressPool with an L2Advertisement");
  }
  if (kind == Kind::kAddressPool || kind == Kind::kIpAddressPool) {
    if (const auto config = config::Parse(own.Resources()); config.ok()) {
      verdict.warnings.insert(verdict.warnings.end(), config->remarks.begin(),
                              config->remarks.end());
    }
  }
  if (IsBgp(kind)) {
    verdict.warnings.push_back(
        StrCat(KindName(kind), " has no effect: this version announces by layer 2 only"));
  }
  for (const auto& [key, advertisement] : own.l2_advertisements) {
    for (const std::string& name : advertisement.ip_address_pools) {
      const auto named = [&name](const auto& pool) { return pool.first.name == name; };
      if (std::ranges::none_of(facts.pools, named) &&
          std::ranges::none_of(facts.address_pools, named)) {
        verdict.warnings.push_back(
            StrCat("there is no IPAddressPool \"", name, "\" (spec.ipAddressPools)"));
      }
    }
  }
  for (const auto& [key, peer] : own.bgp_peers) {
    if (peer.disable_mp) {
      verdict.warnings.emplace_back(
          "disableMP is deprecated and without effect; dualStackAddressFamily takes its place");
    }
  }
}

absl::StatusOr<model::ObjectKey> KeyOf(const json& object) {
  return object.is_object() ? kube::DecodeKey(object)
                            : absl::InvalidArgumentError("expected an object");
}

bool IsBeingDeleted(const json& object) {
  const auto metadata = object.find("metadata");
  return metadata != object.end() && metadata->is_object() &&
         metadata->contains("deletionTimestamp") && !metadata->at("deletionTimestamp").is_null();
}

bool SameSpec(const json& a, const json& b) {
  if (!a.is_object() || !b.is_object()) {
    return false;
  }
  const auto of_a = a.find("spec");
  const auto of_b = b.find("spec");
  return of_a != a.end() && of_b != b.end() && *of_a == *of_b;
}

// The object under the name that it will have.
json Named(const AdmissionRequest& request) {
  json object = request.object;
  json& metadata = object["metadata"];
  if (metadata.is_null() || metadata.is_object()) {
    const auto fill = [&metadata](const char* field, const std::string& value) {
      if (!value.empty() && (!metadata.contains(field) || metadata[field] == "")) {
        metadata[field] = value;
      }
    };
    fill("name", request.name);
    fill("namespace", request.name_space);
    // The API server adds five characters of its own to the name's beginning.
    if (const auto generate = metadata.find("generateName");
        generate != metadata.end() && generate->is_string()) {
      fill("name", generate->get<std::string>());
    }
  }
  return object;
}

// Turns a refusal into warnings, where it must not stand.
void Admit(Verdict& verdict) {
  if (!verdict.allowed) {
    verdict.warnings.insert(verdict.warnings.begin(), std::move(verdict.message));
    verdict = {.warnings = std::move(verdict.warnings)};
  }
}

Verdict ReviewWrite(Kind kind, const AdmissionRequest& request, const Facts& facts) {
  if (!request.object.is_object()) {
    return Unreadable("request.object: expected an object");
  }
  const json object = Named(request);
  const auto key = kube::DecodeKey(object);
  if (!key.ok()) {
    return Unreadable(Text(key.status()));
  }
  const bool create = request.operation == Operation::kCreate;
  if (key->name_space != facts.name_space) {
    if (create) {
      return Denied(StrCat("resource must be created in ", facts.name_space, " namespace"));
    }
    return {.warnings = {
                StrCat("only resources in the ", facts.name_space, " namespace have an effect")}};
  }
  Verdict verdict = Judge(kind, object, facts);
  // MetalLB checks nothing where disableMP is set on creation. Manifests that rely on it go on
  // working, and what is wrong with them is told.
  const json disable_mp =
      kind == Kind::kBgpPeer && object.contains("spec") && object["spec"].is_object()
          ? object["spec"].value("disableMP", json(false))
          : json(false);
  const bool unchecked = create && disable_mp == true;
  const bool unchanged = request.operation == Operation::kUpdate &&
                         (IsBeingDeleted(object) || SameSpec(object, request.old_object));
  if (unchecked || unchanged) {
    Admit(verdict);
  }
  return verdict;
}

}  // namespace

absl::Status CheckAll(Kind kind, const Facts& facts) {
  return Check(kind, AmongWhich(kind, facts));
}

Verdict JudgeHeld(Kind kind, const json& object, const Facts& facts, const absl::Status& all) {
  const auto key = KeyOf(object);
  if (!key.ok()) {
    return Unreadable(Text(key.status()));
  }
  Facts own;
  if (const absl::Status put = own.Put(kind, object); !put.ok()) {
    return Unreadable(Text(put));
  }
  Verdict verdict;
  if (!all.ok()) {
    Facts others = AmongWhich(kind, facts);
    others.Remove(kind, *key);
    if (const absl::Status error = Blame(kind, object, others, all); !error.ok()) {
      verdict = Denied(Text(error));
    } else {
      verdict.warnings.push_back(StrCat("other objects are in error: ", Text(all)));
    }
  }
  const std::vector<Kind> beside = KindsBeside(kind);
  for (const auto& [other, why] : facts.unreadable) {
    if (other != std::pair(kind, *key) && std::ranges::find(beside, other.first) != beside.end()) {
      verdict.warnings.push_back(StrCat("other objects are in error: ", why));
    }
  }
  AddWarnings(kind, own, facts, verdict);
  return verdict;
}

Verdict Judge(Kind kind, const json& object, const Facts& facts) {
  Facts with = AmongWhich(kind, facts);
  if (const auto key = KeyOf(object); key.ok()) {
    with.Remove(kind, *key);  // the one that it replaces, also where it can't be read itself
    (void)with.Put(kind, object);
  }
  return JudgeHeld(kind, object, with, Check(kind, with));
}

Verdict JudgeDeletion(Kind kind, const model::ObjectKey& key, const Facts& facts) {
  if (kind != Kind::kBfdProfile) {
    return {};
  }
  for (const auto& [peer_key, peer] : facts.bgp_peers) {
    if (peer.bfd_profile == key.name && peer_key.name_space == key.name_space) {
      return Denied(
          StrCat("failed to delete BFDProfile ", key.name, ", used by BGPPeer ", peer_key.name));
    }
  }
  return {};
}

Verdict Review(Kind kind, const AdmissionRequest& request, const Facts& facts) {
  if (request.kind != KindName(kind)) {
    return Unreadable(StrCat("request.kind: expected ", KindName(kind), ", not ", request.kind));
  }
  switch (request.operation) {
    case Operation::kCreate:
    case Operation::kUpdate:
      return ReviewWrite(kind, request, facts);
    case Operation::kDelete:
      return JudgeDeletion(kind, {request.name_space, request.name}, facts);
    case Operation::kOther:
      break;
  }
  return {};
}

}  // namespace stentor::controller
