# SPDX-License-Identifier: Apache-2.0
"""Webhooks in a lab: the API server calls the controller as it would in a cluster, by the Service of the manifests.

Where the pods of that Service are, a selector would say, which nobody in a lab heeds; an EndpointSlice says it instead.
(The API server resolves Services to endpoints itself: --enable-aggregator-routing.)
"""
import json
import subprocess

import stentor
from processes import wait_for
from stentor import NAMESPACE
from story import SOON

CONFIGURATION, DEFINITION = "metallb-webhook-configuration", "bgppeers.metallb.io"
SECRET, SERVICE, PORT, PROBE_PORT = "metallb-webhook-cert", "metallb-webhook-service", 9443, 17472


def manifest(kind, name, spec=None, version="v1beta1", namespace=NAMESPACE, **metadata):
    made = {"apiVersion": f"metallb.io/{version}", "kind": kind,
            "metadata": {"name": name, "namespace": namespace, **metadata}}
    return made if spec is None else made | {"spec": spec}


class Webhooks:
    """A lab whose API server was told of the webhooks; the controller does not run yet."""

    def __init__(self, lab):
        self.lab = lab
        lab.install()
        service = next(one for one in stentor.shipped("Service") if one["metadata"]["name"] == SERVICE)
        del service["spec"]["selector"]
        [port] = service["spec"]["ports"]
        secret = next(one for one in stentor.shipped("Secret") if one["metadata"]["name"] == SECRET)
        slice_ = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                  "metadata": {"name": SERVICE, "namespace": NAMESPACE,
                               "labels": {"kubernetes.io/service-name": SERVICE}},
                  "ports": [{"name": port.get("name", ""), "port": PORT, "protocol": "TCP"}],
                  "endpoints": [{"addresses": [lab.control_plane.address], "conditions": {"ready": True}}]}
        self.apply(service, secret, slice_, *stentor.shipped("CustomResourceDefinition"))
        self.apply(*stentor.shipped("ValidatingWebhookConfiguration"))

    # -- what a user does -----------------------------------------------------------------------------------------

    def apply(self, *manifests):
        self.lab.apply("\n---\n".join(map(json.dumps, manifests)))

    def kubectl(self, *arguments, body=None):
        """(exit code, what kubectl said)"""
        done = subprocess.run([*self.lab.kubectl_command(), *map(str, arguments)], capture_output=True, text=True,
                              timeout=60, input=None if body is None else json.dumps(body))
        return done.returncode, done.stdout + done.stderr

    def create(self, body, *flags):
        return self.kubectl("create", "-f", "-", *flags, body=body)

    def refusal(self, body, verb="create"):
        """What the webhooks have against an object, which must be something."""
        code, said = self.kubectl(verb, "-f", "-", body=body)
        assert code != 0, f"it was accepted: {said}"
        assert "admission webhook" in said and "denied the request" in said, said
        return said

    def accepted(self, body):
        code, said = self.create(body)
        assert code == 0, said
        return said

    def delete(self, *bodies):
        for body in bodies:
            self.lab.kubectl("delete", body["kind"], body["metadata"]["name"], "-n", body["metadata"]["namespace"],
                             "--ignore-not-found")

    # -- the controller and its certificates ----------------------------------------------------------------------

    def start(self, *arguments):
        process = self.lab.start_controller(*arguments)
        self.wait_ready()
        return process

    def ready(self):
        """The answer of /readyz: (code, text); code 0 where there is none."""
        done = subprocess.run(["ip", "netns", "exec", self.lab.network.control, "curl", "-s", "--max-time", "5", "-w",
                               "\n%{http_code}", f"http://127.0.0.1:{PROBE_PORT}/readyz"],
                              capture_output=True, text=True, timeout=20)
        text, _, code = done.stdout.rpartition("\n")
        return int(code or 0), text

    def wait_ready(self, deadline=2 * SOON):
        def is_ready():
            assert not self.lab.stentor.dead(), self.lab.stentor.dead()
            code, text = self.ready()
            return code == 200 or (_ for _ in ()).throw(RuntimeError(text))
        wait_for(is_ready, deadline, "the controller is ready")

    def configuration(self):
        return self.lab.get("validatingwebhookconfiguration", CONFIGURATION, "--show-managed-fields")

    def definition(self):
        return self.lab.get("customresourcedefinition", DEFINITION, "--show-managed-fields")

    def bundles(self):
        """The CA bundle of each place where there should be one."""
        found = {webhook["name"]: webhook["clientConfig"].get("caBundle")
                 for webhook in self.configuration()["webhooks"]}
        conversion = self.definition()["spec"]["conversion"]["webhook"]["clientConfig"]
        return found | {DEFINITION: conversion.get("caBundle")}

    def secret(self):
        return self.lab.get("secret", SECRET, "-n", NAMESPACE).get("data") or {}
