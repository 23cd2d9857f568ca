"""Bits per pixel, which every trial has: its facts. It is no entry of METRICS, nobody need ask for it."""

from benchmark.metrics.info import MetricInfo

BPP = MetricInfo(
    "bpp",
    "Rate",
    "image",
    "bits per pixel",
    False,
    0.0,
    None,
    margin="0.5 %",
    tolerance="0.1 %",
    words="bits per pixel",
    parts={
        "whole-byte-string": "8 × the length of all that decode is given, headers included",
        "original-pixels": "divided by the pixels of the original; mean over images, total bits ÷ total pixels besides",
    },
    aspect="fidelity",
)
PROTOCOL = "bpp/whole-byte-string/original-pixels"
