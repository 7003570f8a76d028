// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <random>
#include <string>

#include "common/status/configuration_state_keeper.h"
#include "test/support/catch.h"
#include "test/support/run_seed.h"
#include "test/unit/status/state_bench.h"

namespace stentor::status {
namespace {

using namespace std::chrono_literals;

// One run: random inputs and faults, then peace.
class Run {
 public:
  explicit Run(std::uint64_t seed) : random_(seed) {}

  void Disturb() {
    bench_.keeper.SetOwner({"pod-1", "uid-1"});
    bench_.faults = [this](const kube::Request& request) { return Fault(request); };
    for (int step = 0; step < 150; ++step) {
      Step();
      bench_.Run(std::chrono::milliseconds(Pick(2500)));
    }
  }

  void Settle() {
    bench_.faults = nullptr;
    bench_.watch = true;
    if (!active_) {
      bench_.keeper.SetActive(true);
    }
    bench_.Verdict(ok_ ? absl::OkStatus() : absl::InvalidArgumentError(message_));
    bench_.Sync();
    bench_.Run(20min);
  }

  void CheckSettled() const {
    const nlohmann::json status = bench_.Status();
    CHECK(bench_.Short().rfind(
              ok_ ? "Valid poolReconcilerValid=True" : "Invalid poolReconcilerValid=False", 0) ==
          0);
    CHECK(status["errorSummary"] == (ok_ ? "" : "configuration error: " + message_));
    CHECK((bench_.Short().find("bgpAnnounced") != std::string::npos) == remark_);
    const nlohmann::json& metadata = bench_.Object()->at("metadata");
    CHECK(metadata["labels"]["metallb.io/component-type"] == "controller");
    CHECK(metadata["ownerReferences"].size() == 1);
    CHECK(metadata["ownerReferences"][0]["uid"] == "uid-1");
    CHECK_FALSE(bench_.keeper.NextDeadline());
  }

 private:
  std::uint64_t Pick(std::uint64_t below) { return random_() % below; }

  void Step() {
    switch (Pick(9)) {
      case 0:
      case 1:
        ok_ = Pick(2) == 0;
        message_ = "error " + std::to_string(Pick(3));
        bench_.Verdict(ok_ ? absl::OkStatus() : absl::InvalidArgumentError(message_));
        break;
      case 2:
        remark_ = Pick(2) == 0;
        if (remark_) {
          bench_.Remark("x");
        } else {
          bench_.keeper.RemoveCondition(kBgpAnnounced);
        }
        break;
      case 3:
        bench_.Delete();
        break;
      case 4:
        Edit("/status", {{"result", "Unknown"}});
        break;
      case 5:
        Edit("/metadata/ownerReferences",
             {{{"apiVersion", "v1"}, {"kind", "Pod"}, {"name", "x"}, {"uid", "x"}}});
        break;
      case 6:
        bench_.watch = Pick(2) == 0;
        bench_.watch_first = Pick(2) == 0;
        if (bench_.watch) {
          bench_.Sync();
        }
        break;
      case 7:
        active_ = Pick(4) != 0;
        bench_.keeper.SetActive(active_);
        break;
      default:
        Edit("/metadata/labels", {{"theirs", std::to_string(Pick(9))}});
        break;
    }
  }

  void Edit(const std::string& pointer, const nlohmann::json& value) {
    if (bench_.Object() != nullptr) {
      bench_.Edit(pointer, value);
    }
  }

  std::optional<Answer> Fault(const kube::Request& request) {
    switch (Pick(10)) {
      case 0:
        return kube::Response{503, "", std::chrono::seconds(Pick(3))};
      case 1:  // done, but the answer is lost
        (void)bench_.server.Handle(request);
        return absl::UnavailableError("connection reset");
      case 2:
        return kube::Response{403, "", std::nullopt};
      case 3:  // somebody was faster
        Edit("/metadata/labels", {{"theirs", std::to_string(Pick(9))}});
        return std::nullopt;
      case 4:
        bench_.Delete();
        return std::nullopt;
      default:
        return std::nullopt;
    }
  }

  std::mt19937_64 random_;
  StateBench bench_;
  bool active_ = true;
  bool ok_ = true;
  bool remark_ = false;
  std::string message_;
};

}  // namespace

TEST_CASE("Whatever happens, the object is true in the end", "[status]") {
  const std::uint64_t seed = sim::RunSeed();
  for (std::uint64_t i = 0; i < 200; ++i) {
    DYNAMIC_SECTION("run " << i) {
      Run run(seed + i);
      run.Disturb();
      run.Settle();
      run.CheckSettled();
    }
  }
}

}  // namespace stentor::status
