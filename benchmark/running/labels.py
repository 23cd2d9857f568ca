"""What the codecs of a run are called: a spec labels itself, or has a label of the user's; an object needs one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmark.codecs import CODECS, IMAGES, open_codec, parse_codec_spec
from benchmark.errors import UsageError
from benchmark.reconstructions import bits_of, marked
from benchmark.running.plan import choose_codecs
from benchmark.running.target import Target, around

LONGEST = 60
BREAKS_A_TABLE = '|=,"\\`'
"""They end a cell, a setting, or an item of a list."""

Chosen = dict[str, Any]
"""Label -> codec spec (str), or an object with `encode` and `decode`."""


def parse_labels(options: Iterable[str], only: str = "") -> dict[str, str]:
    """What the --label options say, "SPEC=Ours": codec spec -> label. Raises UsageError.

    only: the one codec spec that was asked for, to which a label alone belongs; "" where there are others.
    """
    labels: dict[str, str] = {}
    for option in options:
        spec, equals, label = option.rpartition("=")
        if not equals and only:
            spec, equals = only, "="
        if not equals or not spec:
            raise UsageError(
                f"--label {option}: it is SPEC=LABEL, such as ./my_codec.py:MyCodec=Ours; of a single codec LABEL"
            )
        if labels.setdefault(spec, label) != label:
            raise UsageError(f"--label: {spec} has two labels, {labels[spec]!r} and {label!r}")
        check_label(label)
    return labels


def check_label(label: object) -> None:
    """Raises UsageError on a label that no table could show."""
    if not isinstance(label, str):
        raise UsageError(f"label {label!r}: a label is a string")
    if not label.strip():
        raise UsageError("a codec's label is empty")
    breaking = [letter for letter in label if letter in BREAKS_A_TABLE or not letter.isprintable()]
    if breaking:
        raise UsageError(f"label {label!r}: {breaking[0]!r} would break a table; leave it out")
    if label != label.strip() or len(label) > LONGEST:
        raise UsageError(f"label {label!r}: at most {LONGEST} characters, without spaces around them")


def name_codecs(
    codecs: Sequence[Any] | Mapping[str, Any], only: bool, options: Iterable[str], target: Target | None
) -> Chosen:
    """The codecs of a run by label, in its order. Raises UsageError on labels that cannot stand beside one another.

    codecs: specs, or objects, which are then labelled by their class; or label -> spec or object. only: as in
    `choose_codecs`, for specs without labels of a mapping. options: as in `parse_labels`.
    """
    asked = [] if isinstance(codecs, Mapping) else list(codecs)
    labels = parse_labels(options, asked[0] if len(asked) == 1 and isinstance(asked[0], str) else "")
    if isinstance(codecs, Mapping):
        for label, codec in codecs.items():
            if label != codec:
                check_label(label)
        chosen = list(codecs.items())
    else:
        objects = [codec for codec in codecs if not isinstance(codec, str)]
        specs = [codec for codec in codecs if isinstance(codec, str)]
        if specs or not objects:
            specs = choose_codecs(specs, only or bool(objects))
        chosen = [(labels.get(spec, spec), spec) for spec in specs]
        chosen += [(type(codec).__name__, codec) for codec in objects]
    if target is not None:
        chosen = _around(target, chosen)
    unknown = [spec for spec in labels if spec not in (_searched(codec, target) for _, codec in chosen)]
    if unknown:
        there = ", ".join(codec for _, codec in chosen if isinstance(codec, str))
        raise UsageError(f"--label {unknown[0]}=…: this run has no such codec; there are {there}")
    found: Chosen = {}
    for label, codec in chosen:
        if label in found:
            raise UsageError(f"two codecs are called {label!r}; a label of its own for each")
        found[label] = codec
    for label, codec in found.items():
        if label != codec and (label in CODECS or label in specs_of(found).values() or _is_spec(label)):
            raise UsageError(f"label {label!r} is another codec's spec; choose another label")
    return found


def with_marks(chosen: Mapping[str, Any]) -> dict[str, str]:
    """Label -> label with the mark of its bits, where images stand in a codec's place. Raises as `open_codec` does.

    It is the codec's name in the run from here on, so that no table, plot or file shows it without.
    """
    marks = {}
    for label, codec in chosen.items():
        is_spec_of_images = isinstance(codec, str) and parse_codec_spec(codec).name == IMAGES
        marks[label] = marked(label, bits_of(open_codec(codec) if is_spec_of_images else codec))
    if twice := next((label for label in marks.values() if list(marks.values()).count(label) > 1), None):
        raise UsageError(f"two codecs are called {twice!r}; a label of its own for each")
    return marks


def specs_of(chosen: Mapping[str, Any]) -> dict[str, str]:
    """Label -> spec, of those that have one."""
    return {label: codec for label, codec in chosen.items() if isinstance(codec, str)}


def _around(target: Target, chosen: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """As `around` does with specs; a codec that is searched for each image keeps the label that the user gave it."""
    objects = [label for label, codec in chosen if not isinstance(codec, str)]
    if objects and target.per_image:
        raise UsageError(f"--per image searches for codecs that have a spec; {objects[0]} is an object")
    known = [label for label, _ in chosen] + [codec for _, codec in chosen if isinstance(codec, str)]
    if target.match is not None and target.match not in known:
        chosen = [(target.match, target.match), *chosen]
    if not target.per_image:
        return chosen
    return [
        (final if label == spec else label, final) for label, spec in chosen for final in [around(target, [spec])[-1]]
    ]


def _searched(codec: Any, target: Target | None) -> Any:
    """The spec that the user wrote for it."""
    if target is None or not target.per_image or not isinstance(codec, str):
        return codec
    spec = parse_codec_spec(codec)
    if spec.name not in ("bpp", "match"):
        return codec
    inner = spec.settings["spec"]
    return inner.rpartition("~")[0] if spec.name == "match" else inner


def _is_spec(label: str) -> bool:
    """Whether it names a codec with settings, such as hfd:decoder=flow; a table that shows it would lie."""
    try:
        spec = parse_codec_spec(label)
    except UsageError:
        return False
    return spec.name in CODECS or spec.file is not None
