// SPDX-License-Identifier: Apache-2.0
#include "cli/app/command_line.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "cli/app/commands.h"
#include "cli/app/completion.h"
#include "cli/app/options.h"

namespace stentor::cli {
namespace {

constexpr const char* kExitStatuses =
    "Exit status: 0 all is well; 1 the answer is bad news; 2 flags or files that cannot be used, "
    "or\n"
    "output that cannot be written; 3 the API server cannot be reached, or refuses what the "
    "answer\n"
    "depends on.";

void AddFormat(CLI::App& command, Options& options) {
  command
      .add_option_function<std::string>(
          "-o,--output",
          [&options](const std::string& name) {
            options.format = name == "json" ? Format::kJson : Format::kYaml;
          },
          "Print json or yaml, for programs")
      ->check(CLI::IsMember({"json", "yaml"}));
}

void AddStentorNamespace(CLI::App& command, Options& options) {
  command
      .add_option("--stentor-namespace", options.cluster.name_space,
                  "Namespace that Stentor and its pools are in")
      ->envname("METALLB_NAMESPACE")
      ->capture_default_str();
}

void AddCluster(CLI::App& command, Options& options) {
  ClusterOptions& cluster = options.cluster;
  command.add_option("--kubeconfig", cluster.kubeconfig,
                     "Kubeconfig file; default: KUBECONFIG, ~/.kube/config, the pod's account");
  command.add_option("--context", cluster.context, "Context of the kubeconfig");
  command.add_option("-s,--server", cluster.server,
                     "API server to ask without credentials, such as `kubectl proxy` offers");
  command.add_option("-n,--namespace", cluster.service_namespace,
                     "Namespace of the Service; default: the context's");
  AddStentorNamespace(command, options);
  command.add_option("--request-timeout", cluster.timeout_seconds, "Seconds for each request")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  AddFormat(command, options);
}

CLI::App* AddCommand(CLI::App& app, const std::string& name, const std::string& description) {
  CLI::App* const command = app.add_subcommand(name, description);
  command->footer(kExitStatuses);
  return command;
}

using Run = std::function<int(const Options&)>;

void AddFiles(CLI::App& command, Options& options) {
  command
      .add_option("-f,--filename", options.files, "Files with YAML or JSON; - for standard input")
      ->required();
  AddStentorNamespace(command, options);
}

void AddWhatIf(CLI::App& app, Options& options, Run& run) {
  CLI::App* const what_if = AddCommand(
      app, "what-if", "Which addresses would move if a node went, or files (-f) were applied");
  what_if->require_subcommand(0, 1);
  what_if->add_option("-f,--filename", options.files,
                      "Files with YAML or JSON to be applied; - for standard input");
  AddCluster(*what_if, options);
  CLI::App* const node =
      AddCommand(*what_if, "node", "Which addresses would move, and where to, if a node went");
  node->add_option("name", options.subject, "Name of the node")->required();
  node->add_option("gone", options.event, "What happens to it: gone")
      ->required()
      ->check(CLI::IsMember({"gone"}));
  AddCluster(*node, options);
  what_if->callback([&options, &run, what_if, node] {
    if (node->parsed() == options.files.empty()) {
      run = node->parsed() ? RunWhatIfNode : RunWhatIfFiles;
      return;
    }
    throw CLI::RequiredError("either `node NAME gone` or -f FILE");
  });
}

void AddCommands(CLI::App& app, Options& options, Run& run) {
  const auto runs = [&run](CLI::App* command, int (*function)(const Options&)) {
    command->callback([&run, function] { run = function; });
  };
  CLI::App* const status = AddCommand(
      app, "status", "Pools, Services and who announces them, programs, what needs attention");
  AddCluster(*status, options);
  status->add_flag("-w,--watch", options.watch,
                   "Ask again every 2 s (in a large cluster more seldom), and print what changed");
  runs(status, RunStatus);

  CLI::App* const explain = app.add_subcommand("explain", "Why something is as it is");
  explain->require_subcommand(1);
  CLI::App* const service = AddCommand(
      *explain, "service", "Why a Service has its address, or none, and who announces it");
  service->add_option("name", options.subject, "NAME or NAMESPACE/NAME")->required();
  AddCluster(*service, options);
  runs(service, RunExplain);

  CLI::App* const why = AddCommand(
      app, "why", "Why an address does not answer: the first thing that is wrong, and its remedy");
  why->add_option("subject", options.subject, "An address, or a Service as NAME or NAMESPACE/NAME")
      ->required();
  AddCluster(*why, options);
  runs(why, RunWhy);

  AddWhatIf(app, options, run);

  CLI::App* const validate =
      AddCommand(app, "validate", "What webhooks and controller would say to objects in files");
  AddFiles(*validate, options);
  AddFormat(*validate, options);
  runs(validate, RunValidate);

  CLI::App* const convert =
      AddCommand(app, "convert",
                 "MetalLB's ConfigMap and AddressPool, and OpenELB's Eip, as IPAddressPool and "
                 "L2Advertisement");
  AddFiles(*convert, options);
  AddFormat(*convert, options);
  runs(convert, RunConvert);

  CLI::App* const completion =
      AddCommand(app, "completion", "A script that completes commands in a shell");
  completion->add_option("shell", options.subject, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  runs(completion, RunCompletion);
}

}  // namespace

int RunCommandLine(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "__complete") {
    return PrintCompletions(std::vector<std::string>(argv + 2, argv + argc));
  }
  Options options;
  Run run;
  CLI::App app("What Stentor does in a cluster, and why.", "kubectl-stentor");
  app.set_version_flag("--version", "kubectl-stentor " STENTOR_VERSION);
  app.require_subcommand(1);
  AddCommands(app, options, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {
      return app.exit(error);
    }
    if (argc > 1 && argv[1][0] != '-' && app.get_subcommands().empty()) {
      std::cerr << "kubectl-stentor: unknown command " << argv[1] << "; --help lists all\n";
    } else {
      std::cerr << "kubectl-stentor: " << error.what() << "; --help says more\n";
    }
    return kExitUsage;
  }
  const int status = run(options);
  // What Print() has told of already, and what else was printed.
  if (status == kExitGood && !std::cout.flush()) {
    std::cerr << "kubectl-stentor: cannot write to standard output\n";
    return kExitUsage;
  }
  return status;
}

}  // namespace stentor::cli
