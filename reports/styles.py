"""How each codec looks, everywhere: colour, marker and line.

Colours are those of Okabe & Ito (2008), for codecs that have no entry those of Paul Tol's "muted" scheme (2021): both
are made for colour-blind readers. Marker and line differ too, so that a plot survives a grey printer.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

Dashes = tuple[float, ...]


@dataclass(frozen=True)
class Style:
    """color: hexadecimal. marker: matplotlib's letter, empty for none. dashes: in line widths, empty for a solid line.

    filled: whether the marker is filled; codecs with settings of their own have hollow ones. width: of the line, in
    points.
    """

    color: str
    marker: str
    dashes: Dashes
    filled: bool = True
    width: float = 1.2


_SOLID: Dashes = ()
_DASHED: Dashes = (4.0, 1.6)
_DOTTED: Dashes = (1.2, 1.4)
_DASH_DOT: Dashes = (5.0, 1.5, 1.2, 1.5)
_LONG: Dashes = (8.0, 2.0)
_DASH_DOT_DOT: Dashes = (5.0, 1.4, 1.2, 1.4, 1.2, 1.4)

STYLES = {
    "hfd": Style("#D55E00", "o", _SOLID),
    "mse": Style("#0072B2", "s", _DASHED),
    "jpeg": Style("#303030", "^", _DOTTED),
    "webp": Style("#009E73", "v", _DASH_DOT),
    "avif": Style("#CC79A7", "D", _LONG),
    "hific": Style("#E69F00", "P", _DASH_DOT_DOT),
    "jxl": Style("#56B4E9", "X", _DASHED),
}

# Thin, grey and without markers: not measured here. The names stand beside the lines, so the kinds alone differ.
PUBLISHED_STYLES = {
    "classical": Style("#8C8C8C", "", (2.0, 2.0), width=0.8),
    "distortion": Style("#6A6A6A", "", (6.0, 2.5), width=0.8),
    "perceptual": Style("#6A6A6A", "", (8.0, 2.0, 2.0, 2.0, 2.0, 2.0), width=0.8),
    "generative": Style("#6A6A6A", "", (8.0, 2.0, 2.0, 2.0), width=0.8),
}
"""How published curves look, by kind."""

_OTHER_COLORS = ("#332288", "#117733", "#882255", "#44AA99", "#AA4499", "#999933", "#CC6677")
_OTHER_MARKERS = ("p", "<", "d", "h", ">", "*", "8")  # none of STYLES'
_HOLLOW_MARKERS = ("s", "^", "d", "p", "v", "o", "<", "P", "h", ">", "D")
_OTHER_DASHES = (_SOLID, _DASHED, _DASH_DOT, _LONG, _DASH_DOT_DOT)
_SHADES = (0.0, -0.45, 0.45, -0.7)
"""Of a codec's colour, for its variants: the share of black, below 0, or of white that is mixed in."""
_DARK, _SHADES_OF_DARK = 80, (0.0, 0.3, 0.5, 0.7)
"""Channels all below this are dark: black mixed into them would not be seen."""


def codec_styles(labels: Iterable[str]) -> dict[str, Style]:
    """A style for each label, a codec spec or one with its run: "hfd", "hfd:decoder=flow", "hfd (run 2)".

    A codec in STYLES has its entry. With settings or a run it keeps the hue and is hollow, and shade, marker and line
    follow from a hash of the label. Any other codec follows from hashes altogether. Only where two would have one
    marker, alike in grey, or one colour, does it depend on what else is drawn: the labels are served in alphabetical
    order.
    """
    chosen: dict[str, Style] = {}
    colors: Counter[str] = Counter()
    hues = _hues(labels := set(labels))
    for label in sorted(labels, key=lambda label: (label not in STYLES, label)):
        candidates = list(_candidates(label, hues))
        free = [style for style in candidates if not any(_alike(style, other) for other in chosen.values())]
        unlike = [style for style in candidates if style not in chosen.values()]
        style = (free or unlike or candidates)[0]
        if not style.filled:
            shares = _SHADES_OF_DARK if max(_channels(style.color)) < _DARK else _SHADES
            shades = [mixed(style.color, share) for share in shares]
            first = _hash(label + "shade") % len(shades)
            style = replace(style, color=min(shades[first:] + shades[:first], key=lambda color: colors[color]))
        colors[style.color] += 1
        chosen[label] = style
    return chosen


def mixed(color: str, share: float) -> str:
    """`color` with that share of white in it, or below 0 of black."""
    target = 255 if share > 0 else 0
    return "#" + "".join(f"{round(value + abs(share) * (target - value)):02X}" for value in _channels(color))


def _channels(color: str) -> list[int]:
    return [int(color[place : place + 2], 16) for place in (1, 3, 5)]


def _parted(label: str) -> list[str]:
    """The codec's name, and what tells its variant apart if it is one."""
    return re.split(r"[: ]", label, maxsplit=1)


def _hues(labels: Iterable[str]) -> dict[str, str]:
    """The colour of each name without an entry in STYLES: by its hash, or the next one that fewer have."""
    hues: dict[str, str] = {}
    for name in sorted({_parted(label)[0] for label in labels} - set(STYLES)):
        first, taken = _hash(name) % len(_OTHER_COLORS), Counter(hues.values())
        hues[name] = min(_OTHER_COLORS[first:] + _OTHER_COLORS[:first], key=lambda color: taken[color])
    return hues


def _candidates(label: str, hues: Mapping[str, str]) -> Iterator[Style]:
    """The styles that `label` may have, the preferred one first."""
    name, *rest = _parted(label)
    if name in STYLES and not rest:
        yield STYLES[name]
        return
    color = STYLES[name].color if name in STYLES else hues[name]
    dashes = _OTHER_DASHES[_hash(label + "line") % len(_OTHER_DASHES)]
    markers = _HOLLOW_MARKERS if rest else _OTHER_MARKERS
    own = STYLES[name].marker if name in STYLES else ""
    first = _hash(label + "marker")
    for step in range(len(markers)):
        marker = markers[(first + step) % len(markers)]
        if marker != own:
            yield Style(color, marker, dashes, filled=not rest)


def _alike(one: Style, other: Style) -> bool:
    return (one.marker, one.filled) == (other.marker, other.filled)


def _hash(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest(), 16)
