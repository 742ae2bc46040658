#!/usr/bin/python3
"""One signed ACME request, as RFC 8555 section 6.2 has it, with a key and an account of the caller's choosing.

Usage: acme_post.py DIRECTORY-URL ROOTS.pem KEY.pem ACCOUNT-URL URL [PAYLOAD | @CSR.der]
ACCOUNT-URL "-": the request carries the key itself. URL "newAccount" and the like: the directory's. No payload: POST-as-GET.
KEY.pem is made where it is missing. Prints {"status", "location", "body"}."""

import json
import os
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from acme_wire import Directory, b64, jwk

directory_url, roots, key_file, account, url = sys.argv[1:6]
payload = sys.argv[6] if len(sys.argv) > 6 else ""


def load_key():
    if os.path.exists(key_file):
        with open(key_file, "rb") as file:
            return serialization.load_pem_private_key(file.read(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with open(key_file, "wb") as file:
        file.write(key.private_bytes(*plain))
    return key


directory = Directory(directory_url, roots)
url = directory.urls.get(url, url)
key = load_key()
if payload.startswith("@"):
    with open(payload[1:], "rb") as file:
        payload = json.dumps({"csr": b64(file.read())})
who = {"jwk": jwk(key)} if account == "-" else {"kid": account}
answer = directory.fetch(url, directory.signed(key, url, who, payload))
text = answer.read().decode()
try:
    text = json.loads(text)
except ValueError:
    pass
print(json.dumps({"status": answer.status, "location": answer.headers["Location"], "body": text}))
