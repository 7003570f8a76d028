// SPDX-License-Identifier: Apache-2.0
#include "common/config/legacy.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/checks.h"
#include "common/config/yaml.h"

namespace stentor::config {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 3> kWithoutEffect = {"peers", "bgp-communities",
                                                            "bfd-profiles"};

bool IsWithoutEffect(const std::string& key) {
  return std::ranges::find(kWithoutEffect, key) != kWithoutEffect.end();
}

// Numbers are text to MetalLB where text is wanted; of one with a point the text is lost.
absl::StatusOr<std::string> Text(const json& value, std::string_view field) {
  if (value.is_null()) {
    return std::string();
  }
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (value.is_number_integer()) {
    return std::to_string(value.get<std::int64_t>());
  }
  return Invalid(StrCat(field, ": expected text; put it in quotes"));
}

// YAML 1.1, which MetalLB's parser spoke, has more words for it than true and false.
absl::StatusOr<bool> Truth(const json& value, bool otherwise, std::string_view field) {
  if (value.is_null()) {
    return otherwise;
  }
  if (value.is_boolean()) {
    return value.get<bool>();
  }
  if (value.is_string()) {
    std::string word = value.get<std::string>();
    std::ranges::transform(word, word.begin(), [](unsigned char c) {
      return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    });
    if (word == "yes" || word == "on" || word == "y") {
      return true;
    }
    if (word == "no" || word == "off" || word == "n") {
      return false;
    }
  }
  return Invalid(StrCat(field, ": expected true or false"));
}

absl::StatusOr<std::vector<std::string>> Texts(const json& value, std::string_view field) {
  std::vector<std::string> texts;
  if (value.is_null()) {
    return texts;
  }
  if (!value.is_array()) {
    return Invalid(StrCat(field, ": expected a list"));
  }
  for (std::size_t i = 0; i < value.size(); ++i) {
    STENTOR_ASSIGN_OR_RETURN(std::string text, Text(value[i], StrCat(field, "[", i, "]")));
    texts.push_back(std::move(text));
  }
  return texts;
}

absl::StatusOr<model::AddressPoolResource> PoolOf(const json& object, const std::string& field,
                                                  const std::string& name_space) {
  if (!object.is_object()) {
    return Invalid(StrCat(field, ": expected an object"));
  }
  model::AddressPoolResource pool;
  pool.key.name_space = name_space;
  for (const auto& [key, value] : object.items()) {
    const std::string path = StrCat(field, ".", key);
    if (key == "name") {
      STENTOR_ASSIGN_OR_RETURN(pool.key.name, Text(value, path));
    } else if (key == "protocol") {
      STENTOR_ASSIGN_OR_RETURN(pool.protocol, Text(value, path));
    } else if (key == "addresses") {
      STENTOR_ASSIGN_OR_RETURN(pool.addresses, Texts(value, path));
    } else if (key == "auto-assign") {
      STENTOR_ASSIGN_OR_RETURN(pool.auto_assign, Truth(value, true, path));
    } else if (key == "avoid-buggy-ips") {
      STENTOR_ASSIGN_OR_RETURN(pool.avoid_buggy_ips, Truth(value, false, path));
    } else if (key != "bgp-advertisements") {
      return Invalid(StrCat(field, ": unknown field \"", key, "\""));
    }
  }
  return pool;
}

absl::StatusOr<LegacyConfig> Read(const json& root, const model::ObjectKey& config_map) {
  LegacyConfig config{.config_map = config_map, .pools = {}, .ignored = {}};
  if (root.is_null()) {
    return config;
  }
  if (!root.is_object()) {
    return Invalid("could not parse config: expected address-pools");
  }
  for (const auto& [key, value] : root.items()) {
    if (IsWithoutEffect(key)) {
      config.ignored.push_back(key);
    } else if (key != "address-pools") {
      return Invalid(StrCat("could not parse config: unknown field \"", key, "\""));
    } else if (!value.is_array() && !value.is_null()) {
      return Invalid("could not parse config: address-pools: expected a list");
    } else {
      for (std::size_t i = 0; i < value.size(); ++i) {
        auto pool = PoolOf(value[i], StrCat("address-pools[", i, "]"), config_map.name_space);
        if (!pool.ok()) {
          return Annotate(pool.status(), StrCat("parsing address pool #", i + 1));
        }
        config.pools.push_back(*std::move(pool));
      }
    }
  }
  return config;
}

}  // namespace

absl::StatusOr<LegacyConfig> ParseLegacyConfig(std::string_view yaml,
                                               const model::ObjectKey& config_map) {
  const std::string context =
      StrCat("ConfigMap ", config_map.ToString(), ", entry \"", kLegacyEntry, "\"");
  const auto root = ParseYaml(yaml);
  if (!root.ok()) {
    return Annotate(root.status(), StrCat(context, ": could not parse config"));
  }
  auto config = Read(*root, config_map);
  return config.ok() ? std::move(config) : Annotate(config.status(), context);
}

}  // namespace stentor::config
