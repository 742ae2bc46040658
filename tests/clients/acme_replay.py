#!/usr/bin/python3
"""Posts newAccount twice with one nonce, as an attacker who recorded the first request would, and prints the type of
the problem that the second one gets. Usage: acme_replay.py DIRECTORY-URL ROOTS.pem"""

import json
import sys

from cryptography.hazmat.primitives.asymmetric import ec

from acme_wire import Directory, jwk

directory_url, roots = sys.argv[1:3]
directory = Directory(directory_url, roots)
new_account = directory.urls["newAccount"]
key = ec.generate_private_key(ec.SECP256R1())
body = directory.signed(key, new_account, {"jwk": jwk(key)}, "{}")

first = directory.fetch(new_account, body)
if first.status != 201:
    sys.exit(f"the first request was refused: {first.status} {first.read()}")
second = directory.fetch(new_account, body)
if second.status < 400:
    sys.exit("the replay was accepted")
print(json.load(second)["type"])
