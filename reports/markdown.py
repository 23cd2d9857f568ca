"""Plain text inside of Markdown."""

import re

from benchmark.errors import visible

_MARKUP = re.compile(
    r"[\\`*<>|~&$]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # inside of a word "_" is only that
    r"|\](?=[(\[:])|\[(?=\^)|^\[(?=[ xX]\])"  # links, footnotes, boxes to tick; other brackets are only brackets
)
_ADDRESS = re.compile(r":(?=//)|(?<=\bwww)(?=\.)", re.IGNORECASE)
_MENTION = re.compile(r"(?<!\w)@(?=\w)|@(?=[\w-]+\.\w)")
_BLOCK = re.compile(r"^(#{1,6}(?=\s|$)|[-+](?=\s|$)|(?:-{2,}|={1,})(?=\s*$))")
_NUMBERED = re.compile(r"^(\d{1,9})(?=[.)](\s|$))")


def escaped(text: str) -> str:
    """`text` so that GitHub shows it as it is, in a line, an item or a cell: it is no markup, link, image or list.

    An "@" before a word, which would tell a person of that name, has a comment behind it; a name such as
    kodak@square256 keeps its own.
    """
    text = _MARKUP.sub(r"\\\g<0>", visible(text))
    text = _ADDRESS.sub(lambda found: f"\\{found[0]}" if found[0] else "\\", text)
    text = _MENTION.sub("@<!-- -->", text)
    if text.startswith(" "):
        text = f"&#32;{text[1:]}"  # four of them would begin a block of code
    return _NUMBERED.sub(r"\1\\", _BLOCK.sub(r"\\\g<0>", text))
