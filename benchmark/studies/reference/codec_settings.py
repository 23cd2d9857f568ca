"""Every codec with its qualities and settings, from the declarations that parsing obeys."""

from benchmark.codecs import CODECS, PROGRAMS, Codec, open_codec, quality_grid
from benchmark.hfd.bases import CLASSICAL_QUALITIES
from benchmark.registry import settings_of
from benchmark.studies.reference.markdown import code, documentation, page, table, words

UNOPENED = (*PROGRAMS, "images", "hific", "msillm", "upscale", "sd-upscale", "sd-latent", "bpp", "match")
"""Without settings or files there is no such codec; what their qualities are, their own words say."""

INTRODUCTION = """\
A codec spec names a codec and its settings: `NAME` or `NAME:KEY=VALUE,KEY=VALUE`, with quotes around a value that has a
comma in it. It labels the codec in every table. A setting that a codec does not have, or a value out of range, is
refused. `python -m benchmark list codecs --details` adds the sizes of the networks."""

OWN = """\
`./file.py:NAME` is a class or function of yours, `./file.py:NAME:KEY=VALUE` with settings: the parameters of `__init__`
or of the function, converted to their annotations. `./file.py:NAME@python=COMMAND` runs
[in another environment](../how-to/another-environment.md). An installed package offers codecs by name in the
entry-point group `hfd_benchmark.codecs`."""


def codecs_page() -> str:
    """The page. Raises BenchmarkError if a codec's package is not installed."""
    ours = CODECS.shipped()
    overview = table(("codec", "what it is"), ((f"[`{name}`](#{name})", words(CODECS.summary(name))) for name in ours))
    return page("Codecs", INTRODUCTION, overview, *map(_section, ours), "## Your own", OWN)


def _section(name: str) -> str:
    make = CODECS.load(name)
    parts = [f"## {name}", *documentation(make)]
    if name not in UNOPENED:
        parts.append(_facts(open_codec(name)))
    if name == "hfd":
        parts.append("Qualities of `hfd` on another base, and those of the base that they are:")
        parts.append(
            table(
                ("base", "qualities", "of the base"),
                (
                    (code(base), f"1 to {len(qualities)}", ", ".join(map(str, qualities)))
                    for base, qualities in CLASSICAL_QUALITIES.items()
                ),
            )
        )
    settings = settings_of(make, ("device", "spec"))
    if settings:
        rows = [
            (code(one.name), words(one.description), words(one.values), code(one.default) if one.default else "")
            for one in settings
        ]
        parts.append(table(("setting", "what it is", "values", "default"), rows))
    return "\n\n".join(parts)


def _facts(codec: Codec) -> str:
    lines = [f"Qualities by default: {', '.join(f'{quality:g}' for quality in codec.qualities)}{_scale(codec)}."]
    if codec.stochastic:
        lines.append("The image depends on a decoder seed.")
    if trained := getattr(codec, "trained_on", ()):
        lines.append(f"Metrics that its training made small, and that flatter it: {', '.join(map(code, trained))}.")
    return "\n".join(f"- {line}" for line in lines)


def _scale(codec: Codec) -> str:
    if not hasattr(codec, "scale"):
        return ""
    low, high, step = quality_grid(codec)
    between = "any number" if step == 0 else "whole numbers" if step == 1 else f"in steps of 1/{1 / step:g}"
    return f"; from {low:g} to {high:g}, {between}"
