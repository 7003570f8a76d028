#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Refuses pure rooms that reach for the outside world (docs/architecture.md, "Pure core").

CMake refuses a pure library that links more than it may; this refuses what needs no library:
sockets, clocks, threads, files, the environment, randomness, and includes across rooms.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# A room may include itself and those on the right; docs/architecture.md draws the same.
BASE = ["common/base"]
NET = BASE + ["common/net"]
MODEL = NET + ["common/model"]
PURE = {
    "common/base": BASE,
    "common/net": NET,
    "common/crypto": BASE + ["common/crypto"],
    "common/obs": BASE + ["common/obs"],
    "common/model": MODEL,
    "common/config": MODEL + ["common/config"],
    "common/kube": MODEL + ["common/kube"],
    "common/status": MODEL + ["common/config", "common/kube", "common/status"],
    "controller/allocator": MODEL + ["common/config", "controller/allocator"],
    "controller/reconcile": MODEL + ["common/config", "common/kube", "controller/allocator",
                             "controller/reconcile"],
    "controller/webhook": MODEL + ["common/config", "common/kube", "controller/allocator",
                                   "controller/reconcile", "controller/webhook"],
    "controller/leader": MODEL + ["common/kube", "controller/leader"],
    "controller/status": MODEL + ["common/kube", "common/status", "controller/status"],
    "controller/certs": MODEL + ["common/crypto", "common/kube", "controller/certs"],
    "speaker/claims": NET + ["common/crypto", "speaker/claims"],
    "speaker/election": MODEL + ["common/config", "common/crypto", "speaker/claims",
                                 "speaker/election"],
    "speaker/announce": NET + ["speaker/announce"],
    "speaker/reconcile": MODEL + ["common/config", "common/crypto", "common/kube",
                                  "speaker/announce", "speaker/claims", "speaker/election",
                                  "speaker/reconcile"],
    "speaker/membership": NET + ["common/crypto", "speaker/claims", "speaker/membership"],
    "speaker/node": MODEL + ["common/config", "speaker/announce", "speaker/node"],
    "speaker/status": MODEL + ["common/kube", "common/status", "speaker/status"],
    "speaker/state": MODEL + ["common/crypto", "common/kube", "speaker/state"],
    "cli/facts": MODEL + ["common/config", "common/kube", "common/status", "cli/facts"],
    "cli/report": MODEL + ["common/config", "common/crypto", "common/kube", "common/status", "controller/allocator",
                           "controller/reconcile", "speaker/election", "speaker/status", "cli/facts", "cli/report"],
}

FORBIDDEN_INCLUDES = re.compile(
    r"^(sys/(?!types)|net/|netinet/|arpa/|linux/|poll\.h|pcap|boost/|cpprest/|pplx/|spdlog/|thread|mutex|"
    r"condition_variable|future|atomic|fstream|filesystem|iostream|cstdio|random|ctime|time\.h)")
FORBIDDEN_WORDS = re.compile(
    r"(_clock::now|\bgetenv\b|\bsecure_getenv\b|\bsleep_for\b|\busleep\b|\brandom_device\b|"
    r"\bRAND_bytes\b|\bstd::(thread|mutex|cout|cerr)\b|\bgettimeofday\b|\bclock_gettime\b)")
# What a room may do although the lists above forbid it, with the reason.
ALLOWED = {
    ("common/base/check.cc", "cstdio"): "a broken invariant is printed before the abort",
}


def allowed(path, what):
    return any(path == p and what.startswith(w) for p, w in ALLOWED)


def problems_of(path, room, may_include):
    name = str(path.relative_to(ROOT))
    for number, line in enumerate(path.read_text().splitlines(), 1):
        code = line.split("//")[0]
        include = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', code)
        if include:
            what = include.group(1)
            if FORBIDDEN_INCLUDES.match(what) and not allowed(name, what):
                yield f"{name}:{number}: a pure room must not include <{what}>"
            if what.startswith(("common/", "controller/", "speaker/", "cli/")):
                if not any(what.startswith(r + "/") for r in may_include):
                    yield f"{name}:{number}: {room} must not know {what}"
        elif FORBIDDEN_WORDS.search(code):
            yield f"{name}:{number}: a pure room must not use {FORBIDDEN_WORDS.search(code).group(0)}"


def shell_problems(path):
    """controller/ and speaker/ never include each other, cli/ may include both; nobody includes app/."""
    name = str(path.relative_to(ROOT))
    side = name.split("/")[0]
    other = {"controller": ("speaker/", "cli/"), "speaker": ("controller/", "cli/"),
             "common": ("controller/", "speaker/", "cli/"), "cli": ()}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        include = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if not include:
            continue
        what = include.group(1)
        if what.startswith(other[side]):
            yield f"{name}:{number}: {side}/ must not include {what}"
        if "/app/" in what and "/app/" not in name:
            yield f"{name}:{number}: nobody includes app/ ({what})"


def main():
    problems = []
    seen = 0
    for side in ("common", "controller", "speaker", "cli"):
        for path in sorted((ROOT / side).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            room = str(path.parent.relative_to(ROOT))
            seen += 1
            if room in PURE:
                problems += problems_of(path, room, PURE[room])
            problems += shell_problems(path)
    if seen == 0:
        problems.append("no source file found")
    print("\n".join(problems) or f"{seen} files are pure where they must be")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
