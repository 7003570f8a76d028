// SPDX-License-Identifier: Apache-2.0
#include "common/config/kubeconfig.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/config/yaml.h"

namespace stentor::config {
namespace {

using nlohmann::json;

struct Parsed {
  std::string path;
  json content;
};

// An entry of clusters, users or contexts, and the file it is from.
struct Entry {
  const Parsed* file = nullptr;
  const json* value = nullptr;
  std::string label;  // `user "admin"`
};

absl::StatusOr<std::string> TextOf(const json& object, const char* key, std::string_view where) {
  const auto it = object.find(key);
  if (it == object.end() || it->is_null()) {
    return std::string();
  }
  if (!it->is_string()) {
    return absl::InvalidArgumentError(StrCat(where, ": ", key, ": expected a string"));
  }
  return it->get<std::string>();
}

absl::StatusOr<Entry> Find(const std::vector<Parsed>& files, const char* list, const char* kind,
                           const std::string& name) {
  const std::string label = StrCat(kind, " \"", name, "\"");
  for (const Parsed& file : files) {
    const auto entries = file.content.find(list);
    if (entries == file.content.end() || entries->is_null()) {
      continue;
    }
    if (!entries->is_array()) {
      return absl::InvalidArgumentError(StrCat(file.path, ": ", list, ": expected a list"));
    }
    for (const json& entry : *entries) {
      if (!entry.is_object()) {
        return absl::InvalidArgumentError(StrCat(file.path, ": ", list, ": expected objects"));
      }
      STENTOR_ASSIGN_OR_RETURN(const std::string found, TextOf(entry, "name", file.path));
      if (found != name) {
        continue;
      }
      const auto value = entry.find(kind);
      if (value == entry.end() || !value->is_object()) {
        return absl::InvalidArgumentError(StrCat(file.path, ": ", label, " is empty"));
      }
      return Entry{&file, &*value, StrCat(file.path, ": ", label)};
    }
  }
  return absl::InvalidArgumentError(
      StrCat(files.front().path, ": there is no ", label, " in the kubeconfig"));
}

std::string Resolve(const Entry& entry, std::string file) {
  if (file.empty() || file.front() == '/') {
    return file;
  }
  const std::size_t slash = entry.file->path.rfind('/');
  return slash == std::string::npos ? file : entry.file->path.substr(0, slash + 1) + file;
}

// `key` names a file, `key`-data holds base64; the latter wins, as in client-go.
absl::StatusOr<PemSource> Pem(const Entry& entry, const std::string& key) {
  PemSource source;
  STENTOR_ASSIGN_OR_RETURN(const std::string data,
                           TextOf(*entry.value, (key + "-data").c_str(), entry.label));
  if (!data.empty()) {
    if (!absl::Base64Unescape(data, &source.data) || source.data.empty()) {
      return absl::InvalidArgumentError(StrCat(entry.label, ": ", key, "-data is not base64"));
    }
    return source;
  }
  STENTOR_ASSIGN_OR_RETURN(std::string file, TextOf(*entry.value, key.c_str(), entry.label));
  source.file = Resolve(entry, std::move(file));
  return source;
}

absl::Status ReadCluster(const Entry& entry, ClientConfig& config) {
  STENTOR_ASSIGN_OR_RETURN(config.server, TextOf(*entry.value, "server", entry.label));
  if (config.server.empty()) {
    return absl::InvalidArgumentError(StrCat(entry.label, " has no server"));
  }
  STENTOR_ASSIGN_OR_RETURN(config.certificate_authority, Pem(entry, "certificate-authority"));
  STENTOR_ASSIGN_OR_RETURN(config.tls_server_name,
                           TextOf(*entry.value, "tls-server-name", entry.label));
  if (const auto it = entry.value->find("insecure-skip-tls-verify");
      it != entry.value->end() && !it->is_null()) {
    if (!it->is_boolean()) {
      return absl::InvalidArgumentError(
          StrCat(entry.label, ": insecure-skip-tls-verify: expected true or false"));
    }
    config.insecure_skip_tls_verify = it->get<bool>();
  }
  return absl::OkStatus();
}

absl::Status ReadUser(const Entry& entry, ClientConfig& config) {
  for (const char* refused : {"exec", "auth-provider", "username", "password"}) {
    if (entry.value->contains(refused)) {
      return absl::InvalidArgumentError(
          StrCat(entry.label, " uses ", refused,
                 ", which is not supported: give a client certificate or a token"));
    }
  }
  STENTOR_ASSIGN_OR_RETURN(config.client_certificate, Pem(entry, "client-certificate"));
  STENTOR_ASSIGN_OR_RETURN(config.client_key, Pem(entry, "client-key"));
  STENTOR_ASSIGN_OR_RETURN(config.token, TextOf(*entry.value, "token", entry.label));
  STENTOR_ASSIGN_OR_RETURN(std::string file, TextOf(*entry.value, "tokenFile", entry.label));
  config.token_file = Resolve(entry, std::move(file));
  if (config.client_certificate.IsSet() != config.client_key.IsSet()) {
    return absl::InvalidArgumentError(
        StrCat(entry.label, ": client-certificate and client-key belong together"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Parsed>> ParseAll(std::span<const KubeconfigFile> files) {
  std::vector<Parsed> parsed;
  for (const KubeconfigFile& file : files) {
    absl::StatusOr<json> content = ParseYaml(file.text);
    if (!content.ok()) {
      return Annotate(content.status(), file.path);
    }
    if (content->is_null()) {
      *content = json::object();  // kubectl takes an empty file too
    }
    if (!content->is_object()) {
      return absl::InvalidArgumentError(StrCat(file.path, ": not a kubeconfig"));
    }
    parsed.push_back({file.path, *std::move(content)});
  }
  if (parsed.empty()) {
    return absl::InvalidArgumentError("no kubeconfig file");
  }
  return parsed;
}

}  // namespace

absl::StatusOr<ClientConfig> ParseKubeconfig(std::span<const KubeconfigFile> files,
                                             std::string_view context_name) {
  STENTOR_ASSIGN_OR_RETURN(const std::vector<Parsed> parsed, ParseAll(files));
  std::string current(context_name);
  for (const Parsed& file : parsed) {
    if (!current.empty()) {
      break;
    }
    STENTOR_ASSIGN_OR_RETURN(current, TextOf(file.content, "current-context", file.path));
  }
  if (current.empty()) {
    return absl::InvalidArgumentError(
        StrCat(parsed.front().path, ": the kubeconfig has no current-context"));
  }
  STENTOR_ASSIGN_OR_RETURN(const Entry context, Find(parsed, "contexts", "context", current));
  STENTOR_ASSIGN_OR_RETURN(const std::string cluster,
                           TextOf(*context.value, "cluster", context.label));
  STENTOR_ASSIGN_OR_RETURN(const std::string user, TextOf(*context.value, "user", context.label));

  ClientConfig config;
  STENTOR_ASSIGN_OR_RETURN(config.name_space, TextOf(*context.value, "namespace", context.label));
  if (config.name_space.empty()) {
    config.name_space = "default";
  }
  STENTOR_ASSIGN_OR_RETURN(const Entry cluster_entry, Find(parsed, "clusters", "cluster", cluster));
  STENTOR_RETURN_IF_ERROR(ReadCluster(cluster_entry, config));
  if (!user.empty()) {
    STENTOR_ASSIGN_OR_RETURN(const Entry user_entry, Find(parsed, "users", "user", user));
    STENTOR_RETURN_IF_ERROR(ReadUser(user_entry, config));
  }
  return config;
}

}  // namespace stentor::config
