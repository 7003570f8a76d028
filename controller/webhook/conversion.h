// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// ConversionReview (apiextensions.k8s.io/v1, and v1beta1, which MetalLB's CRD leads to: its
/// conversionReviewVersions name no other that there is): BGPPeer between v1beta1 and v1beta2.
/// https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definition-versioning/

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"

namespace stentor::controller {

/// Holds, in a v1beta1 BGPPeer, the fields of spec that only v1beta2 has, as a JSON object: MetalLB
/// loses them where a client of the old version writes the object back. A conversion may change
/// annotations and labels, and nothing else of the metadata.
inline constexpr const char* kNewFieldsAnnotation = "stentor.io/bgppeer-v1beta2-fields";

/// `object` as `api_version` ("metallb.io/v1beta2"). Back and forth gives the same object, but for
/// fields that say the default: false in disableMP and dualStackAddressFamily, and peerPort 0 of
/// v1beta1, which v1beta2 does not allow (absent there: 179). InvalidArgument where kind or a
/// version is unknown, or the object is none.
[[nodiscard]] absl::StatusOr<nlohmann::json> ConvertBgpPeer(nlohmann::json object,
                                                            std::string_view api_version);

/// The body of the answer to `review`. Where one object can't be converted, nothing is, as the API
/// wants it, and the message says for each why. InvalidArgument where it is no review.
[[nodiscard]] absl::StatusOr<std::string> AnswerConversionReview(nlohmann::json review);

}  // namespace stentor::controller
