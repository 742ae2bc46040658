#!/usr/bin/env python3
"""A leaf, its chain, its roots and its issuer's CRL, judged by the OpenSSL inside `cryptography`: ML-DSA is younger than the
openssl of the system. Prints "good" or "revoked"; fails where a signature, a name or a usage does not fit.

    chain.py LEAF CHAIN ROOTS CRL      PEM, the leaf and the CRL in DER too
"""
import sys

from cryptography import x509


def certificates(path):
    data = open(path, "rb").read()
    if data.startswith(b"-----"):
        return x509.load_pem_x509_certificates(data)
    return [x509.load_der_x509_certificate(data)]


def usage(certificate):
    return certificate.extensions.get_extension_for_class(x509.KeyUsage).value


leaf, chain, roots = (certificates(path) for path in sys.argv[1:4])
crl = x509.load_der_x509_crl(open(sys.argv[4], "rb").read())
path = [leaf[0]] + [one for one in chain if one.subject != leaf[0].subject]
while path[-1].issuer != path[-1].subject:
    path.append(next(one for one in chain + roots if one.subject == path[-1].issuer and one not in path))
assert path[-1] in roots, "it ends in no root"
for below, above in zip(path, path[1:] + path[-1:]):
    below.verify_directly_issued_by(above)
    assert usage(above).key_cert_sign and usage(above).crl_sign, above.subject
issuer = path[1]
assert crl.issuer == issuer.subject and crl.is_signature_valid(issuer.public_key()), "not this issuer's CRL"
leaf = path[0]
if "MLDSA" in type(leaf.public_key()).__name__:
    bits = usage(leaf)
    assert bits.digital_signature and not (bits.key_encipherment or bits.data_encipherment or bits.key_agreement)
print("revoked" if crl.get_revoked_certificate_by_serial_number(leaf.serial_number) else "good")
