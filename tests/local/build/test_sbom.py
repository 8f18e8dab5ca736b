"""A bill of materials names everything that an image holds, and nothing else."""

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from point_local.build import image_files, sbom

DPKG = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.41-12+deb13u1

Package: old
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: tzdata
Status: install ok installed
Architecture: all
Version: 1:2026b-0+deb13u1
"""
METADATA = "Metadata-Version: 2.4\nName: Some_Package\nVersion: 1.2.post1\n\nProse: nothing to read\n"


def layer(files: dict[str, tuple[str, int]], links: tuple[str, ...] = ()) -> bytes:
    """A layer's archive: text and mode by path."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, (text, mode) in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text.encode()), mode
            archive.addfile(entry, io.BytesIO(text.encode()))
        for path in links:
            entry = tarfile.TarInfo(path)
            entry.type, entry.linkname = tarfile.SYMTYPE, "elsewhere"
            archive.addfile(entry)
    return out.getvalue()


def image(path: Path, *layers: bytes) -> Path:
    names = [f"{i}/layer.tar" for i, _ in enumerate(layers)]
    parts = {
        **dict(zip(names, layers, strict=True)),
        "manifest.json": json.dumps([{"Layers": names}]).encode(),
    }
    with tarfile.open(path, "w") as archive:
        for name, content in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    base = layer(
        {
            "var/lib/dpkg/status": (DPKG, 0o644),
            "usr/lib/os-release": ('NAME="Debian"\nVERSION_ID="13"\n', 0o644),
            "usr/bin/passwd": ("", 0o4755),
            "usr/bin/dash": ("", 0o755),
            "usr/bin/mount": ("", 0o4755),
            "usr/share/menu/bash": ("", 0o644),
        },
        links=("usr/bin/sh",),
    )
    upper = layer(
        {
            "opt/point/lib/python3.13/site-packages/some_package-1.2.dist-info/METADATA": (METADATA, 0o644),
            "usr/bin/.wh.passwd": ("", 0o644),
            "usr/bin/mount": ("", 0o755),
        }
    )
    return image(tmp_path / "image.tar", base, upper)


def test_every_package_and_distribution_is_named(archive: Path) -> None:
    bill = json.loads(sbom.make(archive, "docker.io/library/point-service:0.1.0"))
    assert {(c["name"], c["version"]) for c in bill["components"]} == {
        ("libc6", "2.41-12+deb13u1"),
        ("tzdata", "1:2026b-0+deb13u1"),
        ("some-package", "1.2.post1"),
    }
    assert bill["metadata"]["component"]["name"] == "point-service"
    for component in bill["components"]:
        purl = PackageURL.from_string(component["purl"])
        assert (purl.name, purl.version) == (component["name"], component["version"])
        assert purl.to_string() == component["purl"]


def test_a_bill_is_valid_and_always_the_same(archive: Path) -> None:
    first, second = (sbom.make(archive, "point-service:0.1.0") for _ in range(2))
    assert first == second
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(first) is None


def test_a_bill_is_made_anew_only_for_another_image(archive: Path) -> None:
    bill = sbom.ensure(archive, "point-service:0.1.0")
    bill.write_text("kept")
    assert sbom.ensure(archive, "point-service:0.1.0").read_text() == "kept"
    os.utime(bill, (0, 0))
    assert sbom.ensure(archive, "point-service:0.1.0").read_text() != "kept"


def test_what_a_later_layer_took_away_or_replaced_is_not_found(archive: Path) -> None:
    files = image_files.listing(archive)
    assert image_files.set_id(files) == []
    assert image_files.shells(files) == ["usr/bin/dash", "usr/bin/sh"]


def test_a_program_with_the_rights_of_its_owner_is_found(tmp_path: Path) -> None:
    files = image_files.listing(image(tmp_path / "one.tar", layer({"./usr/bin/passwd": ("", 0o4755)})))
    assert image_files.set_id(files) == ["usr/bin/passwd"]
