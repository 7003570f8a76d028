# SPDX-License-Identifier: Apache-2.0
"""The CustomResourceDefinitions in crds/, as the API server and kubectl take them: what they accept, fill in, refuse
and show. The rows are the contract (MetalLB's field tables); no program of Stentor runs."""
import copy
import json
import re
import subprocess

import pytest
import yaml
from api import ApiError
from crd_rows import ACCEPTED, BOUNDS, CONDITION, FULL, MINIMAL, OLD_PEER, POOL_0_13, REFUSED, SERVED, STATUS
from processes import wait_for
from stentor import REPOSITORY

NAMESPACE = "default"
FILES = sorted((REPOSITORY / "crds").glob("*.yaml"))
# kind: (plural, {version: stored}); versions from the oldest to the newest.
KINDS = {
    "AddressPool": ("addresspools", {"v1alpha1": False, "v1beta1": True}),
    "BFDProfile": ("bfdprofiles", {"v1beta1": True}),
    "BGPAdvertisement": ("bgpadvertisements", {"v1beta1": True}),
    "BGPPeer": ("bgppeers", {"v1beta1": False, "v1beta2": True}),
    "Community": ("communities", {"v1beta1": True}),
    "ConfigurationState": ("configurationstates", {"v1beta1": True}),
    "IPAddressPool": ("ipaddresspools", {"v1beta1": True}),
    "L2Advertisement": ("l2advertisements", {"v1beta1": True}),
    "ServiceBGPStatus": ("servicebgpstatuses", {"v1beta1": True}),
    "ServiceL2Status": ("servicel2statuses", {"v1beta1": True}),
}
VERSIONS = [(kind, version) for kind, (_, versions) in KINDS.items() for version in versions]


def definition(kind):
    return yaml.safe_load((REPOSITORY / f"crds/{KINDS[kind][0]}.yaml").read_text())


def manifest(kind, version, name, spec=None, **more):
    made = {"apiVersion": f"metallb.io/{version}", "kind": kind,
            "metadata": {"name": name, "namespace": NAMESPACE}, **more}
    return made if spec is None else made | {"spec": spec}


def path_of(kind, version, *more):
    return "/".join([f"/apis/metallb.io/{version}/namespaces/{NAMESPACE}", KINDS[kind][0], *more])


class Kinds:
    """The API server with all kinds in it."""

    def __init__(self, lab):
        self.lab, self.api = lab, lab.control_plane.api

    def try_create(self, body):
        """What the API server would make of an object; a field that it does not know is an error."""
        version = body["apiVersion"].partition("/")[2]
        return self.api.request("POST", path_of(body["kind"], version) + "?dryRun=All&fieldValidation=Strict", body)

    def refusal(self, call):
        """The message with which the API server finds the request invalid."""
        with pytest.raises(ApiError) as caught:
            call()
        assert caught.value.status == 422, str(caught.value)
        return str(caught.value)

    def kubectl_apply(self, *manifests):
        """Applies objects as a user would, and returns what kubectl says to him on the side."""
        done = subprocess.run([*self.lab.kubectl_command(), "apply", "-f", "-"], capture_output=True, text=True,
                              timeout=60, input="\n---\n".join(map(json.dumps, manifests)))
        assert done.returncode == 0, done.stderr
        return done.stderr

    def set_status(self, kind, name, status):
        newest = list(KINDS[kind][1])[-1]
        return self.api.patch(path_of(kind, newest, name, "status"), {"status": status},
                              "application/merge-patch+json")


@pytest.fixture(scope="module")
def kinds(lab):
    lab.kubectl("apply", *[word for path in FILES for word in ("-f", path)])
    made = Kinds(lab)
    for kind, version in VERSIONS:  # "created" is not "served"
        wait_for(lambda kind=kind, version=version: "items" in made.api.get(path_of(kind, version)), 30,
                 f"the API serves {kind} {version}")
    return made


@pytest.fixture(scope="module")
def stored(kinds):
    """One full object of every kind and version, by the name of its version, made with kubectl; with a status."""
    said = {(kind, version): kinds.kubectl_apply(manifest(kind, version, version, spec))
            for (kind, version), spec in FULL.items()}
    for kind, status in STATUS.items():
        kinds.set_status(kind, "v1beta1", status)
    return said


def test_every_kind_is_established(kinds):
    found = {}
    for crd in kinds.lab.get("crds")["items"]:
        conditions = {one["type"]: one["status"] for one in crd["status"]["conditions"]}
        assert conditions["Established"] == conditions["NamesAccepted"] == "True", crd["metadata"]["name"]
        assert "NonStructuralSchema" not in conditions
        assert crd["spec"]["group"] == "metallb.io" and crd["spec"]["scope"] == "Namespaced"
        assert not crd["spec"]["names"].keys() & {"shortNames", "categories"}, "MetalLB has none"
        for version in crd["spec"]["versions"]:
            assert version["served"] and version["subresources"] == {"status": {}}
        found[crd["spec"]["names"]["kind"]] = (
            crd["spec"]["names"]["plural"], {one["name"]: one["storage"] for one in crd["spec"]["versions"]})
    assert found == KINDS
    assert [path.stem for path in FILES] == sorted(plural for plural, _ in KINDS.values())


# -- what is accepted -------------------------------------------------------------------------------------------------


def schema_paths(schema, path=""):
    """Every field that a schema knows, as a path."""
    paths = {path} if path else set()
    for name, inner in schema.get("properties", {}).items():
        paths |= schema_paths(inner, f"{path}.{name}")
    if "items" in schema:
        paths |= schema_paths(schema["items"], path)
    return paths


def value_paths(value, schema, path=""):
    """Every field that an object has, as a path; the keys of a map are no fields."""
    paths = {path} if path else set()
    for item in value if isinstance(value, list) else []:
        paths |= value_paths(item, schema["items"], path)
    for name, inner in value.items() if isinstance(value, dict) and "properties" in schema else []:
        paths |= value_paths(inner, schema["properties"][name], f"{path}.{name}")
    return paths


@pytest.mark.parametrize(("kind", "version"), VERSIONS)
def test_the_full_objects_are_full(kind, version):
    schema, = (one["schema"]["openAPIV3Schema"]["properties"] for one in definition(kind)["spec"]["versions"]
               if one["name"] == version)
    for part, value in (("spec", FULL[kind, version]), ("status", STATUS.get(kind))):
        assert schema_paths(schema.get(part, {})) == value_paths(value, schema.get(part))


@pytest.mark.parametrize(("kind", "version"), VERSIONS)
def test_a_full_object_is_kept_as_it_is(kinds, stored, kind, version):
    answer = kinds.api.get(path_of(kind, version, version))
    assert answer.get("spec") == FULL[kind, version]
    assert answer.get("status") == STATUS.get(kind)


@pytest.mark.parametrize(("kind", "version"), VERSIONS)
def test_defaults_are_filled_in(kinds, kind, version):
    spec, filled = MINIMAL[kind, version]
    assert kinds.try_create(manifest(kind, version, "minimal", spec)).get("spec") == filled


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(kinds, name):
    kind, version, spec = ACCEPTED[name]
    assert kinds.try_create(manifest(kind, version, "accepted", spec))["kind"] == kind


# -- what is refused --------------------------------------------------------------------------------------------------


ASN_TOO_LOW = ("myASN", "peerASN")  # 0 is within the bounds, but means that there is none


def with_value(kind, version, field, value):
    """A minimal object with one more value, also in the first item of a list; None takes the field away."""
    spec = copy.deepcopy(MINIMAL[kind, version][0]) or {}
    outer, _, inner = field.rpartition(".")
    at = spec
    if outer:
        at = {"preference": {}} if outer == "preferredNodeSelectors" else {}
        spec[outer] = [at]
    at[inner] = value
    if value is None:
        del at[inner]
    return manifest(kind, version, "bounded", spec)


@pytest.mark.parametrize(("kind", "version", "field", "low", "high"), BOUNDS, ids=lambda value: str(value))
def test_bounds(kinds, kind, version, field, low, high):
    lowest = 1 if field in ASN_TOO_LOW else low
    for bound, outside in ((lowest, low - 1), (high, high + 1) if high is not None else (lowest, low - 1)):
        assert kinds.try_create(with_value(kind, version, field, bound))
        message = kinds.refusal(lambda outside=outside: kinds.try_create(with_value(kind, version, field, outside)))
        assert field.rpartition(".")[2] in message and "should be" in message


@pytest.mark.parametrize("name", REFUSED)
def test_refused(kinds, name):
    kind, version, field, value, word = REFUSED[name]
    body = with_value(kind, version, field, value) if field else manifest(kind, version, "refused", value)
    assert word in kinds.refusal(lambda: kinds.try_create(body))


ITEMS = json.loads((REPOSITORY / "test/unit/config/address_items.json").read_text())


@pytest.mark.parametrize("row", ITEMS, ids=lambda row: ascii(row["item"]))
def test_items_of_addresses(kinds, row):
    """The same rows as the parser's (test/unit/config/address_items_test.cc): what MetalLB accepts is accepted, and
    what it refuses is refused in its words, but for what the file leaves to the webhook."""
    body = manifest("IPAddressPool", "v1beta1", "item", {"addresses": [row["item"]]})
    if "refused" in row and row.get("schema", True):
        message = kinds.refusal(lambda: kinds.try_create(body))
        assert "spec.addresses[0]: Invalid value" in message and "invalid CIDR" in message
        assert row["refused"] in message or "an IPv6 address is eight groups" in message
    else:
        assert kinds.try_create(body)["spec"]["addresses"] == [row["item"]]


def enlarged(schema, factor):
    """A schema whose lists may be longer."""
    if isinstance(schema, dict):
        return {key: int(value * factor) if key == "maxItems" else enlarged(value, factor)
                for key, value in schema.items()}
    return [enlarged(item, factor) for item in schema] if isinstance(schema, list) else schema


@pytest.mark.parametrize("kind", KINDS)
def test_the_rules_are_well_within_the_budget(kinds, kind):
    """The API server refuses definitions whose rules may cost too much; it estimates that from the bounds of lists.
    Some room is left for the estimates of other versions of Kubernetes."""
    larger = definition(kind) | {"spec": enlarged(definition(kind)["spec"], 1.5)}
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/" + larger["metadata"]["name"]
    kinds.api.request("PATCH", path + "?dryRun=All&fieldManager=test&force=true&fieldValidation=Strict", larger,
                      "application/apply-patch+yaml")


LONG = "2001:0db8:aaaa:bbbb:cccc:dddd:{0:04x}:0000" + " " * 40 + "-2001:0db8:aaaa:bbbb:cccc:dddd:{0:04x}:ffff"
SELECTOR = {"matchExpressions": [{"key": "k", "operator": "In", "values": ["v"]}]}
LARGEST = {
    "a pool": ("IPAddressPool", {"addresses": [LONG.format(i)[:128] for i in range(1024)]}),
    "an advertisement": ("L2Advertisement", {
        "nodeSelectors": [SELECTOR] * 5000, "serviceSelectors": [SELECTOR] * 5000}),
    "names": ("L2Advertisement", {"ipAddressPools": [f"pool-{i}" for i in range(10000)]}),
    "communities": ("Community", {"communities": [
        {"name": str(i), "value": "large:4294967295:4294967295:4294967295"} for i in range(2048)]}),
}


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_objects_are_within_the_budget(kinds, name):
    """What the bounds allow has to be affordable when it comes, too: that is another limit."""
    kind, spec = LARGEST[name]
    assert kinds.try_create(manifest(kind, "v1beta1", "largest", spec))["kind"] == kind


@pytest.mark.parametrize(("kind", "version"), [("IPAddressPool", "v1beta1"), ("AddressPool", "v1alpha1"),
                                               ("AddressPool", "v1beta1")])
def test_a_pool_needs_a_spec(kinds, kind, version):
    assert "spec: Required" in kinds.refusal(lambda: kinds.try_create(manifest(kind, version, "empty")))


STATUS_REFUSED = {
    "one number of four": ("IPAddressPool", {"availableIPv6": None}, "availableIPv6: Required"),
    "an unknown result": ("ConfigurationState", {"result": "Fine"}, '"Valid", "Invalid", "Unknown"'),
    "a condition without reason": ("ConfigurationState", {"conditions": [{**CONDITION, "reason": ""}]}, "reason"),
    "a condition that may be": ("ConfigurationState", {"conditions": [{**CONDITION, "status": "Maybe"}]}, '"Unknown"'),
    "a condition of yesterday": ("ConfigurationState", {"conditions": [
        {**CONDITION, "lastTransitionTime": "yesterday"}]}, "date-time"),
    "two conditions of a type": ("ConfigurationState", {"conditions": [CONDITION, CONDITION]}, "Duplicate value"),
    **{f"another {field}: {kind}": (kind, {field: "other"}, "Value is immutable")
       for kind in ("ServiceL2Status", "ServiceBGPStatus") for field in SERVED},
}


@pytest.mark.parametrize("name", STATUS_REFUSED)
def test_status_refused(kinds, stored, name):
    kind, change, word = STATUS_REFUSED[name]
    assert word in kinds.refusal(lambda: kinds.set_status(kind, "v1beta1", change))


def test_graceful_restart_is_fixed_at_creation(kinds, stored):
    path, merge = path_of("BGPPeer", "v1beta2", "v1beta2"), "application/merge-patch+json"
    assert kinds.api.patch(path, {"spec": {"enableGracefulRestart": True, "vrf": "red"}}, merge)
    message = kinds.refusal(lambda: kinds.api.patch(path, {"spec": {"enableGracefulRestart": False}}, merge))
    assert "EnableGracefulRestart cannot be changed after creation" in message


# -- status, versions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_status_is_written_apart_from_the_rest(kinds, stored, kind):
    """Who may write an object may not write its status, and the other way round."""
    newest = list(KINDS[kind][1])[-1]
    status, path = STATUS.get(kind), path_of(kind, newest, newest)
    body = kinds.api.get(path + "/status")
    assert body.get("status") == status
    body["metadata"]["labels"] = {"written": "apart"}
    body["status"] = {}
    after = kinds.api.request("PUT", path, body)
    assert after["metadata"]["labels"] == body["metadata"]["labels"] and after.get("status") == status
    after["spec"], after["status"] = {"what": "no status"}, status or {}
    assert kinds.api.request("PUT", path + "/status", after).get("spec") == FULL[kind, newest]


@pytest.mark.parametrize(("kind", "version"), VERSIONS)
def test_kubectl_warns_of_old_versions(stored, kind, version):
    warnings = re.findall("^Warning: (.*)$", stored[kind, version], re.M)
    assert warnings == {
        ("AddressPool", "v1alpha1"): ["AddressPool is deprecated, please use IPAddressPool and an advertisement"],
        ("AddressPool", "v1beta1"): ["AddressPool is deprecated, please use IPAddressPool and an advertisement"],
        ("BGPPeer", "v1beta1"): ["v1beta1 is deprecated, please use v1beta2"]}.get((kind, version), [])


def test_an_object_of_one_version_is_one_of_the_other(kinds, stored):
    added = {"disableMP": False, "dualStackAddressFamily": False}
    assert kinds.api.get(path_of("BGPPeer", "v1beta2", "v1beta1"))["spec"] == OLD_PEER | added
    older = kinds.api.get(path_of("BGPPeer", "v1beta1", "v1beta2"))
    assert older["apiVersion"] == "metallb.io/v1beta1" and older["spec"].items() >= OLD_PEER.items()
    for stored_as, read_as in (("v1alpha1", "v1beta1"), ("v1beta1", "v1alpha1")):
        assert kinds.api.get(path_of("AddressPool", read_as, stored_as))["spec"] == POOL_0_13


# -- kubectl get ------------------------------------------------------------------------------------------------------

LABELS = '[{"matchExpressions":[{"key":"tier","operator":"In","values":["x"]}],"matchLabels":{"zone":"a"}}]'
PEER = {"ADDRESS": "192.0.2.1", "ASN": "64513", "BFD PROFILE": "fast", "MULTI HOPS": "true"}
SERVED_COLUMNS = {"SERVICE NAME": "web", "SERVICE NAMESPACE": "shop"}
COLUMNS = {  # columns of the full objects beside NAME; ... is an age
    ("AddressPool", "v1alpha1"): {"AGE": ...},
    ("AddressPool", "v1beta1"): {"AGE": ...},
    ("BFDProfile", "v1beta1"): {"PASSIVE MODE": "true", "TRANSMIT INTERVAL": "200", "RECEIVE INTERVAL": "300",
                                "MULTIPLIER": "3"},
    ("BGPAdvertisement", "v1beta1"): {"IPADDRESSPOOLS": '["one"]', "IPADDRESSPOOL SELECTORS": LABELS,
                                      "PEERS": '["router"]'},
    ("BGPPeer", "v1beta1"): PEER,
    ("BGPPeer", "v1beta2"): PEER,
    ("Community", "v1beta1"): {"AGE": ...},
    ("ConfigurationState", "v1beta1"): {"RESULT": "Invalid", "ERRORSUMMARY": "bad", "AGE": ...},
    ("IPAddressPool", "v1beta1"): {"AUTO ASSIGN": "false", "AVOID BUGGY IPS": "true",
                                   "ADDRESSES": '["192.0.2.0/28","2001:db8::1-2001:db8::9"]'},
    ("L2Advertisement", "v1beta1"): {"IPADDRESSPOOLS": '["one"]', "IPADDRESSPOOL SELECTORS": LABELS,
                                     "INTERFACES": '["eth0"]'},
    ("ServiceBGPStatus", "v1beta1"): {"NODE": "node-1"} | SERVED_COLUMNS,
    ("ServiceL2Status", "v1beta1"): {"ALLOCATED NODE": "node-1"} | SERVED_COLUMNS,
}
WIDE = {("BGPAdvertisement", "v1beta1"): {"NODE SELECTORS": LABELS},
        ("L2Advertisement", "v1beta1"): {"NODE SELECTORS": LABELS}}


def rows(table):
    """The rows of a table as kubectl aligns it, as dicts."""
    head, *lines = table.splitlines()
    columns = [(match[0], match.start()) for match in re.finditer(r"\S+( \S+)*", head)]
    ends = [start for _, start in columns[1:]] + [None]
    return [{name: line[start:end].strip() for (name, start), end in zip(columns, ends)} for line in lines]


@pytest.fixture(scope="module")
def tables(kinds, stored):
    """What `kubectl get` shows of every kind and version, as it comes and wide."""
    resources = ",".join(f"{KINDS[kind][0]}.{version}.metallb.io" for kind, version in VERSIONS)
    return [dict(zip(VERSIONS, map(rows, kinds.lab.kubectl("get", resources, "-n", NAMESPACE, *how).split("\n\n"))))
            for how in ([], ["-o", "wide"])]


@pytest.mark.parametrize(("kind", "version"), VERSIONS)
def test_kubectl_shows_the_columns(tables, kind, version):
    plain = COLUMNS[kind, version]
    for table, expected in zip(tables, (plain, plain | WIDE.get((kind, version), {}))):
        row, = (row for row in table[kind, version] if row["NAME"].endswith(f"/{version}"))
        assert list(row) == ["NAME", *expected]
        for column, value in expected.items():
            assert re.fullmatch(r"\d+m?s?|\d+m\d+s", row[column]) if value is ... else row[column] == value


# -- where MetalLB was before -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["BGPPeer", "AddressPool"])
def test_the_conversion_webhook_of_another_is_taken_away(kinds, stored, kind):
    """MetalLB's own definitions name a webhook that is gone with it; nothing of that kind could be read any more."""
    plural = KINDS[kind][0]
    service = {"namespace": "metallb-system", "name": "metallb-webhook-service", "path": "/convert"}
    kinds.lab.kubectl("patch", "crd", f"{plural}.metallb.io", "--type=merge", "-p", json.dumps({"spec": {"conversion": {
        "strategy": "Webhook", "webhook": {"clientConfig": {"service": service},
                                           "conversionReviewVersions": ["v1beta1", "v1beta2"]}}}}))
    kinds.lab.apply(REPOSITORY / f"crds/{plural}.yaml")
    assert kinds.lab.get("crd", f"{plural}.metallb.io")["spec"]["conversion"] == {"strategy": "None"}
    wait_for(lambda: len(kinds.api.get(path_of(kind, "v1beta1"))["items"]) == 2, 10, "both objects can be read")
