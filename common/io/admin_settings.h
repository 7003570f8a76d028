// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "common/io/tls_server.h"

namespace CLI {  // NOLINT(readability-identifier-naming): the library's name
class App;
}  // namespace CLI

namespace stentor::io {

/// Where metrics and probes are served, as the flags have it.
struct AdminSettings {
  std::uint16_t metrics_port = 9120;  ///< 0: none. 7472: plain HTTP for anybody, as MetalLB < 0.16.
  std::uint16_t probe_port = 17472;   ///< 0: none.
  std::string probe_address;          ///< Not a flag: set by the program. Empty: all addresses.
  ServerTlsOptions tls;
};

/// The port on which MetalLB served its metrics without TLS and tokens.
inline constexpr std::uint16_t kPlainMetricsPort = 7472;

/// Adds the flags for `settings` to `app`, which fills them while it parses. As with Go's flags,
/// the last one counts where one is given twice.
void AddAdminFlags(CLI::App& app, AdminSettings& settings);

}  // namespace stentor::io
