# SPDX-License-Identifier: Apache-2.0
"""What the definitions in crds/ accept, fill in and refuse: the rows of test_crds.py."""

SELECTORS = [{"matchLabels": {"zone": "a"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["x"]}]}]
POOL_0_13 = {"addresses": ["192.0.2.0/28"], "protocol": "bgp", "autoAssign": False, "bgpAdvertisements": [
    {"aggregationLength": 24, "aggregationLengthV6": 64, "localPref": 100, "communities": ["64512:1"]}]}
OLD_PEER = {"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1", "sourceAddress": "192.0.2.9",
            "peerPort": 1179, "holdTime": "90s", "keepaliveTime": "30s", "routerID": "192.0.2.9", "password": "word",
            "nodeSelectors": SELECTORS, "bfdProfile": "fast", "ebgpMultiHop": True}
CONDITION = {"type": "poolReconcilerValid", "status": "False", "reason": "ConfigurationError", "message": "bad",
             "lastTransitionTime": "2026-01-02T03:04:05Z", "observedGeneration": 1}
# Every field of every version has a value here: test_the_full_objects_are_full.
FULL = {
    ("AddressPool", "v1alpha1"): POOL_0_13,
    ("AddressPool", "v1beta1"): POOL_0_13,
    ("BFDProfile", "v1beta1"): {"receiveInterval": 300, "transmitInterval": 200, "detectMultiplier": 3,
                                "echoInterval": 50, "echoMode": True, "passiveMode": True, "minimumTtl": 254},
    ("BGPAdvertisement", "v1beta1"): {
        "aggregationLength": 32, "aggregationLengthV6": 128, "localPref": 100, "communities": ["64512:1", "mine"],
        "ipAddressPools": ["one"], "ipAddressPoolSelectors": SELECTORS, "nodeSelectors": SELECTORS,
        "peers": ["router"], "serviceSelectors": SELECTORS},
    ("BGPPeer", "v1beta1"): OLD_PEER,
    ("BGPPeer", "v1beta2"): OLD_PEER | {
        "localASN": 64514, "dynamicASN": "external", "interface": "eth0", "connectTime": "10s", "vrf": "red",
        "passwordSecret": {"name": "bgp", "namespace": "default"}, "enableGracefulRestart": True, "disableMP": True,
        "dualStackAddressFamily": True},
    ("Community", "v1beta1"): {"communities": [{"name": "mine", "value": "large:64512:1:2"}]},
    ("ConfigurationState", "v1beta1"): None,
    ("IPAddressPool", "v1beta1"): {
        "addresses": ["192.0.2.0/28", "2001:db8::1-2001:db8::9"], "autoAssign": False, "avoidBuggyIPs": True,
        "serviceAllocation": {"priority": 10, "namespaces": ["a"], "namespaceSelectors": SELECTORS,
                              "serviceSelectors": SELECTORS}},
    ("L2Advertisement", "v1beta1"): {
        "ipAddressPools": ["one"], "ipAddressPoolSelectors": SELECTORS, "nodeSelectors": SELECTORS,
        "interfaces": ["eth0"], "serviceSelectors": SELECTORS,
        "preferredNodeSelectors": [{"weight": 100, "preference": SELECTORS[0]}]},
    ("ServiceBGPStatus", "v1beta1"): {},
    ("ServiceL2Status", "v1beta1"): {},
}
SERVED = {"node": "node-1", "serviceName": "web", "serviceNamespace": "shop"}
STATUS = {
    "ConfigurationState": {"result": "Invalid", "errorSummary": "bad", "conditions": [CONDITION]},
    "IPAddressPool": {"assignedIPv4": 1, "assignedIPv6": 2, "availableIPv4": 3, "availableIPv6": 9223372036854775807},
    "ServiceBGPStatus": SERVED | {"peers": ["router"]},
    "ServiceL2Status": SERVED | {"interfaces": [{"name": "eth0"}]},
}
# (kind, version): (the least that is accepted, what it becomes by the defaults)
POOL_DEFAULTS = {"addresses": ["192.0.2.0/28"], "protocol": "layer2"}
PEER_DEFAULTS = {"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1"}
MINIMAL = {
    ("AddressPool", "v1alpha1"): (POOL_DEFAULTS, POOL_DEFAULTS | {"autoAssign": True}),
    ("AddressPool", "v1beta1"): (POOL_DEFAULTS | {"bgpAdvertisements": [{}]}, POOL_DEFAULTS | {
        "autoAssign": True, "bgpAdvertisements": [{"aggregationLength": 32, "aggregationLengthV6": 128}]}),
    ("BFDProfile", "v1beta1"): (None, None),
    ("BGPAdvertisement", "v1beta1"): ({}, {"aggregationLength": 32, "aggregationLengthV6": 128}),
    # What is stored gets the defaults of the version that is stored.
    ("BGPPeer", "v1beta1"): (PEER_DEFAULTS, PEER_DEFAULTS | {"peerPort": 179}),
    ("BGPPeer", "v1beta2"): (PEER_DEFAULTS, PEER_DEFAULTS | {"peerPort": 179, "disableMP": False,
                                                             "dualStackAddressFamily": False}),
    ("Community", "v1beta1"): (None, None),
    ("ConfigurationState", "v1beta1"): (None, None),
    ("IPAddressPool", "v1beta1"): ({"addresses": ["192.0.2.0/28"]}, {
        "addresses": ["192.0.2.0/28"], "autoAssign": True, "avoidBuggyIPs": False}),
    ("L2Advertisement", "v1beta1"): (None, None),
    ("ServiceBGPStatus", "v1beta1"): (None, None),
    ("ServiceL2Status", "v1beta1"): (None, None),
}


ACCEPTED = {
    "no spec: BGPAdvertisement": ("BGPAdvertisement", "v1beta1", None),
    "no spec: BGPPeer v1beta1": ("BGPPeer", "v1beta1", None),
    "no spec: BGPPeer v1beta2": ("BGPPeer", "v1beta2", None),
    "empty spec: L2Advertisement": ("L2Advertisement", "v1beta1", {}),
    "Exists without values": ("L2Advertisement", "v1beta1", {"nodeSelectors": [
        {"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}),
    "an empty selector": ("L2Advertisement", "v1beta1", {"nodeSelectors": [{}]}),
    "no selectors and aggregation": ("BGPAdvertisement", "v1beta1", {"serviceSelectors": [], "aggregationLength": 24}),
    "aggregation alone": ("BGPAdvertisement", "v1beta1", {"aggregationLength": 24, "aggregationLengthV6": 64}),
    "selectors and the default lengths": ("BGPAdvertisement", "v1beta1", {
        "serviceSelectors": [{}], "aggregationLength": 32, "aggregationLengthV6": 128}),
    "connect time in minutes": ("BGPPeer", "v1beta2", PEER_DEFAULTS | {"connectTime": "1m30s"}),
    "the shortest connect time": ("BGPPeer", "v1beta2", PEER_DEFAULTS | {"connectTime": "1s"}),
    "the longest connect time": ("BGPPeer", "v1beta2", PEER_DEFAULTS | {"connectTime": "65535s"}),
    "an internal router": ("BGPPeer", "v1beta2", {"myASN": 1, "dynamicASN": "internal", "interface": "eth0"}),
    "negative priority": ("IPAddressPool", "v1beta1", {
        "addresses": ["192.0.2.0/28"], "serviceAllocation": {"priority": -1}}),
    "an empty serviceAllocation": ("IPAddressPool", "v1beta1", {
        "addresses": ["192.0.2.0/28"], "serviceAllocation": {}}),
    "addresses that overlap": ("IPAddressPool", "v1beta1", {"addresses": ["192.0.2.0/28", "192.0.2.0/24"]}),
    "NotIn and an empty value": ("L2Advertisement", "v1beta1", {"nodeSelectors": [
        {"matchExpressions": [{"key": "example.org/a_B.c", "operator": "NotIn", "values": ["", "a-b_c.D"]}]}]}),
    "DoesNotExist and no values": ("L2Advertisement", "v1beta1", {"serviceSelectors": [
        {"matchExpressions": [{"key": "a", "operator": "DoesNotExist", "values": []}]}]}),
    "the longest key and value": ("L2Advertisement", "v1beta1", {"nodeSelectors": [
        {"matchExpressions": [{"key": "a" * 253 + "/" + "b" * 63, "operator": "In", "values": ["c" * 63]}]}]}),
    "an empty label": ("L2Advertisement", "v1beta1", {"nodeSelectors": [{"matchLabels": {"a": ""}}]}),
    "pools twice": ("L2Advertisement", "v1beta1", {"ipAddressPools": ["a", "a"]}),
    "an interface with points": ("L2Advertisement", "v1beta1", {"interfaces": ["eth0.100", "eth0.100"]}),
    "the longest aggregations": ("BGPAdvertisement", "v1beta1", {"aggregationLength": 32, "aggregationLengthV6": 128}),
    "communities and aliases": ("BGPAdvertisement", "v1beta1", {
        "communities": ["1:2", "large:1:2:3", "mine", "an:alias", "1:70000", "", "a:b:c:d"]}),
    "128 long communities": ("BGPAdvertisement", "v1beta1", {"communities": [f"{i:0253}" for i in range(128)]}),
    "the highest communities": ("Community", "v1beta1", {"communities": [
        {"name": "a", "value": "65535:65535"}, {"name": "b", "value": "large:4294967295:4294967295:4294967295"},
        {"name": "c", "value": "0:0"}, {"name": "d", "value": "00001:065535"},
        {"name": "d", "value": "large:0:0:00"}]}),
    "a community without a name": ("Community", "v1beta1", {"communities": [{"value": "1:2"}]}),
    **{f"BGPPeer: {name}": ("BGPPeer", "v1beta2", PEER_DEFAULTS | more) for name, more in {
        "IPv6": {"peerAddress": "2001:db8::1", "sourceAddress": "2001:DB8:0:0::2", "routerID": "::1"},
        "mapped": {"peerAddress": "::ffff:192.0.2.1"},
        "no peer AS but dynamic": {"peerASN": 0, "dynamicASN": "external"},
        "empty texts": {"interface": "", "sourceAddress": "", "routerID": "", "password": "", "vrf": ""},
        "interface and no address": {"peerAddress": "", "interface": "eth0"},
        "iBGP": {"peerASN": 64512}, "several hops": {"ebgpMultiHop": True}, "iBGP, one hop": {
            "peerASN": 64512, "ebgpMultiHop": False},
        "password": {"password": "word", "passwordSecret": {"namespace": "default"}},
        "secret": {"password": "", "passwordSecret": {"name": "bgp"}},
        "no hold time": {"holdTime": "0s"}, "hold time below a second": {"holdTime": "900ms"},
        "shortest hold time": {"holdTime": "3s", "keepaliveTime": "3s"}, "keepalive alone": {"keepaliveTime": "1s"},
        "short keepalive alone": {"keepaliveTime": "300ms"}, "both zero": {"holdTime": "0s", "keepaliveTime": "0s"},
        "unchecked, as MetalLB has it": {"disableMP": True, "myASN": 0, "peerAddress": "router", "holdTime": "1s"},
    }.items()},
    "BGPPeer v1beta1: IPv6": ("BGPPeer", "v1beta1", PEER_DEFAULTS | {"peerAddress": "2001:db8::1"}),
}


ASN = 4294967295
BOUNDS = [  # kind, version, field of spec, lowest and highest value
    ("BFDProfile", "v1beta1", "receiveInterval", 10, 60000),
    ("BFDProfile", "v1beta1", "transmitInterval", 10, 60000),
    ("BFDProfile", "v1beta1", "echoInterval", 10, 60000),
    ("BFDProfile", "v1beta1", "detectMultiplier", 2, 255),
    ("BFDProfile", "v1beta1", "minimumTtl", 1, 254),
    ("BGPAdvertisement", "v1beta1", "aggregationLength", 1, None),
    ("BGPAdvertisement", "v1beta1", "localPref", 0, ASN),
    ("BGPPeer", "v1beta1", "myASN", 0, ASN),
    ("BGPPeer", "v1beta1", "peerASN", 0, ASN),
    ("BGPPeer", "v1beta1", "peerPort", 0, 16384),
    ("BGPPeer", "v1beta2", "myASN", 0, ASN),
    ("BGPPeer", "v1beta2", "peerASN", 0, ASN),
    ("BGPPeer", "v1beta2", "localASN", 1, ASN),
    ("BGPPeer", "v1beta2", "peerPort", 1, 16384),
    ("AddressPool", "v1alpha1", "bgpAdvertisements.aggregationLength", 1, None),
    ("AddressPool", "v1beta1", "bgpAdvertisements.aggregationLength", 1, None),
    ("AddressPool", "v1beta1", "bgpAdvertisements.localPref", 0, ASN),
    ("L2Advertisement", "v1beta1", "preferredNodeSelectors.weight", 1, 100),
]


REFUSED = {
    # name: kind, version, field, value, a word of the message
    "an empty list of addresses": ("IPAddressPool", "v1beta1", "addresses", [], "pool has no prefixes defined"),
    "an empty list of addresses, older": ("AddressPool", "v1beta1", "addresses", [], "pool has no prefixes defined"),
    "no CIDR, older": ("AddressPool", "v1alpha1", "addresses", ["192.0.2.0/33"], "spec.addresses[0]: Invalid value"),
    "the second address": ("IPAddressPool", "v1beta1", "addresses", ["192.0.2.0/28", "x"], "spec.addresses[1]: Inv"),
    "an address that is long": ("IPAddressPool", "v1beta1", "addresses", ["1" * 129], "Too long"),
    "1025 addresses": ("IPAddressPool", "v1beta1", "addresses", ["192.0.2.0/28"] * 1025,
                       "must have at most 1024 items"),
    "an operator that there is not": ("L2Advertisement", "v1beta1", "nodeSelectors", [
        {"matchExpressions": [{"key": "a", "operator": "Is"}]}], "is not a valid label selector operator"),
    "In without values": ("L2Advertisement", "v1beta1", "nodeSelectors", [
        {"matchExpressions": [{"key": "a", "operator": "In"}]}],
        "for 'in', 'notin' operators, values set can't be empty"),
    "NotIn with an empty list": ("BGPAdvertisement", "v1beta1", "serviceSelectors", [
        {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": []}]}], "values set can't be empty"),
    "Exists with values": ("BGPPeer", "v1beta2", "nodeSelectors", [
        {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]}],
        "values set must be empty for exists and does not exist"),
    "DoesNotExist with values, older": ("BGPPeer", "v1beta1", "nodeSelectors", [
        {"matchExpressions": [{"key": "a", "operator": "DoesNotExist", "values": ["b"]}]}], "values set must be empty"),
    "a namespace selector of a pool": ("IPAddressPool", "v1beta1", "serviceAllocation", {"namespaceSelectors": [
        {"matchExpressions": [{"key": "a", "operator": "In"}]}]}, "values set can't be empty"),
    "a preference": ("L2Advertisement", "v1beta1", "preferredNodeSelectors", [
        {"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "In"}]}}],
        "values set can't be empty"),
    **{f"a key: {key}": ("L2Advertisement", "v1beta1", "nodeSelectors", [
        {"matchExpressions": [{"key": key, "operator": "Exists"}]}], "matchExpressions[0].key")
       for key in ("", "a b", "-a", "a/", "/a", "A.example.org/a", "a..b/c", "a/b/c", "a" * 64)},
    **{f"a value: {value}": ("L2Advertisement", "v1beta1", "nodeSelectors", [
        {"matchExpressions": [{"key": "a", "operator": "In", "values": [value]}]}], "matchExpressions[0].values[0]")
       for value in ("a b", "-a", "a.", "a" * 64)},
    "a label": ("L2Advertisement", "v1beta1", "nodeSelectors", [{"matchLabels": {"a": "b c"}}], "matchLabels"),
    "too long an aggregation": ("BGPAdvertisement", "v1beta1", "aggregationLength", 33,
                                "invalid aggregation length for IPv4"),
    "too long an aggregation v6": ("BGPAdvertisement", "v1beta1", "aggregationLengthV6", 129,
                                   "invalid aggregation length for IPv6"),
    "communities twice": ("BGPAdvertisement", "v1beta1", "communities", ["1:2", "1:3", "1:2"],
                          "duplicate definition of community"),
    **{f"a community: {value}": ("Community", "v1beta1", "communities", [{"name": "a", "value": value}], word)
       for value, word in {
           "65536:1": "invalid community value", "1:65536": "invalid community value",
           "1:99999": "invalid community value",
           "1:": "invalid community value", "a:1": "invalid community value", "-1:1": "invalid community value",
           "large:1:2:4294967296": "invalid community value", "small:1:2:3": "invalid community value",
           "large:1:2:": "invalid community value", "blackhole": "invalid community format",
           "": "invalid community format", "1:2:3": "invalid community format",
           "large:1:2:3:4": "invalid community format"}.items()},
    **{f"BGPPeer: {name}": ("BGPPeer", "v1beta2", "", PEER_DEFAULTS | more, word) for name, (more, word) in {
        "no AS": ({"myASN": 0}, "missing local ASN"), "no peer AS": ({"peerASN": 0}, "missing peer ASN and dynamicASN"),
        "two peer AS": ({"dynamicASN": "internal"}, "both peer ASN and dynamicASN specified"),
        "iBGP over several hops": ({"peerASN": 64512, "ebgpMultiHop": True},
                                   "invalid ebgp-multihop parameter set for an ibgp peer"),
        "no address": ({"peerAddress": ""}, "peer has no Address or Interface specified"),
        "address and interface": ({"interface": "eth0"}, "peer has both Address and Interface specified"),
        "a name": ({"peerAddress": "router.example"}, "invalid BGPPeer address"),
        "seven groups": ({"peerAddress": "1:2:3:4:5:6:7"}, "invalid BGPPeer address"),
        "a zone": ({"peerAddress": "fe80::1%eth0"}, "invalid BGPPeer address"),
        "a prefix": ({"sourceAddress": "192.0.2.1/24"}, "invalid source IP"),
        "a number": ({"routerID": "7"}, "invalid router ID"),
        "password and secret": ({"password": "a", "passwordSecret": {"name": "b"}},
                                "can not have both password and secret ref set in peer config"),
        "password of two lines": ({"password": "a\nb"}, "password for peer contains invalid characters"),
        "VRF of two lines": ({"vrf": "a\rb"}, "VRF name for peer contains invalid characters"),
        "interface of two lines": ({"peerAddress": "", "interface": "a\nb"},
                                   "interface for peer contains invalid characters"),
        "short hold time": ({"holdTime": "2999ms"}, "invalid hold time: must be 0 or >=3s"),
        "negative hold time": ({"holdTime": "-90s"}, "invalid hold time: must be 0 or >=3s"),
        "hold time that follows": ({"keepaliveTime": "700ms"}, "invalid hold time: must be 0 or >=3s"),
        "long keepalive": ({"holdTime": "9s", "keepaliveTime": "10s"},
                           "invalid keepaliveTime, must be lower than holdTime"),
        "a hold time that is none": ({"holdTime": "soon"}, "spec"),
    }.items()},
    **{f"BGPPeer v1beta1: {name}": ("BGPPeer", "v1beta1", "", PEER_DEFAULTS | more, word) for name, (more, word) in {
        "no AS": ({"myASN": 0}, "missing local ASN"), "no peer AS": ({"peerASN": 0}, "missing peer ASN"),
        "no address": ({"peerAddress": ""}, "peer has no Address or Interface specified"),
        "a name": ({"peerAddress": "router"}, "invalid BGPPeer address"),
        "short hold time": ({"holdTime": "2s"}, "invalid hold time: must be 0 or >=3s"),
        "iBGP over several hops": ({"peerASN": 64512, "ebgpMultiHop": True}, "invalid ebgp-multihop"),
    }.items()},
    "pool without addresses": ("IPAddressPool", "v1beta1", "addresses", None, "spec.addresses: Required"),
    "addresses that are no list": ("IPAddressPool", "v1beta1", "addresses", "192.0.2.0/28", "must be of type array"),
    "old pool without addresses": ("AddressPool", "v1beta1", "addresses", None, "spec.addresses: Required"),
    "old pool without protocol": ("AddressPool", "v1beta1", "protocol", None, "spec.protocol: Required"),
    "older pool without protocol": ("AddressPool", "v1alpha1", "protocol", None, "spec.protocol: Required"),
    "an unknown protocol": ("AddressPool", "v1beta1", "protocol", "ospf", '"layer2", "bgp"'),
    "an unknown protocol, older": ("AddressPool", "v1alpha1", "protocol", "ospf", '"layer2", "bgp"'),
    "no weight": ("L2Advertisement", "v1beta1", "preferredNodeSelectors", [{"preference": {}}], "weight: Required"),
    "no preference": ("L2Advertisement", "v1beta1", "preferredNodeSelectors", [{"weight": 1}], "preference: Required"),
    "a condition without operator": ("L2Advertisement", "v1beta1", "nodeSelectors",
                                     [{"matchExpressions": [{"key": "a"}]}], "operator: Required"),
    "no own AS": ("BGPPeer", "v1beta2", "myASN", None, "spec.myASN: Required"),
    "no own AS, older": ("BGPPeer", "v1beta1", "myASN", None, "spec.myASN: Required"),
    "no AS of the peer, older": ("BGPPeer", "v1beta1", "peerASN", None, "spec.peerASN: Required"),
    "no address of the peer, older": ("BGPPeer", "v1beta1", "peerAddress", None, "spec.peerAddress: Required"),
    "selector without a value, older": ("BGPPeer", "v1beta1", "nodeSelectors", [{"matchExpressions": [
        {"key": "a", "operator": "In", "values": []}]}], "should have at least 1 items"),
    "an unknown dynamic AS": ("BGPPeer", "v1beta2", "dynamicASN", "any", '"internal", "external"'),
    "no connect time": ("BGPPeer", "v1beta2", "connectTime", "0s", "should be between 1 seconds to 65535"),
    "too long a connect time": ("BGPPeer", "v1beta2", "connectTime", "65536s", "should be between 1 seconds to 65535"),
    "half a second": ("BGPPeer", "v1beta2", "connectTime", "1500ms", "should contain a whole number of seconds"),
    "a time that is none": ("BGPPeer", "v1beta2", "connectTime", "soon", "spec.connectTime"),
    "selectors, aggregated": ("BGPAdvertisement", "v1beta1", "", {"serviceSelectors": [{}], "aggregationLength": 24},
                              "serviceSelectors and aggregationLength are mutually exclusive"),
    "selectors, aggregated v6": ("BGPAdvertisement", "v1beta1", "",
                                 {"serviceSelectors": [{}], "aggregationLengthV6": 64},
                                 "serviceSelectors and aggregationLength are mutually exclusive"),
}
