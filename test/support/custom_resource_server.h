// SPDX-License-Identifier: Apache-2.0
#pragma once

/// \file
/// Custom resources of one kind with a status subresource, as the API server keeps them: what
/// GET, POST, PUT and PATCH (merge) take of a body, seen on kube-apiserver 1.34. A write to the
/// object leaves its status alone, a write to its status leaves all else alone; POST drops a
/// status; PUT needs a resourceVersion.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/base/strings.h"
#include "common/kube/codec.h"
#include "common/kube/transport.h"

namespace stentor::test {

class CustomResourceServer {
 public:
  /// `path`: of the collection.
  explicit CustomResourceServer(std::string path) : path_(std::move(path)) {}

  /// Serves a request, all at once.
  [[nodiscard]] kube::Response Handle(const kube::Request& request) {
    ++requests_;
    std::string path = request.path.substr(0, request.path.find('?'));
    if (path.rfind(path_, 0) != 0) {
      return Failure(404, "NotFound", "404 page not found");
    }
    if (request.method == "POST") {
      return Create(request.body);
    }
    std::string name = path.substr(path_.size() + 1);
    const std::size_t slash = name.find('/');
    const bool status = slash != std::string::npos;
    name = name.substr(0, slash);
    const auto it = objects_.find(name);
    if (it == objects_.end()) {
      return Failure(404, "NotFound", StrCat(name, " not found"));
    }
    if (request.method == "GET") {
      return {200, it->second.dump(), std::nullopt};
    }
    return Write(request, status, it->second);
  }

  /// Stores `object` as somebody else would.
  void Store(nlohmann::json object) {
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    if (!object["metadata"].contains("uid")) {
      object["metadata"]["uid"] = StrCat("uid-", version_);
    }
    const std::string name = object["metadata"]["name"].get<std::string>();
    objects_[name] = std::move(object);
    ++writes_;
  }
  /// Sets one value by somebody else's hand, by JSON pointer; null removes it.
  void Edit(const std::string& name, const std::string& pointer, const nlohmann::json& value) {
    nlohmann::json object = objects_.at(name);
    const nlohmann::json::json_pointer place(pointer);
    if (value.is_null()) {
      object.at(place.parent_pointer()).erase(place.back());
    } else {
      object[place] = value;
    }
    Store(std::move(object));
  }
  void Delete(const std::string& name) {
    objects_.erase(name);
    ++version_;
  }

  [[nodiscard]] const nlohmann::json* Find(const std::string& name) const {
    const auto it = objects_.find(name);
    return it == objects_.end() ? nullptr : &it->second;
  }
  /// Of Handle(), whatever the answer.
  [[nodiscard]] std::uint64_t requests() const { return requests_; }
  /// That changed an object, by anybody.
  [[nodiscard]] std::uint64_t writes() const { return writes_; }

  [[nodiscard]] static kube::Response Failure(int code, const std::string& reason,
                                              const std::string& message) {
    const nlohmann::json body = {{"kind", "Status"}, {"reason", reason}, {"message", message}};
    return {code, body.dump(), std::nullopt};
  }

 private:
  [[nodiscard]] kube::Response Create(const std::string& text) {
    const auto body = kube::ParseJson(text);
    const std::string name = body->at("metadata").at("name").get<std::string>();
    if (objects_.count(name) != 0) {
      return Failure(409, "AlreadyExists", "it exists");
    }
    nlohmann::json object = *body;
    object.erase("status");
    Store(std::move(object));
    return {201, objects_.at(name).dump(), std::nullopt};
  }

  [[nodiscard]] kube::Response Write(const kube::Request& request, bool status,
                                     const nlohmann::json& former) {
    const auto body = kube::ParseJson(request.body);
    const nlohmann::json& stored = former.at("metadata");
    const nlohmann::json sent = body->value("metadata", nlohmann::json::object());
    if (request.method == "PUT" && !sent.contains("resourceVersion")) {
      return Failure(422, "Invalid", "metadata.resourceVersion: must be specified for an update");
    }
    const bool other = request.method == "PUT" && sent.value("uid", stored["uid"]) != stored["uid"];
    if (other ||
        sent.value("resourceVersion", stored["resourceVersion"]) != stored["resourceVersion"]) {
      return Failure(409, "Conflict", "the object has been modified");
    }
    nlohmann::json whole = former;
    if (request.method == "PUT") {
      whole = *body;
    } else {
      whole.merge_patch(*body);
    }
    nlohmann::json object = status ? former : whole;
    object["metadata"]["uid"] = stored["uid"];
    object.erase("status");
    const nlohmann::json& source = status ? whole : former;
    if (source.contains("status")) {
      object["status"] = source["status"];
    }
    object["metadata"]["resourceVersion"] = stored["resourceVersion"];
    const std::string name = stored["name"].get<std::string>();
    if (object != former) {
      Store(std::move(object));
    }
    return {200, objects_.at(name).dump(), std::nullopt};
  }

  const std::string path_;
  std::map<std::string, nlohmann::json> objects_;
  std::uint64_t version_ = 100;
  std::uint64_t requests_ = 0;
  std::uint64_t writes_ = 0;
};

}  // namespace stentor::test
