// SPDX-License-Identifier: Apache-2.0
#include "cli/app/completion.h"

#include <iostream>

#include "cli/report/complete.h"

namespace stentor::cli {
namespace {

constexpr const char* kBash = R"(# bash completion for kubectl-stentor
_kubectl_stentor() {
  local IFS=$'\n' lines
  lines=($(kubectl-stentor __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)) || return
  local last=$((${#lines[@]} - 1))
  COMPREPLY=("${lines[@]:0:last}")
  if [ "${lines[last]}" = ":0" ]; then
    COMPREPLY+=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
  fi
}
complete -F _kubectl_stentor kubectl-stentor
)";

constexpr const char* kZsh = R"(#compdef kubectl-stentor
# zsh completion for kubectl-stentor
_kubectl_stentor() {
  local -a lines
  lines=("${(@f)$(kubectl-stentor __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -- "${(@)lines[1,-2]}"
  [[ "${lines[-1]}" == ":0" ]] && _files
  return 0
}
compdef _kubectl_stentor kubectl-stentor
)";

}  // namespace

int RunCompletion(const Options& options) {
  std::cout << (options.subject == "bash" ? kBash : kZsh);
  return kExitGood;
}

int PrintCompletions(const std::vector<std::string>& words) {
  const Completions completions = Complete(words);
  for (const std::string& word : completions.words) {
    std::cout << word << '\n';
  }
  std::cout << (completions.files ? ":0\n" : ":4\n");
  return kExitGood;
}

}  // namespace stentor::cli
