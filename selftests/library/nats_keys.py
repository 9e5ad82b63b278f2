#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Keys and certificates for the tests of mbox-nats.

usage: nats_keys.py DIRECTORY

Make in DIRECTORY, with openssl, what a server and its clients prove to each other who
they are with: certificates of an authority, and of another one (ca, server, elsewhere,
client, stranger; .pem and .key), nkeys of users (user, other; .nkey is public, .seed is
not), and an operator's, an account's and a user's claims signed by each other
(server.conf, user.creds, and other.creds, whose account the server does not know).
"""

import base64
import json
import pathlib
import subprocess
import sys

# The first byte of a public nkey, which becomes its first letter.
OPERATOR, ACCOUNT, USER = 14 << 3, 0, 20 << 3
SEED = 18 << 3
# What comes before the 32 bytes in the DER forms of a key for Ed25519.
PRIVATE_HEAD = bytes.fromhex("302e020100300506032b657004220420")
PUBLIC_HEAD = bytes.fromhex("302a300506032b6570032100")


def openssl(*words, data=None):
    """Run it; its output."""
    done = subprocess.run(["openssl", *words], input=data, capture_output=True, check=False)
    if done.returncode:
        sys.exit(f"openssl {words[0]}: {done.stderr.decode()}")
    return done.stdout


def crc16(data):
    """XMODEM's."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = crc << 1 ^ (0x1021 if crc & 0x8000 else 0)
        crc &= 0xffff
    return crc


def encoded(data):
    """An nkey as text."""
    text = base64.b32encode(data + crc16(data).to_bytes(2, "little"))
    return text.decode().rstrip("=")


class Nkey:
    """A pair of keys of NATS."""

    def __init__(self, kind):
        self.pem = openssl("genpkey", "-algorithm", "ed25519")
        private = openssl("pkey", "-outform", "DER", data=self.pem)
        public = openssl("pkey", "-pubout", "-outform", "DER", data=self.pem)
        assert private.startswith(PRIVATE_HEAD) and public.startswith(PUBLIC_HEAD)
        secret = private[len(PRIVATE_HEAD):]
        self.public = encoded(bytes([kind]) + public[len(PUBLIC_HEAD):])
        head = bytes([SEED | kind >> 5, (kind & 31) << 3])
        self.seed = encoded(head + secret)

    def sign(self, data, folder):
        """openssl signs with this algorithm what is in a file."""
        (folder / "data").write_bytes(data)
        (folder / "pem").write_bytes(self.pem)
        signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", str(folder / "pem"),
                            "-in", str(folder / "data"))
        (folder / "data").unlink()
        (folder / "pem").unlink()
        return signature


def base64url(data):
    """As JWT has it."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def claims(issuer, subject, name, nats, folder):
    """A JWT."""
    head = {"typ": "JWT", "alg": "ed25519-nkey"}
    body = {"jti": name, "iat": 1, "iss": issuer.public, "name": name,
            "sub": subject.public, "nats": {**nats, "version": 2}}
    text = ".".join(base64url(json.dumps(part).encode()) for part in (head, body))
    return text + "." + base64url(issuer.sign(text.encode(), folder))


def credentials(jwt, user):
    """The file that a client reads."""
    return (f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n")


def make_users(folder):
    """Nkeys, and claims."""
    operator = Nkey(OPERATOR)
    users = {"user": Nkey(USER), "other": Nkey(USER)}
    unlimited = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"),
                              -1)
    account_nats = {"type": "account", "limits": {**unlimited, "wildcards": True},
                    "default_permissions": {"pub": {}, "sub": {}}}
    user_nats = {"type": "user", "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1}
    for name, user in users.items():
        account = Nkey(ACCOUNT)
        (folder / f"{name}.nkey").write_text(user.public + "\n")
        (folder / f"{name}.seed").write_text(user.seed + "\n")
        jwt = claims(account, user, name, user_nats, folder)
        (folder / f"{name}.creds").write_text(credentials(jwt, user))
        if name == "user":
            signed = claims(operator, account, "account", account_nats, folder)
            owner = claims(operator, operator, "operator", {"type": "operator"}, folder)
            (folder / "server.conf").write_text(
                f"operator: {owner}\nresolver: MEMORY\n"
                f"resolver_preload: {{ {account.public}: {signed} }}\n")


def make_certificate(folder, name, names, authority=None):
    """Signed by the authority, or by itself."""
    by = []
    if authority:
        by = ["-CA", str(folder / f"{authority}.pem"), "-CAkey", str(folder / f"{authority}.key")]
    openssl("req", "-config", "/dev/null", "-x509", "-newkey", "ec",
            "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650",
            "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}",
            "-addext", f"basicConstraints=CA:{'FALSE' if authority else 'TRUE'}",
            "-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.pem"), *by)


def main():
    """Everything."""
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    make_users(folder)
    here = "DNS:localhost,IP:127.0.0.1"
    make_certificate(folder, "ca", "DNS:ca")
    make_certificate(folder, "other-ca", "DNS:other-ca")
    make_certificate(folder, "server", here, "ca")
    make_certificate(folder, "elsewhere", "DNS:elsewhere", "ca")
    make_certificate(folder, "client", "DNS:client", "ca")
    make_certificate(folder, "stranger", "DNS:stranger", "other-ca")


main()
