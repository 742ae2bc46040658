#!/usr/bin/env python3
"""The one-time password of a seed (RFC 6238: SHA-1, six digits, thirty seconds), by the standard library alone.

    totp.py SECRET [SECONDS]     base32, as `chancery mfa enrol` shows it; so many seconds from now
"""

import base64
import hmac
import struct
import sys
import time

secret = sys.argv[1].replace(" ", "")
after = int(sys.argv[2]) if len(sys.argv) > 2 else 0
key = base64.b32decode(secret + "=" * (-len(secret) % 8))
tag = hmac.new(key, struct.pack(">Q", (int(time.time()) + after) // 30), "sha1").digest()
at = tag[-1] & 15
print(f"{(struct.unpack('>I', tag[at:at + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}")
