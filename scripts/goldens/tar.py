#!/usr/bin/env python3
"""Writes tests/golden/tar/: small archives by Python's tarfile and by GNU tar, for tests/test_tar.cpp.

    scripts/goldens/tar.py [FOLDER]

Made with CPython 3.11's tarfile and GNU tar 1.34. Needs nothing but Python and GNU tar. The archives are cut
behind their two end blocks, for tar pads them with zeros to 10,240 bytes. Every archive NAME.tar has
beside it NAME.list, what must be read of it: lines "OFFSET SIZE FIRST_BYTES_IN_HEX NAME".
"""
import io
import os
import subprocess
import sys
import tarfile
import tempfile

LONG = "long/" + "n" * 120 + "/" + "0123456789" * 9 + ".txt"
FILES = [  # name, bytes: two samples, an empty file, exactly one block, names of every kind
    ("000000000.jpg", b"\xff\xd8 not quite a picture"),
    ("000000000.txt", b"a red cube"),
    ("000000001.jpg", b"\xff\xd8" + b"x" * 510),
    ("000000001.txt", "ein rotes Haus, \u4e00\u5ea7\u7ea2\u8272\u7684\u623f\u5b50".encode()),
    ("empty.txt", b""),
    ("a folder/\u00fcber \u4e2d\u6587.txt", b"unicode"),
    ("p" * 60 + "/" + "q" * 60 + ".txt", b"a prefix in ustar"),
    (LONG, b"a long name"),
]


def by_python(form, files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        folder = tarfile.TarInfo("a folder")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(folder)
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), 1700000000
            archive.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "l" * 120 if form != tarfile.USTAR_FORMAT else "empty.txt"
        archive.addfile(link)
    return out.getvalue()


def by_gnu(form, files):
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files:
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as out:
                out.write(data)
        options = ["--sort=name", "--mtime=@1700000000", "--owner=0", "--group=0", "--numeric-owner",
                   "--mode=u=rw,a=rX"]
        if form == "pax":
            options.append("--pax-option=delete=atime,delete=ctime")
        return subprocess.run(["tar", "-C", folder, "--format=" + form, *options, "-cf", "-", "."], check=True,
                              capture_output=True).stdout


def cut(archive):
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as file:
        end = max(m.offset_data + (m.size + 511) // 512 * 512 * m.isreg() for m in file)
    assert not any(archive[end:]) and len(archive) >= end + 1024
    return archive[:end + 1024]


def write(folder, name, archive):
    archive = cut(archive)
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as file:
        lines = []
        for m in filter(tarfile.TarInfo.isreg, file):
            head = archive[m.offset_data:m.offset_data + min(4, m.size)].hex()
            lines.append(f"{m.offset_data} {m.size} {head or '-'} {m.name}\n")
    with open(os.path.join(folder, name + ".tar"), "wb") as out:
        out.write(archive)
    with open(os.path.join(folder, name + ".list"), "w", encoding="utf-8") as out:
        out.writelines(lines)
    print(f"{name}: {len(archive)} bytes, {len(lines)} members")


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(
        os.path.dirname(__file__), "../../tests/golden/tar")
    os.makedirs(folder, exist_ok=True)
    short = [f for f in FILES if f[0] != LONG]
    write(folder, "python_ustar", by_python(tarfile.USTAR_FORMAT, short))
    write(folder, "python_gnu", by_python(tarfile.GNU_FORMAT, FILES))
    write(folder, "python_pax", by_python(tarfile.PAX_FORMAT, FILES))
    for form in ["v7", "ustar", "gnu", "pax"]:
        plain = [f for f in FILES if len(f[0].encode()) < 90]
        write(folder, "gnu_" + form, by_gnu(form, {"v7": plain, "ustar": short}.get(form, FILES)))


if __name__ == "__main__":
    main()
