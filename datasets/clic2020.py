"""CLIC2020: images of the Challenge on Learned Image Compression, 2020. Three different sets circulate as "CLIC"."""

from benchmark.datasets.archives import Archive, Archived

ADDRESS = "https://data.vision.ee.ethz.ch/cvl/clic/"

TEST = Archived(
    "clic2020-test",
    (
        Archive(
            ADDRESS + "test/CLIC2020Mobile_test.zip",
            721_789_976,
            "2025f07a6c652270e534640de4271feef3b3dd3260beed4ac4821064837aa732",
            "mobile",
        ),
        Archive(
            ADDRESS + "test/CLIC2020Professional_test.zip",
            891_643_809,
            "857df244fc2bfa5da28d4c66bf0db16ee99bfc79eb807be8afa89cd507852884",
            "professional",
        ),
    ),
    428,
)
"""178 mobile and 250 professional images: the set of HiFiC, MS-ILLM and HFD."""

PROFESSIONAL_VALID = Archived(
    "clic2020-professional-valid",
    (
        Archive(
            ADDRESS + "professional_valid_2020.zip",
            134_834_429,
            "00be38092ade2ab5163b65f7f6523d46c7bca147007f559adbb02c0afc236b7d",
        ),
    ),
    41,
)

MOBILE_VALID = Archived(
    "clic2020-mobile-valid",
    (
        Archive(
            ADDRESS + "mobile_valid_2020.zip",
            236_556_531,
            "ff0280382eeb32fdceb28c81a7f47ac9ad86d933ebe901680845635d04e47a10",
        ),
    ),
    61,
)

open_test, fetch_test = TEST.open, TEST.fetch
open_professional_valid, fetch_professional_valid = PROFESSIONAL_VALID.open, PROFESSIONAL_VALID.fetch
open_mobile_valid, fetch_mobile_valid = MOBILE_VALID.open, MOBILE_VALID.fetch
