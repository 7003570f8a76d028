// SPDX-License-Identifier: Apache-2.0
#include "common/io/watch_logging.h"

namespace stentor::io {

WatchHandlers LoggingHandlers(const obs::Logger& log, const std::string& resource) {
  WatchHandlers handlers;
  handlers.on_polling = [&log, resource] {
    log.Log(obs::Event::kResourceRefused, PollingMessage(resource), {{"resource", resource}});
  };
  handlers.on_trouble = [&log, resource](const absl::Status& status) {
    log.Log(obs::Event::kApiTrouble, std::string(status.message()), {{"resource", resource}});
  };
  handlers.on_recovered = [&log, resource] {
    log.Log(obs::Event::kApiRecovered, resource + " can be read again", {{"resource", resource}});
  };
  return handlers;
}

}  // namespace stentor::io
