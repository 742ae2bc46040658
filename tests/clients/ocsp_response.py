#!/usr/bin/env python3
"""An OCSP response, judged by the OpenSSL inside `cryptography`: ML-DSA is younger than the openssl of the system. Prints `good`,
`revoked` or `unknown` and the type of the responder's key; fails where its responder is not delegated by the issuer, or did not sign it.

    ocsp_response.py RESPONSE ISSUER SERIAL      DER, DER, hexadecimal
"""
import sys

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp

response = ocsp.load_der_ocsp_response(open(sys.argv[1], "rb").read())
issuer = x509.load_der_x509_certificate(open(sys.argv[2], "rb").read())
assert response.response_status == ocsp.OCSPResponseStatus.SUCCESSFUL
assert response.serial_number == int(sys.argv[3], 16), "of another certificate"
(responder,) = response.certificates
responder.verify_directly_issued_by(issuer)
assert response.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(responder.public_key()).digest
usage = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
assert list(usage) == [x509.oid.ExtendedKeyUsageOID.OCSP_SIGNING]
responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
key, signed = responder.public_key(), (response.signature, response.tbs_response_bytes)
if isinstance(key, ec.EllipticCurvePublicKey):
    key.verify(*signed, ec.ECDSA(response.signature_hash_algorithm))
elif isinstance(key, rsa.RSAPublicKey):
    key.verify(*signed, padding.PKCS1v15(), response.signature_hash_algorithm)
else:
    key.verify(*signed)
print(response.certificate_status.name.lower(), type(key).__name__)
