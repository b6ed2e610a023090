#!/usr/bin/env python3
"""Goldens of image preprocessing: what Pillow reads and resizes, and what transformers' CLIPImageProcessor makes
of it on Pillow's images, as small files and hashes (FNV-1a, 64 bits) of the bytes.

    scripts/goldens/pillow.py [tests/golden/pillow]

Needs Pillow, numpy, transformers, torchvision; cases.json records their versions.
"""
import json
import struct
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import PIL
import torchvision
import transformers
from PIL import Image
from torchvision.transforms import CenterCrop, InterpolationMode, Resize
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

rng = np.random.default_rng(5)
FILTERS = {"bilinear": 2, "bicubic": 3}


def fnv(data: bytes) -> str:
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def noise(*shape, dtype=np.uint8):
    """Noise on a gradient: neither flat nor without structure."""
    top = np.iinfo(dtype).max
    y, x = np.indices(shape[:2])
    ramp = (x * 7 + y * 11) % 256 / 255
    ramp = ramp.reshape(ramp.shape + (1,) * (len(shape) - 2))
    return (np.where(rng.random(shape) < 0.5, ramp, rng.random(shape)) * top).astype(dtype)


def raw_png(path, width, height, depth, colour, rows, extra=b""):
    """A PNG that Pillow cannot write: rows of packed bytes, unfiltered; extra: chunks before IDAT."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    data = b"".join(b"\0" + bytes(row) for row in rows)
    path.write_bytes(b"\x89PNG\r\n\x1a\n"
                     + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)) + extra
                     + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))
    return chunk


def write_images(out):
    def save(name, array, mode=None, **more):
        image = Image.fromarray(array) if mode is None else Image.fromarray(array, mode)
        image.save(out / name, optimize=True, **more)

    save("rgb.png", noise(29, 41, 3))
    save("tall.png", noise(97, 17, 3))  # more than twice as high as wide: Pillow 13's other order of passes
    save("wide.png", noise(9, 131, 3))
    save("line.png", noise(1, 53, 3))
    save("column.png", noise(61, 1, 3))
    save("dot.png", noise(1, 1, 3))
    save("grey.png", noise(23, 31))
    save("grey_alpha.png", noise(23, 31, 2))
    save("rgba.png", noise(19, 27, 4))
    save("bits.png", noise(21, 35) > 127)
    palette = Image.fromarray(noise(33, 25, 3)).quantize(40)
    palette.save(out / "palette.png")
    palette.save(out / "palette_transparent.png", transparency=bytes(range(0, 240, 6)))
    palette.quantize(4).save(out / "palette_2bit.png", bits=2)
    save("grey16.png", np.concatenate([noise(11, 13, dtype=np.uint16), noise(4, 13).astype(np.uint16) * 2]))
    wide = {"rgb16.png": (2, 3), "grey_alpha16.png": (4, 2), "rgba16.png": (6, 4)}
    for name, (colour, channels) in wide.items():
        pixels = noise(10, 12, channels, dtype=np.uint16).astype(">u2")
        raw_png(out / name, 12, 10, 16, colour, [row.tobytes() for row in pixels])
    packed = noise(14, 6)
    raw_png(out / "grey_2bit.png", 24, 14, 2, 0, [row.tobytes() for row in packed])
    raw_png(out / "grey_4bit.png", 12, 14, 4, 0, [row.tobytes() for row in packed])
    key = struct.pack(">I", 6) + b"tRNS" + struct.pack(">HHH", 1, 2, 3)
    key += struct.pack(">I", zlib.crc32(key[4:]))
    raw_png(out / "rgb_key.png", 8, 6, 8, 2, [row.tobytes() for row in noise(6, 8, 3)], key)
    smooth = Image.fromarray(noise(6, 8, 3)).resize((48, 40), 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    smooth.save(out / "rgb.jpg", quality=90, exif=exif)
    smooth.convert("L").save(out / "grey.jpg", quality=90)
    smooth.save(out / "progressive.jpg", quality=85, progressive=True, subsampling=0)
    smooth.convert("CMYK").save(out / "cmyk.jpg", quality=90)


def decoded(out):
    """How Pillow reads each file. JPEG decoders differ by a few steps, so that those come with their pixels."""
    cases = []
    for path in sorted(out.glob("*.png")) + sorted(out.glob("*.jpg")):
        if path.stem.endswith("_expected"):
            continue
        with Image.open(path) as image:
            mode, rgb = image.mode, image.convert("RGB")
        case = {"file": path.name, "mode": mode, "width": rgb.width, "height": rgb.height}
        if path.suffix == ".jpg":
            case["expected"] = path.stem + "_expected.png"
            rgb.save(out / case["expected"], optimize=True)
        else:
            case["pixels"] = fnv(rgb.tobytes())
        cases.append(case)
    return cases


def resized(out):
    sizes = [(1, 1), (7, 5), (16, 16), (41, 29), (64, 90), (33, 1), (3, 77), (200, 12)]
    cases = []
    for name in ("rgb.png", "tall.png", "wide.png", "line.png", "column.png", "dot.png", "palette.png"):
        image = Image.open(out / name).convert("RGB")
        for width, height in sizes:
            for label, number in FILTERS.items():
                rows_first = image.resize((width, image.height), number).resize((width, height), number)
                cases.append({"file": name, "width": width, "height": height, "filter": label,
                              "pixels": fnv(image.resize((width, height), number).tobytes()),
                              "rows_first": fnv(rows_first.tobytes())})
    return cases


def clip(out):
    """CLIPImageProcessor by Pillow; the values are hashed in the order (height, width, channel)."""
    half = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    configs = [
        {"size": 16, "crop_size": 16},
        {"size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 16}, **half},
        {"size": {"shortest_edge": 15}, "crop_size": 15, "resample": 2},
        {"size": {"height": 24, "width": 18}, "crop_size": {"height": 11, "width": 17}},
        {"size": {"height": 24, "width": 18}, "do_center_crop": False, "rescale_factor": 1 / 127.5},
        {"do_resize": False, "crop_size": 33},
        {"do_resize": False, "crop_size": {"height": 20, "width": 50}, "do_normalize": False},
        {"size": 16, "crop_size": 16, "do_rescale": False},
        {"size": 9, "crop_size": 14, "do_rescale": False, "do_normalize": False},
    ]
    cases = []
    for name in ("rgb.png", "tall.png", "wide.png", "grey.png", "rgba.png", "grey16.png", "column.png"):
        # transformers 5 would lay what is transparent on white; before, and here, alpha is dropped
        image = Image.open(out / name).convert("RGB")
        for config in configs:
            values = CLIPImageProcessorPil(**config)(image, return_tensors="np")["pixel_values"][0]
            plain = {**config, "do_rescale": False, "do_normalize": False}
            pixels = CLIPImageProcessorPil(**plain)(image, return_tensors="np")["pixel_values"][0]
            values, pixels = values.transpose(1, 2, 0), pixels.transpose(1, 2, 0)
            cases.append({"file": name, "config": config, "crop": "hf", "width": pixels.shape[1],
                          "height": pixels.shape[0], "pixels": fnv(pixels.astype(np.uint8).tobytes()),
                          "values": fnv(np.ascontiguousarray(values, np.float32).tobytes())})
    return cases


def torchvision_crops(out):
    cases = []
    for name in ("rgb.png", "tall.png", "wide.png", "grey.png"):
        for size, crop in ((16, 16), (17, 16), (23, 20), (16, 9), (18, 15), (10, 14)):
            image = Image.open(out / name).convert("RGB")
            image = CenterCrop(crop)(Resize(size, InterpolationMode.BICUBIC)(image))
            cases.append({"file": name, "config": {"size": size, "crop_size": crop}, "crop": "openai",
                          "width": crop, "height": crop, "pixels": fnv(image.tobytes())})
    return cases


def main():
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[2] / "tests" / "golden" / "pillow")
    out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    write_images(out)
    cases = {
        "versions": {"pillow": PIL.__version__, "numpy": np.__version__,
                     "transformers": transformers.__version__, "torchvision": torchvision.__version__},
        "decoded": decoded(out), "resized": resized(out), "clip": clip(out) + torchvision_crops(out)}
    lines = []
    for key, value in cases.items():
        items = [json.dumps(item) for item in value] if isinstance(value, list) else None
        lines.append(f'"{key}": ' + (json.dumps(value) if items is None else "[\n" + ",\n".join(items) + "\n]"))
    (out / "cases.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    size = sum(path.stat().st_size for path in out.iterdir())
    print(f"{out}: {len(list(out.iterdir()))} files, {size} bytes")
    assert size <= 150_000


if __name__ == "__main__":
    main()
