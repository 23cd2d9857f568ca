"""MS-COCO as papers on generative compression use it.

Several sets circulate as "MS-COCO 30k", and published numbers seldom say which. `coco30k-val2014` follows a rule that
anyone can repeat: the 30,000 images of val2014 whose file names have the smallest SHA-256, at 256x256 (centre square,
Lanczos). `coco30k-perco` and `coco30k-taco` are the lists of PerCo (SD) and TACO, which lie in `lists/` with their
origin: PerCo's are images of train2017, made 512x512 by a bicubic resize that does not keep their shape
(`src/compression_utils.py`), TACO's of val2014 as they are.
"""

import hashlib
import lzma
from collections.abc import Iterable
from pathlib import Path

from benchmark.datasets.archives import Archive, Archived

ADDRESS = "http://images.cocodataset.org/zips/"
SIZE = 30_000
PREPARATION = "square256"
LICENCE = "the images are not the COCO Consortium's, and Flickr's terms of use apply, says the source"
LISTS = Path(__file__).parent / "lists"


def smallest_by_name_hash(files: Iterable[str], size: int = SIZE) -> list[str]:
    """The `size` file names with the smallest SHA-256 (as hexadecimal digits, of the UTF-8 name), sorted by name."""
    by_hash = sorted(files, key=lambda file: hashlib.sha256(file.encode()).hexdigest())
    return sorted(by_hash[:size])


def names_of(name: str) -> list[str]:
    """The file names of the list `name` in `lists/`, sorted."""
    return lzma.decompress((LISTS / f"{name}.txt.xz").read_bytes()).decode().split()


def listed_of_perco(files: Iterable[str]) -> list[str]:
    """Those of `files` that PerCo's list names."""
    return sorted(set(files) & set(names_of("coco30k-perco")))


def listed_of_taco(files: Iterable[str]) -> list[str]:
    """Those of `files` that TACO's list names."""
    return sorted(set(files) & set(names_of("coco30k-taco")))


VAL2014 = Archive(
    ADDRESS + "val2014.zip",
    6_645_013_297,
    "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
)
TRAIN2017 = Archive(
    ADDRESS + "train2017.zip",
    19_336_861_798,
    "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
)

COCO30K_VAL2014 = Archived(
    "coco30k-val2014",
    (VAL2014,),
    SIZE,
    PREPARATION,
    smallest_by_name_hash,
    LICENCE,
)
COCO30K_PERCO = Archived("coco30k-perco", (TRAIN2017,), SIZE, "stretch512", listed_of_perco, LICENCE)
COCO30K_TACO = Archived("coco30k-taco", (VAL2014,), 30_504, choose=listed_of_taco, licence=LICENCE)

COCO_VAL2017 = Archived(
    "coco-val2017",
    (
        Archive(
            ADDRESS + "val2017.zip",
            815_585_330,
            "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
        ),
    ),
    5_000,
    PREPARATION,
    licence=LICENCE,
)

open_coco30k_val2014, fetch_coco30k_val2014 = COCO30K_VAL2014.open, COCO30K_VAL2014.fetch
open_coco30k_perco, fetch_coco30k_perco = COCO30K_PERCO.open, COCO30K_PERCO.fetch
open_coco30k_taco, fetch_coco30k_taco = COCO30K_TACO.open, COCO30K_TACO.fetch
open_coco_val2017, fetch_coco_val2017 = COCO_VAL2017.open, COCO_VAL2017.fetch
