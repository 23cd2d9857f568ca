"""MS-COCO as papers on generative compression use it: 256x256, centre crop, Lanczos.

Two protocols circulate as "MS-COCO 30k": 30,000 pictures of val2014, and 30,000 names of train2017. Published numbers
seldom say which. `coco30k-val2014` is the first, by a rule that anyone can repeat: the 30,000 pictures of val2014 whose
file names have the smallest SHA-256. A list file of other pictures makes another data set with another fingerprint.
"""

import hashlib
from collections.abc import Iterable

from benchmark.datasets.archives import Archive, Archived

ADDRESS = "http://images.cocodataset.org/zips/"
SIZE = 30_000
PREPARATION = "square256"


def smallest_by_name_hash(files: Iterable[str], size: int = SIZE) -> list[str]:
    """The `size` file names with the smallest SHA-256 (as hexadecimal digits, of the UTF-8 name), sorted by name."""
    by_hash = sorted(files, key=lambda file: hashlib.sha256(file.encode()).hexdigest())
    return sorted(by_hash[:size])


COCO30K_VAL2014 = Archived(
    "coco30k-val2014",
    (
        Archive(
            ADDRESS + "val2014.zip",
            6_645_013_297,
            "fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0",
        ),
    ),
    SIZE,
    PREPARATION,
    smallest_by_name_hash,
)

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
)

open_coco30k_val2014, fetch_coco30k_val2014 = COCO30K_VAL2014.open, COCO30K_VAL2014.fetch
open_coco_val2017, fetch_coco_val2017 = COCO_VAL2017.open, COCO_VAL2017.fetch
