// SPDX-License-Identifier: Apache-2.0
#include "common/io/token_authorizer.h"

#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "common/crypto/sha256.h"
#include "common/kube/codec.h"

namespace stentor::io {
namespace {

using nlohmann::json;
using Key = crypto::Sha256Digest;

constexpr const char* kTokenReviews = "/apis/authentication.k8s.io/v1/tokenreviews";
constexpr const char* kAccessReviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

Key KeyOf(const std::string& token) {
  return crypto::Sha256(std::as_bytes(std::span(token.data(), token.size())));
}

// The object "status" of a review that was answered; nothing where it was not.
std::optional<json> StatusObject(const absl::StatusOr<kube::Response>& response) {
  if (!response.ok() || !kube::StatusOf(*response).ok()) {
    return std::nullopt;
  }
  auto object = kube::ParseJson(response->body);
  if (!object.ok() || !object->is_object()) {
    return std::nullopt;
  }
  const auto status = object->find("status");
  if (status == object->end() || !status->is_object()) {
    return std::nullopt;
  }
  return *status;
}

bool IsTrue(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

// The account of a TokenReview, as a SubjectAccessReview wants it.
json AccessReview(const json& account, const std::string& path) {
  json spec = {{"nonResourceAttributes", {{"path", path}, {"verb", "get"}}}};
  for (const auto& [from, to] :
       {std::pair{"username", "user"}, {"groups", "groups"}, {"uid", "uid"}, {"extra", "extra"}}) {
    if (const auto found = account.find(from); found != account.end()) {
      spec[to] = *found;
    }
  }
  return {{"apiVersion", "authorization.k8s.io/v1"},
          {"kind", "SubjectAccessReview"},
          {"spec", std::move(spec)}};
}

}  // namespace

struct TokenAuthorizer::Impl : std::enable_shared_from_this<Impl> {
  struct Kept {
    Access access = Access::kUnavailable;
    TimePoint until;
  };
  using Waiters = std::vector<std::function<void(Access)>>;

  Impl(EventLoop& its_loop, KubeClient& its_client, TokenAuthorizerOptions given)
      : loop(its_loop), client(its_client), options(std::move(given)) {}

  void AskWhose(const Key& key, const std::string& token) {
    const json review = {{"apiVersion", "authentication.k8s.io/v1"},
                         {"kind", "TokenReview"},
                         {"spec", {{"token", token}}}};
    Ask(kTokenReviews, review, [key](Impl& self, const std::optional<json>& status) {
      if (!status) {
        self.Settle(key, Access::kUnavailable);
      } else if (!IsTrue(*status, "authenticated") || !status->contains("user") ||
                 !(*status)["user"].is_object()) {
        self.Settle(key, Access::kUnauthenticated);
      } else {
        self.AskWhether(key, (*status)["user"]);
      }
    });
  }

  void AskWhether(const Key& key, const json& account) {
    Ask(kAccessReviews, AccessReview(account, options.path),
        [key](Impl& self, const std::optional<json>& status) {
          self.Settle(key, !status ? Access::kUnavailable
                           : IsTrue(*status, "allowed") && !IsTrue(*status, "denied")
                               ? Access::kAllowed
                               : Access::kDenied);
        });
  }

  void Ask(const char* path, const json& review,
           std::function<void(Impl&, const std::optional<json>&)> then) {
    client.Request({.method = "POST",
                    .path = path,
                    .body = kube::DumpJson(review),
                    .priority = kube::Priority::kUrgent},  // few at a time, and somebody waits
                   [weak = weak_from_this(),
                    then = std::move(then)](const absl::StatusOr<kube::Response>& response) {
                     if (const auto self = weak.lock()) {
                       then(*self, StatusObject(response));
                     }
                   });
  }

  void Settle(const Key& key, Access access) {
    if (access != Access::kUnavailable) {
      Keep(key, access);
    }
    auto node = pending.extract(key);
    if (node.empty()) {
      return;
    }
    for (const auto& done : node.mapped()) {
      done(access);
    }
  }

  void Keep(const Key& key, Access access) {
    if (!kept.contains(key)) {
      order.push_back(key);
    }
    kept.insert_or_assign(key, Kept{.access = access, .until = loop.Now() + options.keep});
    while (order.size() > options.max_kept) {
      kept.erase(order.front());
      order.pop_front();
    }
  }

  EventLoop& loop;
  KubeClient& client;
  const TokenAuthorizerOptions options;
  std::map<Key, Kept> kept;
  std::deque<Key> order;  // the keys of `kept`, oldest first
  std::map<Key, Waiters> pending;
};

TokenAuthorizer::TokenAuthorizer(EventLoop& loop, KubeClient& client,
                                 TokenAuthorizerOptions options)
    : impl_(std::make_shared<Impl>(loop, client, std::move(options))) {}
TokenAuthorizer::~TokenAuthorizer() = default;

void TokenAuthorizer::Decide(const std::string& token, std::function<void(Access)> done) {
  const Key key = KeyOf(token);
  if (const auto known = impl_->kept.find(key);
      known != impl_->kept.end() && impl_->loop.Now() < known->second.until) {
    done(known->second.access);
    return;
  }
  if (const auto asked = impl_->pending.find(key); asked != impl_->pending.end()) {
    asked->second.push_back(std::move(done));
    return;
  }
  if (impl_->pending.size() >= impl_->options.max_pending) {
    done(Access::kUnavailable);
    return;
  }
  impl_->pending[key].push_back(std::move(done));
  impl_->AskWhose(key, token);
}

}  // namespace stentor::io
