"""What an image is made of: a CycloneDX bill of its Debian packages and Python distributions.

It is read from the image itself, so it can't say anything else than what is in it, and the same image gives
the same bytes: there is neither a date nor a random number in it.
"""

import json
from collections.abc import Iterator, Mapping
from email.parser import HeaderParser
from pathlib import Path
from urllib.parse import quote, urlencode

from point_local.build import image_files

_DPKG = "var/lib/dpkg/status"
_RELEASE = "usr/lib/os-release"
_FORMAT = "1.6"
_IMAGE = "image"

Component = dict[str, str]


def path(archive: Path) -> Path:
    """Where the bill of an image's archive is kept."""
    return archive.with_suffix(".cdx.json")


def ensure(archive: Path, name: str) -> Path:
    """Write the bill of the image `name` (repository:tag) beside its archive, unless it is there."""
    bill = path(archive)
    if not bill.exists() or bill.stat().st_mtime_ns < archive.stat().st_mtime_ns:
        bill.write_text(make(archive, name))
    return bill


def make(archive: Path, name: str) -> str:
    """The bill as CycloneDX JSON."""
    files = image_files.listing(archive)
    wanted = {_DPKG, _RELEASE} | {p for p in files if p.endswith(".dist-info/METADATA")}
    texts = image_files.read(archive, wanted & files.keys())
    parts = sorted([*_debian(texts), *_python(texts)], key=lambda c: c["bom-ref"])
    repository, _, tag = name.rpartition(":")
    image = {
        "type": "container",
        "bom-ref": _IMAGE,
        "name": repository.rsplit("/", 1)[-1],
        "version": tag,
    }
    bill = {
        "$schema": f"http://cyclonedx.org/schema/bom-{_FORMAT}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": _FORMAT,
        "version": 1,
        "metadata": {"component": image},
        "components": parts,
        "dependencies": [{"ref": _IMAGE, "dependsOn": [p["bom-ref"] for p in parts]}],
    }
    return json.dumps(bill, indent=1) + "\n"


def _debian(texts: Mapping[str, str]) -> Iterator[Component]:
    release = dict(line.split("=", 1) for line in texts.get(_RELEASE, "").splitlines() if "=" in line)
    distro = "debian-" + release.get("VERSION_ID", "unknown").strip('"')
    for paragraph in texts.get(_DPKG, "").split("\n\n"):
        field = HeaderParser().parsestr(paragraph)
        if str(field["Status"]).endswith(" installed"):
            qualifiers = urlencode({"arch": field["Architecture"], "distro": distro})
            yield _component("deb/debian", field["Package"], field["Version"], f"?{qualifiers}")


def _python(texts: Mapping[str, str]) -> Iterator[Component]:
    for file, text in texts.items():
        if file.endswith("/METADATA"):
            field = HeaderParser().parsestr(text)
            yield _component("pypi", field["Name"].lower().replace("_", "-"), field["Version"])


def _component(kind: str, name: str, version: str, qualifiers: str = "") -> Component:
    purl = f"pkg:{kind}/{quote(name)}@{quote(version, safe=':')}{qualifiers}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
