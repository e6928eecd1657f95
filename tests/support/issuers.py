"""An issuer on this machine: OpenID configuration and keys over HTTP, and the tokens signed with them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

TENANT = "11111111-2222-3333-4444-555555555555"
OTHER_TENANT = "99999999-2222-3333-4444-555555555555"
AUDIENCE = "https://cognitiveservices.azure.com"
CONFIGURATION = f"/{TENANT}/v2.0/.well-known/openid-configuration"
KEYS = f"/{TENANT}/discovery/v2.0/keys"


@cache
def private_key(kid: str) -> rsa.RSAPrivateKey:
    """A key of that name, the same in every test of a process: making one takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_jwk(kid: str) -> dict[str, Any]:
    """A key as an issuer publishes it."""
    jwk: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private_key(kid).public_key()))
    return {**jwk, "kid": kid, "use": "sig"}


def claims_of(issuer: str, **changes: Any) -> dict[str, Any]:
    """The claims of a good token; a change to None takes the claim away."""
    now = int(time.time())
    claims = {
        "iss": issuer,
        "aud": AUDIENCE,
        "tid": TENANT,
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "sub": "someone",
        "appid": "an-app",
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def sign(claims: Mapping[str, Any], kid: str = "one", *, named: str | None = None) -> str:
    """A token, signed with the key `kid`; `named` is the key that its header names instead."""
    return sign_bytes(json.dumps(claims).encode(), kid, named=named)


def sign_bytes(payload: bytes, kid: str, *, named: str | None = None) -> str:
    """A token that holds anything."""
    return jwt.api_jws.encode(payload, private_key(kid), algorithm="RS256", headers={"kid": named or kid})


def forge(claims: Mapping[str, Any], header: Mapping[str, Any], *, secret: bytes | None = None) -> str:
    """A token made by hand: with a symmetric signature where there is a secret, else without any."""
    parts = ".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
    signature = hmac.digest(secret, parts.encode(), hashlib.sha256) if secret else b""
    return f"{parts}.{_base64(signature)}"


def public_pem(kid: str) -> bytes:
    """A public key as text, which anybody can have."""
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return private_key(kid).public_key().public_bytes(encoding, form)


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """What the issuer says, and what it was asked; tests change the one and read the other."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.kids = ["one"]
        self.asked: list[str] = []
        self.up = True
        self.pages: dict[str, Any] = {CONFIGURATION: {"issuer": self.v2, "jwks_uri": url + KEYS}}

    @property
    def v1(self) -> str:
        return f"https://sts.windows.net/{TENANT}/"

    @property
    def v2(self) -> str:
        return f"{self.url}/{TENANT}/v2.0"

    @property
    def fetches(self) -> int:
        return self.asked.count(CONFIGURATION)

    def token(self, kid: str = "one", /, **changes: Any) -> str:
        """A good v2 token but for the changes."""
        return sign(claims_of(self.v2, **changes), kid)

    def page(self, path: str) -> Any:
        self.asked.append(path)
        if path == KEYS and KEYS not in self.pages:
            return {"keys": [public_jwk(kid) for kid in self.kids]}
        return self.pages.get(path) if self.up else None


class _Handler(BaseHTTPRequestHandler):
    issuer: Issuer

    def do_GET(self) -> None:
        page = self.issuer.page(self.path)
        body = json.dumps(page).encode()
        self.send_response(503 if page is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing on stderr."""


@contextmanager
def issuing() -> Iterator[Issuer]:
    """An issuer that answers for the length of a block."""

    class Handler(_Handler):
        pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Handler.issuer = Issuer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Handler.issuer
        finally:
            server.shutdown()
            thread.join()
