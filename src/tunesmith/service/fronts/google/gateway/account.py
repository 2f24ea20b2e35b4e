"""Who a program says that it is, and a certificate that it believes: made for it, and gone with it."""

import base64
import json
from pathlib import Path

import trustme
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

__all__ = ["HOSTS", "Account", "Certificate"]

HOSTS = ("*.googleapis.com", "localhost", "127.0.0.1")
"""Whose certificate it is."""


class Account:
    """A service account, by whose key the program signs what it sends; nobody else has the key.

    Args:
        folder: Where its file lies.
        project: The project's name.
    """

    def __init__(self, folder: Path, project: str) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.file = folder / "account.json"
        private = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        account = {
            "type": "service_account",
            "project_id": project,
            "private_key_id": "tunesmith",
            "private_key": private.decode(),
            "client_email": f"tunesmith@{project}.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": "https://oauth2.googleapis.com/token",
        }
        self.file.touch(mode=0o600)
        self.file.write_text(json.dumps(account), encoding="utf-8")

    def signed(self, token: str) -> bool:
        """Whether a JSON Web Token (RFC 7519, RS256) was signed by the account."""
        try:
            head, claims, signature = token.split(".")
            self._key.public_key().verify(
                base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)),
                f"{head}.{claims}".encode(),
                padding.PKCS1v15(),
                hashes.SHA256(),
            )
        except (ValueError, InvalidSignature):
            return False
        return True


class Certificate:
    """A certificate for Google's hosts, and a file of roots with the one that vouches for it.

    Args:
        folder: Where the file lies.
        roots: The roots that are believed otherwise, in PEM.
    """

    def __init__(self, folder: Path, roots: bytes) -> None:
        authority = trustme.CA()
        leaf = authority.issue_cert(*HOSTS)
        self.pair = (
            leaf.private_key_pem.bytes(),
            b"".join(part.bytes() for part in leaf.cert_chain_pems),
        )
        self.roots = folder / "roots.pem"
        self.roots.write_bytes(roots.rstrip() + b"\n" + authority.cert_pem.bytes())
