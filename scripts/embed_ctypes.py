#!/usr/bin/env python3
"""How well each text fits an image, through the C interface and Python's own ctypes alone.
usage: embed_ctypes.py LIBRARY CLIP_FOLDER IMAGE TEXT TEXT..    (LIBRARY: PREFIX/lib/libgmail.so)"""
import ctypes as c
import sys


class Sizes(c.Structure):  # gmail_sizes
    _fields_ = [(name, c.c_int64) for name in ("embedding", "image_size", "context", "vocabulary")] + [
        ("logit_scale", c.c_double), ("has_adapter", c.c_int32)]


def main(library, folder, image, *texts):
    gmail = c.CDLL(library)
    gmail.gmail_version.restype = gmail.gmail_last_error.restype = c.c_char_p

    def call(function, *arguments):
        if getattr(gmail, "gmail_" + function)(*arguments) != 0:
            sys.exit(gmail.gmail_last_error().decode())

    def strings(values):
        return (c.c_char_p * len(values))(*[v.encode() for v in values])

    def floats(count):
        return (c.c_float * count)()

    model, sizes, n = c.c_void_p(), Sizes(), len(texts)
    call("model_open", folder.encode(), None, c.byref(model))
    call("model_sizes", model, c.byref(sizes))
    width = sizes.embedding
    images, words, cosines = floats(width), floats(n * width), floats(n)
    call("embed_files", model, 0, strings([image]), c.c_size_t(1), images, c.c_size_t(width))
    call("embed_texts", model, strings(texts), c.c_size_t(n), words, c.c_size_t(n * width))
    call("similarity", images, c.c_size_t(1), words, c.c_size_t(n), c.c_size_t(width), cosines)
    print("gmail", gmail.gmail_version().decode())
    for text, cosine in zip(texts, cosines):
        print(f"{cosine:.4f}\t{text}")
    call("model_close", model)


main(*sys.argv[1:]) if len(sys.argv) > 4 else sys.exit(__doc__)
