// SPDX-License-Identifier: Apache-2.0

/// \file
/// kubectl-stentor, which kubectl runs as `kubectl stentor`: what the cluster's load balancing is
/// doing, and why.

#include "cli/app/command_line.h"
#include "common/io/cpprest_transport.h"

int main(int argc, char** argv) {
  stentor::io::InitializeTransportThreads();
  return stentor::cli::RunCommandLine(argc, argv);
}
