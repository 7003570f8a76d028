// SPDX-License-Identifier: Apache-2.0
#include "controller/webhook/router.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/json_member.h"
#include "controller/webhook/admission.h"
#include "controller/webhook/conversion.h"
#include "controller/webhook/rules.h"

namespace stentor::controller {
namespace {

using kube::Member;

constexpr std::string_view kConvertPath = "/convert";
// Whoever reaches the port may send a review: no object that the API server lets through comes near
// these, and what they allow can be judged in a moment and a few megabytes.
constexpr std::size_t kMaxValues = 200'000;
constexpr std::size_t kMaxName = 253;  // RFC 1123 subdomain, as the API server has it
constexpr std::size_t kMaxAddresses = 1024;
constexpr std::size_t kMaxAddress = 128;  // as crds/ipaddresspools.yaml

// AddressPool's is that of MetalLB 0.13.
constexpr std::array<std::pair<std::string_view, Kind>, 7> kPaths = {{
    {"/validate-metallb-io-v1beta1-ipaddresspool", Kind::kIpAddressPool},
    {"/validate-metallb-io-v1beta1-addresspool", Kind::kAddressPool},
    {"/validate-metallb-io-v1beta1-l2advertisement", Kind::kL2Advertisement},
    {"/validate-metallb-io-v1beta1-bgpadvertisement", Kind::kBgpAdvertisement},
    {"/validate-metallb-io-v1beta2-bgppeer", Kind::kBgpPeer},
    {"/validate-metallb-io-v1beta1-bfdprofile", Kind::kBfdProfile},
    {"/validate-metallb-io-v1beta1-community", Kind::kCommunity},
}};

constexpr auto kPath = &std::pair<std::string_view, Kind>::first;

std::string_view PathOf(std::string_view target) { return target.substr(0, target.find('?')); }

bool IsTooLong(const nlohmann::json& text, std::size_t limit) {
  return text.is_string() && text.get_ref<const std::string&>().size() > limit;
}

// What no API server sends: the schema, and its own rules for names, have refused it.
bool IsBeyondBounds(const nlohmann::json& object) {
  const nlohmann::json& metadata = Member(object, "metadata");
  const nlohmann::json& addresses = Member(Member(object, "spec"), "addresses");
  return IsTooLong(Member(metadata, "name"), kMaxName) ||
         IsTooLong(Member(metadata, "namespace"), kMaxName) ||
         (addresses.is_array() &&
          (addresses.size() > kMaxAddresses ||
           std::ranges::any_of(addresses, [](const nlohmann::json& address) {
             return IsTooLong(address, kMaxAddress);
           })));
}

HttpAnswer Error(int status, std::string_view message) {
  return {.status = status, .content_type = "text/plain", .body = StrCat(message, "\n")};
}

}  // namespace

bool IsWebhookPath(std::string_view target) {
  const std::string_view path = PathOf(target);
  return path == kConvertPath || std::ranges::find(kPaths, path, kPath) != kPaths.end();
}

std::variant<HttpAnswer, PendingReview> ReadReview(std::string_view target, std::string_view body,
                                                   std::size_t max_body) {
  if (!IsWebhookPath(target)) {
    return Error(404, "no such webhook");
  }
  if (body.size() > max_body) {
    return Error(413, StrCat("the body is longer than ", max_body, " octets"));
  }
  auto json = kube::ParseJson(body, {.max_values = kMaxValues});
  if (!json.ok()) {
    return Error(400, std::string(json.status().message()));
  }
  const std::string_view path = PathOf(target);
  if (path == kConvertPath) {
    auto converted = AnswerConversionReview(*std::move(json));
    return converted.ok() ? HttpAnswer{.body = *std::move(converted)}
                          : Error(400, std::string(converted.status().message()));
  }
  auto request = DecodeAdmissionReview(*std::move(json));
  if (!request.ok()) {
    return Error(400, std::string(request.status().message()));
  }
  if (IsBeyondBounds(request->object) || IsBeyondBounds(request->old_object)) {
    return Error(413, "a name, or the list of addresses, is longer than any API server allows");
  }
  const Kind kind = std::ranges::find(kPaths, path, kPath)->second;
  return PendingReview{.kind = kind, .request = *std::move(request)};
}

HttpAnswer AnswerReview(const PendingReview& review, const Facts& facts) {
  return {.body =
              EncodeAdmissionReview(review.request, Review(review.kind, review.request, facts))};
}

HttpAnswer AnswerWebhook(std::string_view target, std::string_view body, const Facts& facts,
                         std::size_t max_body) {
  auto read = ReadReview(target, body, max_body);
  if (auto* const answer = std::get_if<HttpAnswer>(&read)) {
    return std::move(*answer);
  }
  return AnswerReview(std::get<PendingReview>(read), facts);
}

}  // namespace stentor::controller
