// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Which objects are refused: MetalLB's validating webhooks.
///
/// MetalLB refuses a change where the set of all objects, with it, has any error. Then an error
/// that got in while no webhook answered refuses every later change, also the one that is good or
/// would mend a part of it. Here an error counts against a change only if the changed object has
/// part in it: with all others as they are, it alone or it with one other object is in error. Where
/// the set is in error without it, it is admitted, with a warning that says so. In sets that were
/// good before, both rules are the same, and the text is that of the same parser.

#include "absl/status/status.h"
#include "common/model/types.h"
#include "controller/webhook/admission.h"
#include "controller/webhook/facts.h"

namespace stentor::controller {

/// Whether `object`, of `kind`, may be stored among `facts`; what they hold under its key is what
/// it replaces. Its namespace is not looked at.
[[nodiscard]] Verdict Judge(Kind kind, const nlohmann::json& object, const Facts& facts);

/// For many objects that `facts` hold already: CheckAll() is the error, if any, of all that matter
/// to `kind`, and JudgeHeld() is Judge() with that error known.
[[nodiscard]] absl::Status CheckAll(Kind kind, const Facts& facts);
[[nodiscard]] Verdict JudgeHeld(Kind kind, const nlohmann::json& object, const Facts& facts,
                                const absl::Status& all);

/// Whether an object may be deleted: always, but for a BFDProfile that a BGPPeer uses.
[[nodiscard]] Verdict JudgeDeletion(Kind kind, const model::ObjectKey& key, const Facts& facts);

/// What a review of an object of `kind` is answered. Besides the above:
///   * What is created must be in facts.name_space.
///   * What is elsewhere has no effect, so its updates are not refused.
///   * An update that leaves the spec as it is, or of an object that is being deleted, is not
///     refused: it may be what takes a finalizer away.
[[nodiscard]] Verdict Review(Kind kind, const AdmissionRequest& request, const Facts& facts);

}  // namespace stentor::controller
