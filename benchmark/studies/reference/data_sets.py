"""Every data set with its files and their hashes, what else may stand in a data set's place, and preparations."""

from benchmark import fetching
from benchmark.datasets import DATASETS, PLACES
from benchmark.datasets.facts import Facts, facts_of
from benchmark.preparations import LARGEST, PREPARATIONS, SMALLEST
from benchmark.studies.reference.markdown import code, documentation, page, table, words

INTRODUCTION = """\
`--dataset NAME` takes one. `photos` comes with the suite; `python -m benchmark fetch NAME` brings the others and holds
each file against its size and SHA-256. `--from FOLDER` takes files that you have."""

LICENCES = """\
Licences are those of the images, not of the code, as far as their sources state them. Each photograph's author and
licence stand in `datasets/photos/PROVENANCE.csv`."""

WEIGHTS = """\
`python -m benchmark fetch NAME` brings them too. They are weights of networks that metrics use."""


def data_sets_page() -> str:
    """The page."""
    ours = DATASETS.shipped()
    facts = {name: facts_of(name) for name in ours}
    parts = [
        table(
            ("data set", "images", "MB", "what it is"),
            (_overview(name, facts[name]) for name in ours),
        ),
        "## Licences",
        LICENCES,
        table(("data set", "licence"), ((code(name), words(facts[name].licence)) for name in ours)),
        "## Other places",
        table(("`--dataset`", "what is read"), ((code(name), words(text)) for name, text in PLACES.items())),
        "## Preparations",
        f"Behind any data set, a preparation with a number of pixels, {SMALLEST} to {LARGEST}, changes its images "
        "before they are coded: `kodak@crop256`. Preparation, order and hashes make a data set's fingerprint.",
        table(
            ("preparation", "what it does", "in full"),
            (
                (code(f"@{name}N"), words(one.words), " ".join(documentation(one.apply)))
                for name, one in PREPARATIONS.items()
            ),
        ),
        "## Files",
    ]
    for name in ours:
        rows = ((words(one.url), f"{one.size:,}" if one.size else "", code(one.sha256)) for one in facts[name].sources)
        parts += [f"### {name}", table(("address or path", "bytes", "SHA-256"), rows)]
    weights = (
        (code(name), words(url), f"{size:,}" if size else "not stated", code(sha256))
        for name, url, size, sha256 in _weights()
    )
    parts += ["## Weights of networks", WEIGHTS, table(("name", "address", "bytes", "SHA-256"), weights)]
    return page("Data sets", INTRODUCTION, *parts)


def _overview(name: str, facts: Facts) -> tuple[str, ...]:
    size = sum(one.size or 0 for one in facts.sources) / 1e6
    prepared = "" if facts.preparation == "none" else f"; prepared as {code('@' + facts.preparation)}"
    text = words(DATASETS.summary(name)) + prepared
    return f"[`{name}`](#{name})", f"{facts.images:,}", f"{size:,.0f}", text


def _weights() -> list[tuple[str, str, int | None, str]]:
    return [
        ("inception", fetching.INCEPTION_URL, fetching.INCEPTION_SIZE, fetching.INCEPTION_SHA256),
        *((one.name, one.url, one.size, one.sha256) for one in (fetching.DINOV2, fetching.CLIP)),
        ("vgg16", fetching.VGG16_URL, fetching.VGG16_SIZE, fetching.VGG16_SHA256),
    ]
