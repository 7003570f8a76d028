// SPDX-License-Identifier: Apache-2.0

/// \file
/// api-bench: what the benchmarks of the controller need beside it, at a real API server.
///
///   load    creates Services, all at once or one after the other, and watches when each one gets
///           its address
///   assign  the yardstick: gives every Service without an address the next one, and nothing else
///   await   waits until all Services of a namespace have an address
///   delete  deletes all Services of a namespace
///
/// Moments are seconds of the monotonic clock, which all programs of a machine share.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "test/bench/api/api_client.h"

namespace stentor::bench {
namespace {

using nlohmann::json;

constexpr const char* kBalancers = "/api/v1/services?fieldSelector=spec.type%3DLoadBalancer";

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void Print(const json& line) {
  std::printf("%s\n", line.dump().c_str());
  std::fflush(stdout);
}

void Require(bool good, const std::string& what, unsigned code, const std::string& body) {
  if (!good) {
    std::fprintf(stderr, "api-bench: %s: %u %s\n", what.c_str(), code, body.c_str());
    std::exit(1);
  }
}

bool HasAddress(const json& service) {
  const json::json_pointer ingress("/status/loadBalancer/ingress");
  return service.contains(ingress) && !service[ingress].empty();
}

std::string PathOf(const json& service) {
  const json& metadata = service.at("metadata");
  return "/api/v1/namespaces/" + metadata.at("namespace").get<std::string>() + "/services/" +
         metadata.at("name").get<std::string>();
}

// Lists in one piece, then watches from there. `seen` gets every object that exists or changes;
// `opened` is called when the watch is there.
void Follow(ApiClient& client, const std::function<void(json)>& seen,
            const std::function<void()>& opened) {
  client.Send("GET", kBalancers, "", [=, &client](unsigned code, const std::string& body) {
    Require(code == 200, "list", code, body);
    json list = json::parse(body);
    const auto version = list.at("metadata").at("resourceVersion").get<std::string>();
    client.Watch(std::string(kBalancers) + "&watch=1&resourceVersion=" + version, opened,
                 [seen](std::string_view line) {
                   json event = json::parse(line);
                   const auto& type = event.at("type").get_ref<const std::string&>();
                   Require(type != "ERROR", "watch", 0, std::string(line));
                   if (type != "DELETED") {
                     seen(std::move(event.at("object")));
                   }
                 });
    for (json& item : list.at("items")) {
      seen(std::move(item));
    }
  });
}

// -- load -------------------------------------------------------------------------------------

struct LoadOptions {
  std::string name_space = "default";
  std::string prefix = "bench";
  std::string app;  // of the pods that are selected; empty: none are
  std::size_t count = 1000;
  bool one_by_one = false;
  bool only_create = false;
  double deadline = 300;
};

class Load {
 public:
  Load(boost::asio::io_context& io, ApiClient& client, LoadOptions options)
      : io_(io), client_(client), options_(std::move(options)), times_(options_.count) {
    for (std::size_t i = 0; i < options_.count; ++i) {
      numbers_.emplace(options_.prefix + "-" + std::to_string(i), i);
    }
  }

  void Start() {
    Follow(client_, [this](const json& service) { Seen(service); }, [this] { Begin(); });
  }

 private:
  struct Times {
    double sent = 0;
    double created = 0;  // the first that we hear of it: the answer, or the watch
    double addressed = 0;
    bool answered = false;
  };

  void Begin() {
    const std::size_t first = options_.one_by_one ? 1 : options_.count;
    for (std::size_t i = 0; i < first; ++i) {
      Create(i);
    }
  }

  void Create(std::size_t number) {
    // Neither node ports nor anything for kube-proxy; without a selector nobody makes endpoints.
    json body = {{"apiVersion", "v1"},
                 {"kind", "Service"},
                 {"metadata",
                  {{"name", options_.prefix + "-" + std::to_string(number)},
                   {"labels", {{"service.kubernetes.io/service-proxy-name", "nobody"}}}}},
                 {"spec",
                  {{"type", "LoadBalancer"},
                   {"allocateLoadBalancerNodePorts", false},
                   {"ports", {{{"name", "http"}, {"port", 80}, {"protocol", "TCP"}}}}}}};
    if (!options_.app.empty()) {
      body["spec"]["selector"] = {{"app", options_.app}};
    }
    times_[number].sent = Now();
    client_.Send("POST", "/api/v1/namespaces/" + options_.name_space + "/services", body.dump(),
                 [this, number](unsigned code, const std::string& answer) {
                   Require(code == 201, "create", code, answer);
                   Times& times = times_[number];
                   times.answered = true;
                   times.created = times.created == 0 ? Now() : times.created;
                   Advance(number);
                 });
  }

  void Seen(const json& service) {
    const json& metadata = service.at("metadata");
    const auto found = numbers_.find(metadata.at("name").get_ref<const std::string&>());
    if (metadata.at("namespace") != options_.name_space || found == numbers_.end()) {
      return;
    }
    Times& times = times_[found->second];
    times.created = times.created == 0 ? Now() : times.created;
    if (HasAddress(service) && times.addressed == 0 && !options_.only_create) {
      times.addressed = Now();
      Advance(found->second);
    }
  }

  // One is complete when its creation is answered and it has its address, in whatever order.
  void Advance(std::size_t number) {
    if (!times_[number].answered || (times_[number].addressed == 0 && !options_.only_create)) {
      return;
    }
    if (++complete_ == options_.count) {
      json services = json::array();
      for (const Times& one : times_) {
        services.push_back({one.sent, one.created, one.addressed});
      }
      Print({{"services", services}});
      io_.stop();
    } else if (options_.one_by_one) {
      Create(number + 1);
    }
  }

  boost::asio::io_context& io_;
  ApiClient& client_;
  const LoadOptions options_;
  std::vector<Times> times_;
  std::map<std::string, std::size_t> numbers_;
  std::size_t complete_ = 0;
};

// -- assign -----------------------------------------------------------------------------------

class Assign {
 public:
  Assign(ApiClient& client, unsigned first) : client_(client), next_(first) {}

  void Start() {
    Follow(
        client_, [this](json service) { Seen(std::move(service)); },
        [this] { Print({{"watching", Now()}, {"known", known_}}); });
  }

 private:
  void Seen(json service) {
    ++known_;
    std::string path = PathOf(service);
    if (HasAddress(service) || !asked_.insert(path).second) {
      return;
    }
    const std::string address = "10." + std::to_string(next_ >> 16U & 255U) + "." +
                                std::to_string(next_ >> 8U & 255U) + "." +
                                std::to_string(next_ & 255U);
    ++next_;
    service["apiVersion"] = "v1";
    service["kind"] = "Service";
    service.at("metadata").erase("managedFields");
    service["status"]["loadBalancer"]["ingress"] = {{{"ip", address}}};
    if (began_ == 0) {
      began_ = Now();
    }
    ++under_way_;
    client_.Send("PUT", path + "/status", service.dump(),
                 [this, path](unsigned code, const std::string& body) {
                   Require(code == 200, "PUT " + path, code, body);
                   if (--under_way_ == 0 && !std::exchange(told_, true)) {
                     Print({{"first_round", {{"writes", asked_.size()}, {"s", Now() - began_}}}});
                   }
                 });
  }

  ApiClient& client_;
  unsigned next_;
  std::size_t known_ = 0;
  std::set<std::string> asked_;
  std::size_t under_way_ = 0;
  double began_ = 0;   // the first write
  bool told_ = false;  // how long it took until none was under way
};

// -- await, delete ----------------------------------------------------------------------------

class Await {
 public:
  Await(boost::asio::io_context& io, ApiClient& client, std::string name_space)
      : io_(io), client_(client), name_space_(std::move(name_space)) {}

  void Start() {
    Follow(
        client_, [this](const json& service) { Seen(service); },
        [this] {
          watching_ = true;
          Print({{"watching", Now()}, {"without", without_.size()}});
          StopIfNoneIsWithout();
        });
  }

 private:
  void Seen(const json& service) {
    if (service.at("metadata").at("namespace") != name_space_) {
      return;
    }
    if (HasAddress(service)) {
      without_.erase(PathOf(service));
    } else {
      without_.insert(PathOf(service));
    }
    StopIfNoneIsWithout();
  }

  void StopIfNoneIsWithout() {
    if (watching_ && without_.empty()) {
      Print({{"addressed", Now()}});
      io_.stop();
    }
  }

  boost::asio::io_context& io_;
  ApiClient& client_;
  const std::string name_space_;
  std::set<std::string> without_;
  bool watching_ = false;
};

void DeleteAll(boost::asio::io_context& io, ApiClient& client, const std::string& name_space) {
  const std::string all = "/api/v1/namespaces/" + name_space + "/services";
  client.Send("GET", all, "", [=, &io, &client](unsigned code, const std::string& body) {
    Require(code == 200, "list", code, body);
    const json list = json::parse(body);
    std::vector<std::string> names;
    for (const json& item : list.at("items")) {
      names.push_back(item.at("metadata").at("name").get<std::string>());
    }
    const auto left = std::make_shared<std::size_t>(names.size());
    for (const std::string& name : names) {
      client.Send("DELETE", all + "/" + name, "",
                  [=, &io](unsigned deleted, const std::string& answer) {
                    Require(deleted == 200 || deleted == 404, "delete", deleted, answer);
                    if (--*left == 0) {
                      io.stop();
                    }
                  });
    }
    if (names.empty()) {
      io.stop();
    }
  });
}

int Main(int argc, char** argv) {
  CLI::App app("What the benchmarks of the controller need beside it.", "api-bench");
  Access access;
  std::size_t connections = 64;
  app.add_option("--server", access.host, "Address of the API server")->required();
  app.add_option("--port", access.port, "Its port")->default_val("6443");
  app.add_option("--ca", access.authority, "File of its authority")->required();
  app.add_option("--token", access.token, "File with a bearer token");
  app.add_option("--cert", access.certificate, "File of a client certificate");
  app.add_option("--key", access.key, "File of its key");
  app.add_option("--connections", connections, "At most so many")->capture_default_str();

  LoadOptions load;
  CLI::App* const load_app = app.add_subcommand("load", "Create Services, watch for addresses");
  load_app->add_option("--namespace", load.name_space, "Where");
  load_app->add_option("--prefix", load.prefix, "Of their names");
  load_app->add_option("--app", load.app, "Label of the pods that they select; default: none");
  load_app->add_option("--count", load.count, "How many")->check(CLI::PositiveNumber);
  load_app->add_flag("--one-by-one", load.one_by_one, "Each when the one before has its address");
  load_app->add_flag("--only-create", load.only_create, "Wait for no addresses");
  load_app->add_option("--deadline", load.deadline, "Give up after so many seconds");
  unsigned first = 1;
  CLI::App* const assign_app = app.add_subcommand("assign", "Give addresses, and nothing else");
  assign_app->add_option("--first", first, "The first address, as an offset from 10.0.0.0");
  std::string name_space;
  CLI::App* const await_app = app.add_subcommand("await", "Wait until all have an address");
  await_app->add_option("namespace", name_space, "Which")->required();
  CLI::App* const delete_app = app.add_subcommand("delete", "Delete all Services of a namespace");
  delete_app->add_option("namespace", name_space, "Which")->required();
  app.require_subcommand(1);
  CLI11_PARSE(app, argc, argv);

  boost::asio::io_context io(1);
  ApiClient client(io, access, connections);
  Load loading(io, client, load);
  Assign assigning(client, first);
  Await awaiting(io, client, name_space);
  boost::asio::steady_timer deadline(io);
  if (load_app->parsed()) {
    deadline.expires_after(std::chrono::duration_cast<std::chrono::nanoseconds>(
        std::chrono::duration<double>(load.deadline)));
    deadline.async_wait([](boost::system::error_code) {
      std::fprintf(stderr, "api-bench: not all Services have an address in time\n");
      std::exit(1);
    });
    loading.Start();
  } else if (assign_app->parsed()) {
    assigning.Start();
  } else if (await_app->parsed()) {
    awaiting.Start();
  } else if (delete_app->parsed()) {
    DeleteAll(io, client, name_space);
  }
  io.run();
  return 0;
}

}  // namespace
}  // namespace stentor::bench

int main(int argc, char** argv) {
  try {
    return stentor::bench::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "api-bench: %s\n", error.what());
    return 1;
  }
}
