# SPDX-License-Identifier: Apache-2.0
"""The certificates of one control plane: an authority of its own and what it signed, made by the openssl program.

EC keys, because a fresh set has to be made in a moment; nothing here is kept longer than a lab lives.
"""
import pathlib
import subprocess


def openssl(*arguments, stdin=None):
    subprocess.run(["openssl", *map(str, arguments)], input=stdin, check=True, capture_output=True, text=True)


class Authority:
    """A certificate authority in a folder; `ca.crt` is what clients need of it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.certificate = self.folder / "ca.crt"
        self._key = self.folder / "ca.key"
        self._new_key(self._key)
        openssl("req", "-x509", "-new", "-key", self._key, "-sha256", "-days", "30", "-subj", "/CN=lab-authority",
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                "-out", self.certificate)

    @staticmethod
    def _new_key(path):
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
        path.chmod(0o600)

    def key_pair(self, name):
        """A bare key pair: (private key, public key). The API server signs ServiceAccount tokens with it."""
        private, public = self.folder / f"{name}.key", self.folder / f"{name}.pub"
        self._new_key(private)
        openssl("pkey", "-in", private, "-pubout", "-out", public)
        return private, public

    def issue(self, name, common_name, group=None, hosts=()):
        """Signs a certificate: for a server with its `hosts`, else for a client. Returns (certificate, key)."""
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.crt"
        self._new_key(key)
        request, extensions = self.folder / f"{name}.csr", self.folder / f"{name}.ext"
        openssl("req", "-new", "-key", key, "-out", request,
                "-subj", (f"/O={group}" if group else "") + f"/CN={common_name}")
        lines = ["basicConstraints=CA:FALSE", "keyUsage=digitalSignature",
                 "extendedKeyUsage=" + ("serverAuth" if hosts else "clientAuth")]
        if hosts:
            lines.append("subjectAltName=" + ",".join(
                ("IP:" if host[0].isdigit() or ":" in host else "DNS:") + host for host in hosts))
        extensions.write_text("\n".join(lines) + "\n")
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial",
                "-days", "30", "-sha256", "-extfile", extensions, "-out", certificate)
        return certificate, key
