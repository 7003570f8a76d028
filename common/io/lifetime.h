// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <utility>

namespace stentor::io {

/// Ends callbacks with the object that they are for: what was asked of the API server is answered
/// some day, also when nobody is there any more who asked. A member of that object, its last one,
/// so that it goes first. Everything on the event loop's thread.
///
///   client_.Request(request, lifetime_.Bind([this](const auto& response) { OnAnswer(response);
///   }));
class Lifetime {
 public:
  Lifetime() : token_(std::make_shared<bool>(true)) {}
  ~Lifetime() = default;
  Lifetime(const Lifetime&) = delete;
  Lifetime& operator=(const Lifetime&) = delete;

  /// `function`, which does nothing once this is destroyed. It returns nothing.
  template <typename Function>
  [[nodiscard]] auto Bind(Function function) const {
    return [alive = std::weak_ptr<bool>(token_),
            function = std::move(function)](auto&&... arguments) mutable {
      if (!alive.expired()) {
        function(std::forward<decltype(arguments)>(arguments)...);
      }
    };
  }

 private:
  std::shared_ptr<bool> token_;
};

}  // namespace stentor::io
