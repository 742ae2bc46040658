#!/usr/bin/python3
"""Verifies a transparency log knowing only the C2SP documents: tlog-tiles, tlog-checkpoint and signed-note. It knows
nothing of Chancery.

Usage: tlog_verify.py BASE VERIFIER-KEY-FILE [ROOTS.pem TOKEN-FILE]

BASE is a folder, or a URL; with a URL, ROOTS.pem and TOKEN-FILE are used for HTTPS and for the entry bundles.
Prints the tree's size and root. Exits with an explanation when something does not hold."""

import base64
import hashlib
import pathlib
import ssl
import struct
import sys
import urllib.request

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

base, key_file = sys.argv[1:3]
context, token = None, None
if len(sys.argv) > 3:
    context = ssl.create_default_context(cafile=sys.argv[3])
    token = pathlib.Path(sys.argv[4]).read_text().strip()


def read(path):
    if not base.startswith("http"):
        return pathlib.Path(base, path).read_bytes()
    request = urllib.request.Request(f"{base}/{path}", headers={"Authorization": f"Bearer {token}"})
    return urllib.request.urlopen(request, context=context, timeout=30).read()


def leaf_hash(data):
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes):
    """RFC 6962 section 2.1, for any number of leaves."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    while len(hashes) > 1:
        pairs = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes) - 1, 2)]
        hashes = pairs + ([hashes[-1]] if len(hashes) % 2 else [])
    return hashes[0]


def check_note(note, verifier_key):
    """signed-note: text, an empty line, signature lines; the key's name and hash must match, and the signature."""
    name, key_hash, material = verifier_key.split("+", 2)
    material = base64.b64decode(material)
    if material[0] != 1:
        sys.exit(f"key type {material[0]} is not Ed25519")
    expected = hashlib.sha256(name.encode() + b"\n" + material).digest()[:4]
    if expected.hex() != key_hash:
        sys.exit("the verifier key's hash does not match its name and key")
    text, signatures = note.decode().split("\n\n", 1)
    text += "\n"
    for line in signatures.splitlines():
        dash, signer, signature = line.split(" ")
        signature = base64.b64decode(signature)
        if dash == "\u2014" and signer == name and signature[:4] == expected:
            Ed25519PublicKey.from_public_bytes(material[1:]).verify(signature[4:], text.encode())
            return text
    sys.exit("no signature by the log's key")


def index_path(n):
    """tlog-tiles: 1234067 becomes x001/x234/067."""
    parts = [f"{n % 1000:03d}"]
    while n >= 1000:
        n //= 1000
        parts.insert(0, f"x{n % 1000:03d}")
    return "/".join(parts)


def tile(prefix, n, width):
    return read(f"tile/{prefix}/{index_path(n)}" + (f".p/{width}" if width < 256 else ""))


checkpoint = check_note(read("checkpoint"), pathlib.Path(key_file).read_text().strip())
origin, size, root = checkpoint.splitlines()[:3]
size = int(size)

# The entries, from bundles: each with its length as a big-endian uint16 before it.
leaves = []
for n in range((size + 255) // 256):
    width = min(256, size - n * 256)
    bundle, at = tile("entries", n, width), 0
    for _ in range(width):
        (length,) = struct.unpack_from(">H", bundle, at)
        leaves.append(leaf_hash(bundle[at + 2 : at + 2 + length]))
        at += 2 + length
    if at != len(bundle):
        sys.exit(f"entry bundle {n} has {len(bundle) - at} bytes too many")
if base64.b64encode(root_of(leaves)).decode() != root:
    sys.exit("the entries do not hash to the checkpoint's root")

# Every tile of every level, recomputed from the level below.
level, hashes = 0, leaves
while hashes:
    for n in range((len(hashes) + 255) // 256):
        part = hashes[n * 256 : n * 256 + 256]
        if tile(level, n, len(part)) != b"".join(part):
            sys.exit(f"tile {level}/{n} does not hold the hashes of its subtrees")
    hashes = [root_of(hashes[n * 256 : n * 256 + 256]) for n in range(len(hashes) // 256)]
    level += 1

print(size, root)
