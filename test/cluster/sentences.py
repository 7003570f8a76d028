# SPDX-License-Identifier: Apache-2.0
"""Sentences of the pages, proved on a real cluster: each test quotes what it proves. What those tests have in common.

The application runs on the second and the third node, and the election prefers the nodes in their order, for every address: so
`externalTrafficPolicy` decides whether the first or the second announces it.
"""
import concurrent.futures
import dataclasses
import json
import re

import election
from installation import REPOSITORY, ROLLOUT, Installation, web
from layer2 import advertisement
from processes import wait_for
from stentor import NAMESPACE
from story import pool, service

EMPTY, *WITH_PODS = NODES = ["node-1", "node-2", "node-3"]
EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"
PREFIX = {"IPv4": "192.168.122.", "IPv6": "2001:db8:122::"}
POLICIES = ("Cluster", "Local")


def preferring(nodes, family):
    """Addresses for which the election prefers the nodes in this order, the lowest first."""
    return (address for address in (f"{PREFIX[family]}{number}" for number in range(102, 255))
            if election.candidates(nodes, address) == nodes)


FREE = {family: preferring(NODES, family) for family in PREFIX}


@dataclasses.dataclass(frozen=True)
class Case:
    """A Service with an address, a pool and an L2Advertisement of its own, all of them with one name."""
    family: str
    policy: str
    name: str
    address: str

    @property
    def order(self):
        """The nodes that may announce it, the best first."""
        candidates = NODES if self.policy == "Cluster" else WITH_PODS
        return election.candidates(candidates, self.address)

    @property
    def index(self):
        return list(PREFIX).index(self.family)

    def pool(self):
        return pool(self.name, f"{self.address}/{(32, 128)[self.index]}")

    def service(self):
        body = service(self.name, annotations={"metallb.io/address-pool": self.name})
        body["spec"] |= {"ipFamilyPolicy": "SingleStack", "ipFamilies": [self.family],
                         "externalTrafficPolicy": self.policy}
        return body


def case_of(family, policy, name=""):
    return Case(family, policy, f"{name}{family}-{policy}".lower(), next(FREE[family]))


def every_case(name=""):
    """One for each family and policy."""
    return [case_of(family, policy, name) for family in PREFIX for policy in POLICIES]


def at_once(what, ones):
    """Does it to each, all at the same time; returns what each gave."""
    with concurrent.futures.ThreadPoolExecutor(max(1, len(ones))) as threads:
        return list(threads.map(what, ones))


class World:
    """The cluster with Stentor and an application, and what is asked of the addresses that are announced there."""

    def __init__(self, cluster):
        self.cluster, self.kubectl, self.installation = cluster, cluster.kubectl, Installation(cluster, "helm")

    def set_up(self, cases=()):
        self.installation.install()
        if cases:
            self.apply(*(one for case in cases for one in (case.pool(), advertisement(case.name, [case.name]))))
            self.apply(*(case.service() for case in cases))
        web(self.cluster, WITH_PODS)

    def apply(self, *manifests):
        self.cluster.apply("\n---\n".join(map(json.dumps, manifests)))

    def patch(self, kind, name, spec, namespace="default"):
        self.kubectl("patch", kind, name, "-n", namespace, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def mac(self, node):
        return self.cluster.nodes[node].mac

    def speakers(self, case):
        """The machines that answer for its address."""
        return {self.cluster.network.mac_owner(mac) for mac in self.cluster.poller.who_has(case.address)}

    def spoken_for_by(self, case, node, deadline=ROLLOUT):
        """It answers, and no other."""
        wait_for(lambda: self.speakers(case) == {node}, deadline,
                 lambda: f"{node} answers for {case.address}; these do: {self.speakers(case)}")

    def served(self, cases):
        """Each is announced by the node that the election prefers, and by no other, and has a page."""
        at_once(lambda case: self.spoken_for_by(case, case.order[0]), cases)
        assert all(at_once(self.page, cases))

    def answered_by(self, case, *macs):
        """Exactly these MACs answer, with time for others to answer as well."""
        wait_for(lambda: self.cluster.poller.all_who_have(case.address) == sorted(macs), ROLLOUT,
                 lambda: f"{macs} answer for {case.address}; these do: {self.cluster.poller.all_who_have(case.address)}")

    def silent(self, case):
        """Nobody answers, three times in a row: one answer may get lost."""
        wait_for(lambda: all(self.speakers(case) == set() for _ in range(3)), ROLLOUT,
                 lambda: f"nobody answers for {case.address}; these do: {self.speakers(case)}")

    def page(self, case, path="/hostname"):
        return wait_for(lambda: self.cluster.client.curl(case.address, path=path), ROLLOUT, f"a page from {case.address}")

    def told(self, name, reason, *words):
        """An event of the Service of this name has all of the words."""
        wait_for(lambda: any(all(word in event["message"] for word in words)
                             for event in self.cluster.events(name, reason)), ROLLOUT,
                 lambda: f"an event {reason} of {name}; there are {self.cluster.events(name)}")

    def has_address(self, case):
        wait_for(lambda: self.cluster.service_addresses(case.name) == [case.address], ROLLOUT,
                 f"{case.name} gets {case.address}")

    def exclude(self, *nodes):
        self.kubectl("label", "node", *nodes, f"{EXCLUDE}=")

    def include(self, *nodes):
        self.kubectl("label", "node", *nodes, f"{EXCLUDE}-")

    def logged(self, node, event, case):
        [pod] = self.installation.pods("speaker", node=node)
        lines = map(json.loads, self.kubectl("logs", pod["metadata"]["name"], "-n", NAMESPACE).splitlines())
        return [line for line in lines if line.get("event") == event and line.get("service") == f"default/{case.name}"]

    def handed_over(self, case):
        """What the node that the election prefers has logged of that."""
        return self.logged(case.order[0], "addressHandedOver", case)


def the_pages_say_so(test):
    """The docstring of a test has the name of the page and the sentence, word by word."""
    quotes = re.findall(r"(\w+\.md): (.*?)(?=\n\n|\n\w+\.md: |$)", re.sub(r"\n +", "\n", test.__doc__), re.DOTALL)
    assert quotes
    for page, sentence in quotes:
        assert " ".join(sentence.split()) in " ".join((REPOSITORY / "docs" / page).read_text().split()), sentence
