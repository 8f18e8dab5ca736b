"""Certificates of the local stack."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from point_local.machine.pki import Authority, write_secret


def authority(folder: Path, name: str = "test") -> Authority:
    return Authority(name, folder / f"{name}.crt", folder / f"{name}.key")


def verify(signer: Authority, certificate: str, name: str) -> None:
    store = Store([x509.load_pem_x509_certificate(signer.pem.encode())])
    verifier = PolicyBuilder().store(store).build_server_verifier(x509.DNSName(name))
    verifier.verify(x509.load_pem_x509_certificate(certificate.encode()), [])


def test_an_issued_certificate_is_good_for_its_name(tmp_path: Path) -> None:
    ca = authority(tmp_path)
    cert, key = ca.issue("redis.data", ["redis.data", "172.30.0.12"])
    verify(ca, cert, "redis.data")
    assert key.startswith("-----BEGIN PRIVATE KEY-----")
    usage = x509.load_pem_x509_certificate(cert.encode()).extensions.get_extension_for_class(
        x509.ExtendedKeyUsage
    )
    assert set(usage.value) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


def test_it_is_not_good_for_another_name_or_another_authority(tmp_path: Path) -> None:
    ca, other = authority(tmp_path), authority(tmp_path, "other")
    cert, _ = ca.issue("redis.data", ["redis.data"])
    with pytest.raises(VerificationError):
        verify(ca, cert, "mysql.data")
    with pytest.raises(VerificationError):
        verify(other, cert, "redis.data")


def test_an_authority_is_made_once(tmp_path: Path) -> None:
    assert authority(tmp_path).pem == authority(tmp_path).pem


def test_only_the_owner_reads_a_secret_file(tmp_path: Path) -> None:
    write_secret(tmp_path / "key", "secret")
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0
