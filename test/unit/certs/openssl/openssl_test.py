#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""openssl(1) judges the webhooks' certificates: argument 1 is the program print_certificates."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

DAY = 24 * 3600
START = 1795219200  # 2026-11-21
NAME = "metallb-webhook-service.metallb-system.svc"
PROGRAM = ""


def openssl(*arguments):
    return subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=60)


@unittest.skipUnless(shutil.which("openssl"), "openssl(1) is not installed")
class Certificates(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.secrets = json.loads(subprocess.run([PROGRAM, str(START)], capture_output=True, text=True, check=True,
                                                timeout=60).stdout)
        for number, secret in enumerate(cls.secrets):
            for key in ("ca.crt", "ca.key", "tls.crt", "tls.key"):
                cls.path(number, key).write_text(secret[key])
            first_ca = secret["ca.crt"].split("-----END CERTIFICATE-----\n")[0] + "-----END CERTIFICATE-----\n"
            cls.path(number, "signer.crt").write_text(first_ca)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def path(cls, number, key):
        return pathlib.Path(cls.folder.name) / f"{number}-{key}"

    def verify(self, number, bundle, at, name=NAME):
        result = openssl("verify", "-x509_strict", "-no-CApath", "-CAfile", bundle, "-purpose", "sslserver",
                         "-verify_hostname", name, "-attime", at, self.path(number, "tls.crt"))
        return "" if result.returncode == 0 else result.stdout + result.stderr

    def test_verify(self):
        year = 365 * DAY
        renewed = self.secrets[1]["at"]
        self.assertEqual(renewed, START + 3561 * DAY)
        cases = [
            ("at once", 0, (0, "ca.crt"), START, NAME, ""),
            ("by an API server whose clock is late", 0, (0, "ca.crt"), START - 3500, NAME, ""),
            ("on its last day", 0, (0, "ca.crt"), START + year - 60, NAME, ""),
            ("by its longer name", 0, (0, "ca.crt"), START, NAME + ".cluster.local", ""),
            ("ended", 0, (0, "ca.crt"), START + year + 60, NAME, "has expired"),
            ("too early", 0, (0, "ca.crt"), START - 3700, NAME, "not yet valid"),
            ("by another name", 0, (0, "ca.crt"), START, "other.metallb-system.svc", "hostname mismatch"),
            ("by its common name", 0, (0, "ca.crt"), START, "metallb-webhook-service", "hostname mismatch"),
            ("the new one by the new bundle", 1, (1, "ca.crt"), renewed, NAME, ""),
            ("the new one by the new CA", 1, (1, "signer.crt"), renewed, NAME, ""),
            ("the new one by the old CA", 1, (0, "ca.crt"), renewed, NAME, "unable to get local issuer"),
            ("the old one by the new bundle", 0, (1, "ca.crt"), START + year - 60, NAME, ""),
            ("the old one by the new CA", 0, (1, "signer.crt"), renewed, NAME, "unable to get local issuer"),
        ]
        for title, number, bundle, at, name, wrong in cases:
            with self.subTest(title):
                said = self.verify(number, self.path(*bundle), at, name)
                if wrong:
                    self.assertIn(wrong, said)
                else:
                    self.assertEqual(said, "")

    def test_extensions(self):
        def text(path):
            return openssl("x509", "-noout", "-text", "-in", path).stdout
        for number in (0, 1):
            ca, serving = text(self.path(number, "signer.crt")), text(self.path(number, "tls.crt"))
            for wanted in ("X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0",
                           "X509v3 Key Usage: critical\n                Certificate Sign\n",
                           "X509v3 Subject Key Identifier", "NIST CURVE: P-256", "ecdsa-with-SHA256"):
                self.assertIn(wanted, ca)
            self.assertNotIn("Subject Alternative Name", ca)  # or MetalLB would take it for its own
            for wanted in ("X509v3 Basic Constraints: critical\n                CA:FALSE",
                           "X509v3 Key Usage: critical\n                Digital Signature\n",
                           "X509v3 Extended Key Usage: \n                TLS Web Server Authentication\n",
                           f"DNS:{NAME}, DNS:{NAME}.cluster.local", "NIST CURVE: P-256"):
                self.assertIn(wanted, serving)
            identifier = ca.split("X509v3 Subject Key Identifier: \n")[1].split()[0]
            self.assertIn(identifier, serving.split("X509v3 Authority Key Identifier: \n")[1])

    def test_dates(self):
        def dates(path):
            return openssl("x509", "-noout", "-startdate", "-enddate", "-dateopt", "iso_8601", "-in", path).stdout
        self.assertEqual(dates(self.path(0, "ca.crt")),
                         "notBefore=2026-11-20 23:00:00Z\nnotAfter=2036-11-18 00:00:00Z\n")
        self.assertEqual(dates(self.path(0, "tls.crt")),
                         "notBefore=2026-11-20 23:00:00Z\nnotAfter=2027-11-21 00:00:00Z\n")

    def test_serials(self):
        serials = {openssl("x509", "-noout", "-serial", "-in", self.path(number, key)).stdout
                   for number in (0, 1) for key in ("signer.crt", "tls.crt")}
        self.assertEqual(len(serials), 4)
        for serial in serials:
            self.assertRegex(serial, "^serial=[4-7][0-9A-F]{31}\n$")  # 16 octets, positive

    def test_keys(self):
        for number in (0, 1):
            for certificate, key in (("signer.crt", "ca.key"), ("tls.crt", "tls.key")):
                path = self.path(number, key)
                self.assertTrue(path.read_text().startswith("-----BEGIN PRIVATE KEY-----\n"))
                self.assertEqual(openssl("pkey", "-check", "-noout", "-in", path).returncode, 0)
                public = openssl("pkey", "-pubout", "-in", path).stdout
                self.assertEqual(public, openssl("x509", "-noout", "-pubkey", "-in", self.path(number, certificate)).stdout)

    def test_old_ca_is_kept(self):
        self.assertTrue(self.secrets[1]["ca.crt"].endswith(self.secrets[0]["ca.crt"]))
        self.assertEqual(self.secrets[1]["ca.crt"].count("BEGIN"), 2)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
