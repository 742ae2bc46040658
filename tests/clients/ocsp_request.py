#!/usr/bin/env python3
"""An OCSP request for a serial of an issuer, whatever its key.

    ocsp_request.py ISSUER SERIAL OUT      DER, hexadecimal, a file
"""
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

issuer = x509.load_der_x509_certificate(open(sys.argv[1], "rb").read())
serial, key = int(sys.argv[2], 16), x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest
name = hashes.Hash(hashes.SHA1())
name.update(issuer.subject.public_bytes())
request = ocsp.OCSPRequestBuilder().add_certificate_by_hash(name.finalize(), key, serial, hashes.SHA1()).build()
open(sys.argv[3], "wb").write(request.public_bytes(serialization.Encoding.DER))
