# SPDX-License-Identifier: Apache-2.0
"""What the API was asked by Stentor's accounts, beside what they are allowed to ask: both as sets of
(account, "group/resource", verb)."""
import json

from stentor import NAMESPACE


def _entry(account, group, resource, verb):
    return account, f"{group}/{resource}" if group else resource, verb


def asked(audit_log, offset=0):
    """Every audited request as (entry, HTTP status, where), from a place in the log on; a watch is there once it has
    ended."""
    found = []
    for line in audit_log.read_text()[offset:].splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue  # the last line, still being written
        if not event["user"]["username"].startswith(f"system:serviceaccount:{NAMESPACE}:"):
            continue
        about = event.get("objectRef")
        if not about:
            continue
        resource = about["resource"] + (f"/{about['subresource']}" if "subresource" in about else "")
        entry = _entry(event["user"]["username"].rsplit(":", 1)[-1], about.get("apiGroup", ""), resource, event["verb"])
        found.append((entry, event.get("responseStatus", {}).get("code"), event["requestURI"]))
    return found


def granted(cluster, accounts):
    """Everything that roles bound to these accounts allow."""
    found = set()
    bindings = [("clusterrole", item) for item in cluster.get("clusterrolebindings")["items"]]
    bindings += [("role", item) for item in cluster.get("rolebindings", "-n", NAMESPACE)["items"]]
    for kind, binding in bindings:
        bound = {subject["name"] for subject in binding.get("subjects", [])
                 if subject["kind"] == "ServiceAccount" and subject.get("namespace") == NAMESPACE} & set(accounts)
        if not bound:
            continue
        where = ["-n", NAMESPACE] if binding["roleRef"]["kind"] == "Role" else []
        for rule in cluster.get(binding["roleRef"]["kind"].lower(), binding["roleRef"]["name"], *where)["rules"]:
            for account in bound:
                for group in rule.get("apiGroups", [""]):
                    found |= {_entry(account, group, resource, verb)
                              for resource in rule.get("resources", []) for verb in rule["verbs"]}
    return found
