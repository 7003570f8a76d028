// SPDX-License-Identifier: Apache-2.0
#include "test/sim/membership/lan/scenarios.h"

#include <chrono>
#include <set>
#include <string>

namespace stentor::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// Calls `what` now and then for so long.
void Often(SimulatedLan& lan, Duration between, Duration left, const std::function<void()>& what) {
  const Duration wait = between / 2 + lan.RandomSpan(between);
  if (wait >= left) {
    return;
  }
  lan.After(wait, [&lan, between, left, wait, what] {
    what();
    Often(lan, between, left - wait, what);
  });
}

std::set<std::size_t> Range(std::size_t begin, std::size_t end) {
  std::set<std::size_t> range;
  for (; begin < end; ++begin) {
    range.insert(range.end(), begin);
  }
  return range;
}

using Parts = std::vector<std::set<std::size_t>>;

Parts Alone(const SimulatedLan& lan, std::size_t node) {
  std::set<std::size_t> others = Range(0, lan.size());
  others.erase(node);
  return {{node}, others};
}

std::size_t After(const SimulatedLan& lan, std::size_t node) { return (node + 1) % lan.size(); }

void CutBothWays(SimulatedLan& lan, std::size_t a, std::size_t b, bool up) {
  lan.SetLink(a, b, up);
  lan.SetLink(b, a, up);
}

// Each speaker in turn: stopped by `stop`, and started again after `down`.
void Roll(SimulatedLan& lan, Duration down, const std::function<void(std::size_t)>& stop,
          const std::function<StartOptions(std::size_t)>& options) {
  for (std::size_t node = 0; node < lan.size(); ++node) {
    lan.After(static_cast<int>(node) * (down + 2s), [&lan, node, stop] { stop(node); });
    lan.After(static_cast<int>(node) * (down + 2s) + down,
              [&lan, node, options] { lan.Start(node, options(node)); });
  }
}

const std::vector<Scenario> kScenarios = {
    {"node crashes", [](SimulatedLan& lan, std::size_t victim) { lan.Crash(victim); }},
    {"process dies", [](SimulatedLan& lan, std::size_t victim) { lan.Kill(victim); }},
    {"all crash but one",
     [](SimulatedLan& lan, std::size_t victim) {
       for (std::size_t node = 0; node < lan.size(); ++node) {
         if (node != After(lan, victim)) {
           lan.Crash(node);
         }
       }
     }},
    {"half of them crash",
     [](SimulatedLan& lan, std::size_t victim) {
       for (std::size_t i = 0; i < lan.size() / 2; ++i) {
         lan.Crash((victim + i) % lan.size());
       }
     }},
    {"two crash, one 150 ms after the other",
     [](SimulatedLan& lan, std::size_t victim) {
       lan.Crash(victim);
       lan.After(150ms, [&lan, victim] { lan.Crash(After(lan, victim)); });
     },
     150ms},
    {"leaves", [](SimulatedLan& lan, std::size_t victim) { lan.Leave(victim); }, 100ms},
    {"process restarts at once",
     [](SimulatedLan& lan, std::size_t victim) {
       lan.Kill(victim);
       lan.After(20ms, [&lan, victim] { lan.Start(victim); });
     },
     20ms, 1, true},
    {"process restarts after 150 ms",
     [](SimulatedLan& lan, std::size_t victim) {
       lan.Kill(victim);
       lan.After(150ms, [&lan, victim] { lan.Start(victim); });
     },
     150ms, 1, true},
    {"node restarts after 3 s",
     [](SimulatedLan& lan, std::size_t victim) {
       lan.Crash(victim);
       lan.After(3s, [&lan, victim] { lan.Start(victim); });
     },
     3s, 1, true},
    {"process restarts without state",
     [](SimulatedLan& lan, std::size_t victim) {
       lan.Kill(victim);
       lan.After(500ms, [&lan, victim] {
         lan.Start(victim, {.listed_after = 700ms, .starting_for = 1500ms});
       });
     },
     2s, 1, true},
    {"all restart at once",
     [](SimulatedLan& lan, std::size_t) {
       for (std::size_t node = 0; node < lan.size(); ++node) {
         lan.Kill(node);
         lan.After(lan.RandomSpan(1s), [&lan, node] { lan.Start(node); });
       }
     },
     1s, 1, true},
    {"rolling update",
     [](SimulatedLan& lan, std::size_t) {
       Roll(
           lan, 1s, [&lan](std::size_t node) { lan.Leave(node); },
           [](std::size_t) { return StartOptions{.starting_for = 100ms}; });
     },
     31s},
    {"each in turn is killed and restarted",
     [](SimulatedLan& lan, std::size_t) {
       Roll(
           lan, 200ms, [&lan](std::size_t node) { lan.Kill(node); },
           [](std::size_t) { return StartOptions{}; });
     },
     23s, 1, true},
    {"key is rotated by restarts",
     [](SimulatedLan& lan, std::size_t) {
       const std::vector<std::vector<std::string>> steps = {
           {"secret", "new"}, {"new", "secret"}, {"new"}};
       for (std::size_t step = 0; step < steps.size(); ++step) {
         lan.After(static_cast<int>(step) * 24s, [&lan, secrets = steps[step]] {
           Roll(
               lan, 200ms, [&lan](std::size_t node) { lan.Leave(node); },
               [secrets](std::size_t) { return StartOptions{.secrets = secrets}; });
         });
       }
     },
     72s},
    {"restarts under a wrong key",
     [](SimulatedLan& lan, std::size_t victim) {
       lan.Kill(victim);
       lan.After(1s, [&lan, victim] { lan.Start(victim, {.secrets = {"another"}}); });
     },
     2s},
    {"restarts under a wrong key, then under the right one",
     [](SimulatedLan& lan, std::size_t victim) {
       lan.Kill(victim);
       lan.After(100ms, [&lan, victim] { lan.Start(victim, {.secrets = {"another"}}); });
       lan.After(3s, [&lan, victim] { lan.Kill(victim); });
       lan.After(4s, [&lan, victim] { lan.Start(victim); });
     },
     4s},
    {"paused for 50 ms", [](SimulatedLan& lan, std::size_t victim) { lan.Pause(victim, 50ms); },
     50ms},
    {"paused for 150 ms", [](SimulatedLan& lan, std::size_t victim) { lan.Pause(victim, 150ms); },
     150ms, 1, false, 1, true},
    {"paused for 250 ms", [](SimulatedLan& lan, std::size_t victim) { lan.Pause(victim, 250ms); },
     250ms, 1, true},
    {"paused for 350 ms", [](SimulatedLan& lan, std::size_t victim) { lan.Pause(victim, 350ms); },
     350ms, 1, true},
    {"paused for 450 ms", [](SimulatedLan& lan, std::size_t victim) { lan.Pause(victim, 450ms); },
     450ms, 1, true},
    {"paused for 1 s", [](SimulatedLan& lan, std::size_t victim) { lan.Pause(victim, 1s); }, 1s, 1,
     true},
    {"paused for 30 s", [](SimulatedLan& lan, std::size_t victim) { lan.Pause(victim, 30s); }, 30s,
     1, true},
    {"all paused for 2 s",
     [](SimulatedLan& lan, std::size_t) {
       for (std::size_t node = 0; node < lan.size(); ++node) {
         lan.Pause(node, 2s);
       }
     },
     2s, 1, true},
    {"half of them paused for 5 s",
     [](SimulatedLan& lan, std::size_t victim) {
       for (std::size_t i = 0; i < lan.size() / 2; ++i) {
         lan.Pause((victim + i) % lan.size(), 5s);
       }
     },
     5s, 1, true},
    {"suspended for 150 ms",
     [](SimulatedLan& lan, std::size_t victim) { lan.Suspend(victim, 150ms); }, 150ms, 1, false, 1,
     true},
    {"suspended for 350 ms",
     [](SimulatedLan& lan, std::size_t victim) { lan.Suspend(victim, 350ms); }, 350ms, 1, true},
    {"suspended for 1 s", [](SimulatedLan& lan, std::size_t victim) { lan.Suspend(victim, 1s); },
     1s, 1, true},
    {"suspended for 30 s", [](SimulatedLan& lan, std::size_t victim) { lan.Suspend(victim, 30s); },
     30s, 1, true},
    {"one way between two is cut",
     [](SimulatedLan& lan, std::size_t victim) { lan.SetLink(victim, After(lan, victim), false); }},
    {"both ways between two are cut",
     [](SimulatedLan& lan, std::size_t victim) {
       CutBothWays(lan, victim, After(lan, victim), false);
     }},
    {"the link between two flaps",
     [](SimulatedLan& lan, std::size_t victim) {
       Often(lan, 150ms, 10s, [&lan, victim, up = true]() mutable {
         CutBothWays(lan, victim, After(lan, victim), up = !up);
       });
       lan.After(10s, [&lan] { lan.Heal(); });
     },
     10s},
    {"a node's port flaps",
     [](SimulatedLan& lan, std::size_t victim) {
       Often(lan, 300ms, 10s, [&lan, victim, cut = false]() mutable {
         lan.Partition((cut = !cut) ? Alone(lan, victim) : Parts());
       });
       lan.After(10s, [&lan] { lan.Heal(); });
     },
     10s, 1, true},
    {"split in halves",
     [](SimulatedLan& lan, std::size_t) {
       lan.Partition({Range(0, lan.size() / 2), Range(lan.size() / 2, lan.size())});
     }},
    {"split in halves and healed",
     [](SimulatedLan& lan, std::size_t) {
       lan.Partition({Range(0, lan.size() / 2), Range(lan.size() / 2, lan.size())});
       lan.After(5s, [&lan] { lan.Heal(); });
     },
     5s, 1, true},
    {"one alone, and healed",
     [](SimulatedLan& lan, std::size_t victim) {
       lan.Partition(Alone(lan, victim));
       lan.After(5s, [&lan] { lan.Heal(); });
     },
     5s, 1, true},
    {"split in three, joined one by one",
     [](SimulatedLan& lan, std::size_t) {
       const std::size_t third = lan.size() / 3;
       lan.Partition({Range(0, third), Range(third, 2 * third), Range(2 * third, lan.size())});
       lan.After(3s, [&lan, third] {
         lan.Partition({Range(0, 2 * third), Range(2 * third, lan.size())});
       });
       lan.After(6s, [&lan] { lan.Heal(); });
     },
     6s, 1, true},
    // Whatever halves hear of each other goes by the bridge: where some of that is lost as well,
    // one that lives is given up now and then.
    {"split in halves with one bridge",
     [](SimulatedLan& lan, std::size_t) {
       lan.Partition({Range(1, lan.size() / 2 + 1), Range(lan.size() / 2 + 1, lan.size())});
     },
     0s, 1, true, 0},
    {"split in halves with one bridge, which crashes",
     [](SimulatedLan& lan, std::size_t) {
       lan.Partition({Range(1, lan.size() / 2 + 1), Range(lan.size() / 2 + 1, lan.size())});
       lan.After(2s, [&lan] { lan.Crash(0); });
     },
     2s, 1, true, 0},
    {"split and healed again and again",
     [](SimulatedLan& lan, std::size_t) {
       Often(lan, 700ms, 15s, [&lan, cut = false]() mutable {
         const std::size_t half = 1 + lan.random()() % (lan.size() - 1);
         lan.Partition((cut = !cut) ? Parts{Range(0, half), Range(half, lan.size())} : Parts());
       });
       lan.After(15s, [&lan] { lan.Heal(); });
     },
     15s, 1, true},
    {"proxy unhealthy, and well again",
     [](SimulatedLan& lan, std::size_t victim) {
       lan.SetYields(victim, speaker::kYieldProxyUnhealthy);
       lan.After(1s, [&lan, victim] { lan.SetYields(victim, speaker::kYieldsNothing); });
     },
     1s},
    {"all unhealthy",
     [](SimulatedLan& lan, std::size_t) {
       for (std::size_t node = 0; node < lan.size(); ++node) {
         lan.SetYields(node, speaker::kYieldProxyUnhealthy);
       }
     }},
    // Whom it cannot hear it gives up first; what it sends says so, and after as long again the
    // others give it up.
    {"hears nothing any more",
     [](SimulatedLan& lan, std::size_t victim) { lan.SetReceiving(victim, false); }, 0s, 2},
    {"hears nothing for 3 s",
     [](SimulatedLan& lan, std::size_t victim) {
       lan.SetReceiving(victim, false);
       lan.After(3s, [&lan] { lan.Heal(); });
     },
     3s, 2, true},
    {"is not heard any more",
     [](SimulatedLan& lan, std::size_t victim) { lan.SetSending(victim, false); }, 0s, 2},
    {"is not heard for 3 s",
     [](SimulatedLan& lan, std::size_t victim) {
       lan.SetSending(victim, false);
       lan.After(3s, [&lan] { lan.Heal(); });
     },
     3s, 2, true},
    {"key is replaced without restarts",
     [](SimulatedLan& lan, std::size_t) {
       for (std::size_t node = 0; node < lan.size(); ++node) {
         lan.After(lan.RandomSpan(5s), [&lan, node] { lan.SetSecrets(node, {"new", "secret"}); });
         lan.After(5s + lan.RandomSpan(5s), [&lan, node] { lan.SetSecrets(node, {"new"}); });
       }
     },
     10s},
    {"a new node is listed here sooner than there",
     [](SimulatedLan& lan, std::size_t victim) {
       lan.Crash(victim);
       std::set<std::size_t> others = Range(0, lan.size());
       others.erase(victim);
       for (const std::size_t node : others) {
         lan.SetListed(node, others);
       }
       lan.After(2s, [&lan, victim] { lan.Start(victim); });
       for (const std::size_t node : others) {
         lan.After(1s + lan.RandomSpan(3s),
                   [&lan, node] { lan.SetListed(node, Range(0, lan.size())); });
       }
     },
     4s},
};

}  // namespace

const std::vector<Scenario>& Scenarios() { return kScenarios; }

}  // namespace stentor::sim
