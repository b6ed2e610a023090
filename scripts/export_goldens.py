#!/usr/bin/env python3
"""Writes tests/golden/: small inputs and the results that other programs get from them. They are committed, so that the
tests need no Python; this script is run again only when a golden is added or changed.

    scripts/export_goldens.py [NAME ..] [--out tests/golden] [--list]

Each module of scripts/goldens/ is one NAME: it has NEEDS, the packages whose results it stores, and write(out, versions),
which writes one or more folders below `out`. The versions below are the ones that the committed files were made with;
another version is refused, because a difference would then have two possible causes. Every golden.safetensors says in its
metadata which versions made it and how far a result may be off ("tolerance.NAME").

    python3 -m venv .venv && .venv/bin/pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2 Pillow==13.0.0 ..
"""

import argparse
import importlib
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

VERSIONS = {
    "torch": "2.15.0",
    "transformers": "5.24.0",
    "peft": "0.21.2",
    "open_clip_torch": "3.3.0",
    "Pillow": "13.0.0",
    "numpy": "2.4.6",
    "tokenizers": "0.23.3",
    "safetensors": None,  # writes the files; their bytes are the format's
}
MOST_FOLDER, MOST_ALL = 200 << 10, 1500 << 10  # bytes


def found_version(package):
    try:
        return version(package).split("+")[0]  # "2.15.0+cu132" is 2.15.0
    except PackageNotFoundError:
        return None


def check_versions(packages):
    found = {package: found_version(package) for package in packages}
    wrong = [f"{p} {found[p] or 'is missing'}, expected {VERSIONS[p] or 'any'}" for p in packages
             if found[p] is None or VERSIONS[p] not in (None, found[p])]
    if wrong:
        sys.exit("export_goldens.py: other versions than the goldens were made with: " + "; ".join(wrong))
    return found


def check_sizes(out):
    sizes = {folder: sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
             for folder in sorted(out.iterdir()) if folder.is_dir()}
    for folder, size in sizes.items():
        print(f"{folder}: {size / 1024:.0f} KiB")
        if size > MOST_FOLDER:
            sys.exit(f"{folder}: more than {MOST_FOLDER >> 10} KiB")
    if sum(sizes.values()) > MOST_ALL:
        sys.exit(f"{out}: {sum(sizes.values()) >> 10} KiB, more than {MOST_ALL >> 10}")


def main():
    root = Path(__file__).resolve().parent
    names = sorted(f.stem for f in (root / "goldens").glob("*.py") if f.stem not in ("__init__", "common"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(names)}; all without one")
    parser.add_argument("--out", type=Path, default=root.parent / "tests" / "golden")
    parser.add_argument("--list", action="store_true", help="only say which there are")
    args = parser.parse_args()
    if args.list:
        return print("\n".join(names))
    unknown = [name for name in args.names if name not in names]
    if unknown:
        parser.error(f"no golden {', '.join(unknown)}; there are {', '.join(names)}")
    os.environ["OMP_NUM_THREADS"] = "1"  # sums in one order
    sys.path.insert(0, str(root))
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.names or names:
        module = importlib.import_module(f"goldens.{name}")
        module.write(args.out, check_versions(module.NEEDS))
    return check_sizes(args.out)


if __name__ == "__main__":
    main()
