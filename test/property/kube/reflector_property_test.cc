// SPDX-License-Identifier: Apache-2.0

/// \file
/// Whatever the server's history, and however streams are cut: the reflector ends up with what the
/// server has.

#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "common/kube/reflector.h"
#include "test/support/catch.h"

namespace stentor::kube {
namespace {

using nlohmann::json;

// A server in the smallest form: objects, history, compaction, snapshots for pages.
class Server {
 public:
  void Put(int name) {
    ++version_;
    const bool existed = objects_.count(Name(name)) > 0;
    objects_[Name(name)] = version_;
    history_.push_back({version_, existed ? "MODIFIED" : "ADDED", Name(name)});
  }
  void Remove(int name) {
    if (objects_.erase(Name(name)) > 0) {
      history_.push_back({++version_, "DELETED", Name(name)});
    }
  }
  void Compact() {
    history_.clear();
    oldest_ = version_;
    snapshots_.clear();
  }

  Response List(const std::string& path) {
    constexpr std::size_t kPage = 2;
    std::size_t begin = 0;
    std::uint64_t version = version_;
    if (const std::size_t at = path.find("continue="); at != std::string::npos) {
      const std::string token = path.substr(at + 9);
      version = std::stoull(token.substr(0, token.find('-')));
      begin = std::stoul(token.substr(token.find('-') + 1));
      if (snapshots_.count(version) == 0) {
        return {410, "", std::nullopt};
      }
    } else {
      snapshots_[version].assign(objects_.begin(), objects_.end());
    }
    const auto& snapshot = snapshots_[version];
    json list = {{"metadata", {{"resourceVersion", std::to_string(version)}}},
                 {"items", json::array()}};
    for (std::size_t i = begin; i < std::min(begin + kPage, snapshot.size()); ++i) {
      list["items"].push_back(Object(snapshot[i].first, snapshot[i].second));
    }
    if (begin + kPage < snapshot.size()) {
      list["metadata"]["continue"] = std::to_string(version) + "-" + std::to_string(begin + kPage);
    }
    return {200, list.dump(), std::nullopt};
  }

  // All bytes of a watch that is opened now, and then as bookmarks and repetitions have it.
  std::string Stream(const std::string& path, int bookmarks) const {
    const std::string key = "resourceVersion=";
    const std::uint64_t from = std::stoull(path.substr(path.find(key) + key.size()));
    if (from < oldest_) {
      return R"({"type":"ERROR","object":{"code":410,"reason":"Expired"}})"
             "\n";
    }
    std::string bytes;
    for (const Event& event : history_) {
      if (event.version > from) {
        bytes += json{{"type", event.type}, {"object", Object(event.name, event.version)}}.dump();
        bytes += "\n";
      }
    }
    for (int i = 0; i < bookmarks; ++i) {
      bytes += json{{"type", "BOOKMARK"}, {"object", Object("", std::max(from, version_))}}.dump();
      bytes += "\n";
    }
    return bytes;
  }

  [[nodiscard]] const std::map<std::string, std::uint64_t>& objects() const { return objects_; }

 private:
  struct Event {
    std::uint64_t version;
    const char* type;
    std::string name;
  };
  static std::string Name(int name) { return "s" + std::to_string(name); }
  static json Object(const std::string& name, std::uint64_t version) {
    return {{"metadata",
             {{"namespace", "d"}, {"name", name}, {"resourceVersion", std::to_string(version)}}}};
  }

  std::map<std::string, std::uint64_t> objects_;
  std::vector<Event> history_;
  std::map<std::uint64_t, std::vector<std::pair<std::string, std::uint64_t>>> snapshots_;
  std::uint64_t version_ = 1;
  std::uint64_t oldest_ = 0;
};

// What a program would hold.
class Mirror {
 public:
  void Take(const ReflectorOutput& output) {
    for (const Delta& delta : output.deltas) {
      if (const auto* upsert = std::get_if<Upsert>(&delta)) {
        const json& metadata = upsert->object["metadata"];
        const std::uint64_t version = std::stoull(metadata["resourceVersion"].get<std::string>());
        std::uint64_t& held = objects_[metadata["name"].get<std::string>()];
        RC_ASSERT(held != version);  // nothing is repeated
        held = version;
      } else {
        RC_ASSERT(objects_.erase(std::get<Delete>(delta).key.name) == 1U);
      }
    }
    synced_ = synced_ || output.list_complete;
  }
  [[nodiscard]] const std::map<std::string, std::uint64_t>& objects() const { return objects_; }
  [[nodiscard]] bool synced() const { return synced_; }

 private:
  std::map<std::string, std::uint64_t> objects_;
  bool synced_ = false;
};

void ChangeServer(Server& server) {
  const int changes = *rc::gen::inRange(0, 4);
  for (int i = 0; i < changes; ++i) {
    const int name = *rc::gen::inRange(0, 6);
    switch (*rc::gen::inRange(0, 8)) {
      case 0:
        server.Compact();
        break;
      case 1:
      case 2:
        server.Remove(name);
        break;
      default:
        server.Put(name);
    }
  }
}

// Plays a stream in chunks, up to `length` octets of it.
void Play(Reflector& reflector, Mirror& mirror, TimePoint now, const std::string& bytes,
          std::size_t length, std::size_t chunk) {
  mirror.Take(reflector.OnWatchOpen(now));
  for (std::size_t i = 0; i < length; i += chunk) {
    mirror.Take(reflector.OnWatchBytes(now, bytes.substr(i, std::min(chunk, length - i))));
  }
}

}  // namespace

TEST_CASE("A reflector converges to the server's state", "[reflector]") {
  CHECK(rc::check("random histories, compactions, cuts and failures", [] {
    Server server;
    Mirror mirror;
    Reflector reflector({.path = "/x"}, [] { return 0.5; });
    TimePoint now{};
    const int steps = *rc::gen::inRange(1, 40);
    for (int step = 0; step < steps; ++step) {
      ChangeServer(server);
      const ReflectorAction action = reflector.Next(now);
      if (const auto* page = std::get_if<FetchPage>(&action)) {
        const bool fails = *rc::gen::inRange(0, 6) == 0;
        mirror.Take(fails ? reflector.OnPage(now, absl::UnavailableError("x"))
                          : reflector.OnPage(now, server.List(page->path)));
      } else if (const auto* watch = std::get_if<OpenWatch>(&action)) {
        const std::string bytes = server.Stream(watch->path, *rc::gen::inRange(0, 3));
        const auto length = *rc::gen::inRange<std::size_t>(0, bytes.size() + 1);
        Play(reflector, mirror, now, bytes, length, *rc::gen::inRange<std::size_t>(1, 80));
        now += std::chrono::seconds(*rc::gen::inRange(0, 10));
        mirror.Take(reflector.OnWatchEnd(
            now, *rc::gen::arbitrary<bool>() ? absl::OkStatus() : absl::UnavailableError("cut"),
            std::nullopt));
      } else {
        now = reflector.NextDeadline().value();
      }
    }
    // From here nothing changes and nothing fails: it has to arrive within a few steps.
    for (int step = 0; step < 20; ++step) {
      const ReflectorAction action = reflector.Next(now);
      if (const auto* page = std::get_if<FetchPage>(&action)) {
        mirror.Take(reflector.OnPage(now, server.List(page->path)));
      } else if (const auto* watch = std::get_if<OpenWatch>(&action)) {
        const std::string bytes = server.Stream(watch->path, 1);
        Play(reflector, mirror, now, bytes, bytes.size(), 64);
        now += std::chrono::seconds(10);
        mirror.Take(reflector.OnWatchEnd(now, absl::OkStatus(), std::nullopt));
      } else {
        now = reflector.NextDeadline().value();
      }
    }
    RC_ASSERT(mirror.synced());
    RC_ASSERT(mirror.objects() == server.objects());
    RC_ASSERT(reflector.size() == server.objects().size());
  }));
}

}  // namespace stentor::kube
