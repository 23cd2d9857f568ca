"""Plain text inside of LaTeX."""

from benchmark.errors import visible

_CHARACTERS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "−": "$-$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "²": r"$^2$",
    "α": r"$\alpha$",
    "Δ": r"$\Delta$",
    "x̂": r"$\hat{x}$",
}


def escaped(text: str) -> str:
    """`text` so that LaTeX, whatever its engine, sets it as it is written."""
    text = visible(text).replace("x̂", "\0")
    text = "".join(_CHARACTERS.get(character, character) for character in _apart(text))
    return text.replace("\0", _CHARACTERS["x̂"]).replace("\1", "{}")


def _apart(text: str) -> str:
    """Two hyphens would be set as a dash."""
    return text.replace("--", "-\1-").replace("--", "-\1-")
