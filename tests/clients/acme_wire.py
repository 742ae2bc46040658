"""An ACME request made by hand, for those who know nothing of our code: RFC 8555 section 6.2, RFC 7515."""

import base64
import json
import ssl
import urllib.error
import urllib.request

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwk(key):
    numbers = key.public_key().public_numbers()
    x, y = b64(numbers.x.to_bytes(32, "big")), b64(numbers.y.to_bytes(32, "big"))
    return {"crv": "P-256", "kty": "EC", "x": x, "y": y}


class Directory:
    """A server's directory, and how to speak with it. An answer that refuses is an answer too."""

    def __init__(self, url, roots):
        self.context = ssl.create_default_context(cafile=roots)
        self.urls = json.load(self.fetch(url))

    def fetch(self, url, body=None):
        headers = {"Content-Type": "application/jose+json"} if body else {}
        request = urllib.request.Request(url, data=body, headers=headers)
        try:
            return urllib.request.urlopen(request, context=self.context, timeout=20)
        except urllib.error.HTTPError as error:
            return error

    def signed(self, key, url, who, payload):
        """The body of a request under a fresh nonce; `who` is `{"jwk": ...}` or `{"kid": ...}`."""
        nonce = self.fetch(self.urls["newNonce"]).headers["Replay-Nonce"]
        protected = b64(json.dumps({"alg": "ES256", "nonce": nonce, "url": url, **who}).encode())
        payload = b64(payload.encode())
        r, s = decode_dss_signature(key.sign(f"{protected}.{payload}".encode(), ec.ECDSA(hashes.SHA256())))
        signature = b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return json.dumps({"protected": protected, "payload": payload, "signature": signature}).encode()
