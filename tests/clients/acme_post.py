#!/usr/bin/python3
"""One signed ACME request, as RFC 8555 section 6.2 has it, with a key and an account of the caller's choosing.

Usage: acme_post.py DIRECTORY-URL ROOTS.pem KEY.pem ACCOUNT-URL URL [PAYLOAD | @CSR.der]
ACCOUNT-URL "-": the request carries the key itself. URL "newAccount" and the like: the directory's. No payload: POST-as-GET.
KEY.pem is made where it is missing. Prints {"status", "location", "body"}."""

import base64
import json
import os
import ssl
import sys
import urllib.error
import urllib.request

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

directory_url, roots, key_file, account, url = sys.argv[1:6]
payload = sys.argv[6] if len(sys.argv) > 6 else ""
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


def load_key():
    if os.path.exists(key_file):
        with open(key_file, "rb") as file:
            return serialization.load_pem_private_key(file.read(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with open(key_file, "wb") as file:
        file.write(key.private_bytes(*plain))
    return key


directory = json.load(fetch(directory_url))
url = directory.get(url, url)
key = load_key()
numbers = key.public_key().public_numbers()
header = {"alg": "ES256", "nonce": fetch(directory["newNonce"]).headers["Replay-Nonce"], "url": url}
if account == "-":
    x, y = b64(numbers.x.to_bytes(32, "big")), b64(numbers.y.to_bytes(32, "big"))
    header["jwk"] = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
else:
    header["kid"] = account
if payload.startswith("@"):
    with open(payload[1:], "rb") as file:
        payload = json.dumps({"csr": b64(file.read())})
protected, payload = b64(json.dumps(header).encode()), b64(payload.encode())
r, s = decode_dss_signature(key.sign(f"{protected}.{payload}".encode(), ec.ECDSA(hashes.SHA256())))
signature = b64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
body = json.dumps({"protected": protected, "payload": payload, "signature": signature}).encode()
answer = fetch(url, body)
text = answer.read().decode()
try:
    text = json.loads(text)
except ValueError:
    pass
print(json.dumps({"status": answer.status, "location": answer.headers["Location"], "body": text}))
