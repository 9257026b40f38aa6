"""An OAuth 2.0 authorization server on this machine: it publishes keys, and can be slow, down or wrong."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "https://hook.example.org"
SCOPE = "mitto.hook"
PATH = "/oauth2/default/v1/keys"

Key = rsa.RSAPrivateKey


def new_key(bits: int = 2048) -> Key:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def published(kid: str, key: Key, **members: Any) -> dict[str, Any]:
    """Give the member of a key set for this key, as Okta writes it."""
    public: dict[str, Any] = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    return {"kty": "RSA", "n": public["n"], "e": public["e"], "kid": kid, "alg": "RS256", "use": "sig", **members}


class AuthorizationServer:
    """``keys`` are what it publishes; ``response`` is sent in their place where it is set."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}/oauth2/default"
        self.keys: dict[str, Key] = {}
        self.response: tuple[int, dict[str, str], bytes] | None = None
        self.may_respond = threading.Event()
        self.may_respond.set()
        self.asked: list[str] = []

    def token(self, kid: str, changes: Mapping[str, Any] | None = None, key: Key | None = None) -> str:
        """Give an access token as Okta makes it for a service; a claim that is ``None`` is left out."""
        now = int(time.time())
        claims = {
            "ver": 1,
            "iss": self.issuer,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 3600,
            "cid": "0oa1hook",
            "sub": "0oa1hook",
            "scp": [SCOPE],
        } | dict(changes or {})
        claims = {name: value for name, value in claims.items() if value is not None}
        # Unlike jwt.encode, this also writes claims that no library would write.
        return str(jwt.PyJWS().encode(json.dumps(claims).encode(), key or self.keys[kid], "RS256", headers={"kid": kid}))


@contextlib.contextmanager
def authorization_server(**keys: Key) -> Iterator[AuthorizationServer]:
    """Run it on a loopback port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            server.may_respond.wait(20)
            content = {"keys": [published(kid, key) for kid, key in server.keys.items()]}
            status, headers, body = server.response or (200, {}, json.dumps(content).encode())
            with contextlib.suppress(OSError):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server = AuthorizationServer(listener.server_address[1])
    server.keys.update(keys)
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.may_respond.set()
        listener.shutdown()
        listener.server_close()
        thread.join()
