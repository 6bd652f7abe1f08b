"""The operator's private key: ECDSA on P-256, the one curve that every verifier knows."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class EcSigner:
    """Implements `service.usecases.signing_ports.Signer`."""

    def __init__(self, pem: str) -> None:
        """Raises ValueError for what is no unencrypted PEM of a P-256 private key."""
        key = serialization.load_pem_private_key(pem.encode(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            raise ValueError("no key of the curve P-256")
        self._key = key
        self.public_key = (
            key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )
        self.key_id = hashlib.sha256(self.public_key.encode()).hexdigest()

    def sign(self, data: bytes) -> bytes:
        return self._key.sign(data, ec.ECDSA(hashes.SHA256()))
