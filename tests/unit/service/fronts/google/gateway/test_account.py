"""Who may ask: the program that was given the account, and nobody else."""

import base64
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from google.auth import crypt, jwt

from tunesmith.service.fronts.google.gateway.account import Account, Certificate

_JWT: Any = jwt


def test_what_google_s_library_signs_with_the_file_is_known(tmp_path: Path) -> None:
    account = Account(tmp_path, "p")
    told = json.loads(account.file.read_text())

    token = signed(account, {"aud": "x"})

    assert account.signed(token)
    assert told["project_id"] == "p"
    assert account.file.stat().st_mode & 0o077 == 0


def signed(account: Account, claims: dict[str, str]) -> str:
    """Return what Google's own library signs with an account's file."""
    signer: Any = crypt.RSASigner
    token: bytes = _JWT.encode(
        signer.from_service_account_info(json.loads(account.file.read_text())), claims
    )
    return token.decode()


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: token.replace(".", "x", 1),
        lambda token: token[:-20] + "A" * 20,
        lambda token: "",
        lambda token: "a.b.c",
        lambda token: "ä.ö.ü",
        lambda token: "." + token.partition(".")[2],
    ],
)
def test_no_other_token_is(tmp_path: Path, change: object) -> None:
    account = Account(tmp_path, "p")
    token = signed(account, {"aud": "x"})

    assert callable(change)
    assert not account.signed(change(token))


def test_another_account_s_signature_is_not(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    account, other = Account(tmp_path, "p"), Account(tmp_path / "other", "p")

    assert not account.signed(signed(other, {}))
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    assert not account.signed(f"{unsigned}.e30.")


def test_the_roots_hold_those_of_before_and_one_more(tmp_path: Path) -> None:
    before = Certificate(tmp_path, b"").roots.read_bytes()

    certificate = Certificate(tmp_path, before)

    held = x509.load_pem_x509_certificates(certificate.roots.read_bytes())
    assert len(held) == 2
    (leaf, *_) = x509.load_pem_x509_certificates(certificate.pair[1])
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "*.googleapis.com" in names.get_values_for_type(x509.DNSName)
    ssl.create_default_context(cafile=str(certificate.roots))
