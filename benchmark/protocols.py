"""What a paper measures, by one word: `run --protocol cod` takes its data set, patches and metrics.

Each protocol is read in the paper's own evaluation code or text; `source` says where. What the source leaves open is
said, since a number can move with it. A run made under a protocol is drawn over that paper's published points, and over
no others. Imports nothing but errors.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from benchmark.errors import NotComparable, UsageError


@dataclass(frozen=True)
class Protocol:
    """A paper's set-up.

    datasets: specs of data sets, preparation included; the first is taken where none is asked for. metrics: as
    `--metric` has them; metrics_on: those of data sets on which they are others. source: where it was read. left_open:
    what the source does not say, in words. references: how the references of its published points in `reports/anchors`
    begin; none where there are no points.
    """

    name: str
    title: str
    datasets: tuple[str, ...]
    metrics: tuple[str, ...]
    source: str
    left_open: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    metrics_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def metrics_of(self, dataset: str) -> tuple[str, ...]:
        """Those on one of its data sets."""
        return self.metrics_on.get(dataset, self.metrics)

    @property
    def dataset(self) -> str:
        """The data set that is taken where none is asked for."""
        return self.datasets[0]


_FID_NC = ("fid@patch256-nc", "kid-subsets@patch256-nc")
_OF_GLC = ("psnr", "ms_ssim", "lpips", "dists")
_OF_PACKAGES = "its KID draws subsets at random, without a seed; here with torch-fidelity's"

PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "hific2020",
            "HiFiC (Mentzer et al. 2020)",
            ("clic2020-test", "kodak", "div2k-valid"),
            ("psnr", "ms_ssim", "lpips", "fid@patch256-hific", "kid@patch256-hific"),
            "https://arxiv.org/abs/2006.09965, section 4 and appendix A.7",
            (
                "which network LPIPS uses: AlexNet here",
                "its FID and KID use TensorFlow's Inception; torch-fidelity's conversion of it here",
            ),
            ("Mentzer et al. 2020",),
        ),
        Protocol(
            "msillm2023",
            "MS-ILLM (Muckley et al. 2023)",
            ("clic2020-test", "kodak", "div2k-valid"),
            ("psnr", "ms_ssim", "lpips", "dists", *_FID_NC),
            "https://github.com/facebookresearch/NeuralCompression, projects/illm/eval_folder_example.py",
            ("its bits are the size of a pickle; here the whole stream counts", _OF_PACKAGES),
            ("Muckley et al. 2023",),
        ),
        Protocol(
            "perco",
            "PerCo (SD) (Körber et al. 2024)",
            ("coco30k-perco", "kodak@stretch512"),
            ("psnr", "ms_ssim", "lpips", "fid-clean@whole", "kid-clean@whole"),
            "https://github.com/Nikolai10/PerCo, README and src/compression_utils.py",
            (
                "its bits are the sum of its strings, without what says where each ends; here the whole stream counts",
                "its KID draws subsets at random, without a seed; here with one",
            ),
        ),
        Protocol(
            "glc",
            "GLC (Jia et al. 2024)",
            ("kodak", "clic2020-test", "div2k-valid"),
            (*_OF_GLC, "fid@patch64-nc", "kid-subsets@patch64-nc"),
            "https://github.com/jzyustc/GLC, test_image.py and src/utils/metric_utils.py",
            ("its bits are what its entropy model estimates; here the whole stream counts", _OF_PACKAGES),
            metrics_on=dict.fromkeys(("clic2020-test", "div2k-valid"), (*_OF_GLC, *_FID_NC)),
        ),
        Protocol(
            "cod",
            "CoD (Jia et al. 2026)",
            ("kodak@square512",),
            ("psnr", "lpips", "dists", "fid@patch64-nc"),
            "https://github.com/microsoft/GenCodec, CoD/scripts/measure.py and metric.py",
            ("how Kodak's images became 512×512: the centre here, as its trainings cut theirs",),
            ("Jia et al. 2026, CoD",),
        ),
        Protocol(
            "stablecodec",
            "StableCodec (Zhang et al. 2025)",
            ("kodak", "clic2020-test", "div2k-valid"),
            ("psnr", "ms_ssim", "lpips", "dists", *_FID_NC),
            "https://github.com/LuizScarlet/StableCodec, src/evaluate.py",
            ("its MS-SSIM is of luma alone; over all three channels here, so it is not drawn beside it", _OF_PACKAGES),
            ("Zhang et al. 2025, StableCodec",),
        ),
        Protocol(
            "compressai",
            "CompressAI (Bégaint et al. 2020)",
            ("kodak",),
            ("psnr", "ms_ssim"),
            "https://github.com/InterDigitalInc/CompressAI, compressai/utils/eval_model",
            ("bits are those of its entropy coder's payloads; here the whole stream counts",),
            ("CompressAI, published results",),
        ),
    )
}
"""By name, in the order of `list protocols`."""


def protocol_of(name: str) -> Protocol:
    """The protocol called `name`. Raises UsageError with the nearest names."""
    if name in PROTOCOLS:
        return PROTOCOLS[name]
    near = difflib.get_close_matches(name, PROTOCOLS, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(PROTOCOLS)}"
    raise UsageError(f"no protocol is named {name!r}; {hint}")


def dataset_of_protocol(protocol: Protocol, asked: str | None) -> str:
    """The data set to open: `asked` if the protocol has it, its first if none is asked for. Raises UsageError."""
    if asked is None:
        return protocol.dataset
    if asked in protocol.datasets:
        return asked
    raise UsageError(
        f"--dataset {asked}: the protocol {protocol.name} is of {', '.join(protocol.datasets)}; "
        "without --protocol its metrics can be named one by one"
    )


def references_of(names: Iterable[str | None]) -> tuple[str, ...] | None:
    """How references of published points begin that runs under the protocols `names` may stand over; None for any.

    names: of each run, None for a run without a protocol. Raises NotComparable if runs differ in it.
    """
    asked = list(dict.fromkeys(names))
    if len(asked) > 1:
        different = ", ".join("none" if name is None else name for name in asked)
        raise NotComparable(f"the runs were made under different protocols ({different}): no published points fit all")
    name = asked[0] if asked else None
    return None if name is None or name not in PROTOCOLS else PROTOCOLS[name].references
