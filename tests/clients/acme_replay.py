#!/usr/bin/python3
"""Posts newAccount twice with one nonce, as an attacker who recorded the first request would, and prints the type of
the problem that the second one gets. Usage: acme_replay.py DIRECTORY-URL ROOTS.pem"""

import base64
import json
import ssl
import sys
import urllib.error
import urllib.request

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

directory_url, roots = sys.argv[1:3]
context = ssl.create_default_context(cafile=roots)


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def fetch(url, body=None):
    headers = {"Content-Type": "application/jose+json"} if body else {}
    request = urllib.request.Request(url, data=body, headers=headers)
    try:
        return urllib.request.urlopen(request, context=context, timeout=20)
    except urllib.error.HTTPError as error:
        return error


directory = json.load(fetch(directory_url))
nonce = fetch(directory["newNonce"]).headers["Replay-Nonce"]
key = ec.generate_private_key(ec.SECP256R1())
numbers = key.public_key().public_numbers()
jwk = {"crv": "P-256", "kty": "EC", "x": b64(numbers.x.to_bytes(32, "big")), "y": b64(numbers.y.to_bytes(32, "big"))}
protected = b64(json.dumps({"alg": "ES256", "jwk": jwk, "nonce": nonce, "url": directory["newAccount"]}).encode())
payload = b64(b"{}")
r, s = decode_dss_signature(key.sign(f"{protected}.{payload}".encode(), ec.ECDSA(hashes.SHA256())))
signature = b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
body = json.dumps({"protected": protected, "payload": payload, "signature": signature}).encode()

first = fetch(directory["newAccount"], body)
if first.status != 201:
    sys.exit(f"the first request was refused: {first.status} {first.read()}")
second = fetch(directory["newAccount"], body)
if second.status < 400:
    sys.exit("the replay was accepted")
print(json.load(second)["type"])
