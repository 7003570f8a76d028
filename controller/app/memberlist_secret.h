// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "common/io/kube_client.h"
#include "common/obs/log.h"

namespace stentor::controller {

/// Where the Secret goes, and who owns it.
struct MemberlistSecret {
  std::string name_space;
  std::string name;
  std::string deployment;  ///< Its owner; empty, or not there: the Secret has no owner.
};

/// Creates the Secret with the key that the speakers share, unless it exists: key `secretkey`, 16
/// random octets in base64 without padding, as MetalLB makes it. The key is never read nor logged.
/// Where that can't be done, `failed` is called once, with a message fit for a user. `client` and
/// `log` must outlive the answer.
void CreateMemberlistSecret(io::KubeClient& client, const obs::Logger& log,
                            const MemberlistSecret& secret,
                            std::function<void(const absl::Status& why)> failed);

}  // namespace stentor::controller
