"""Plain text inside of LaTeX."""

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
    text = text.replace("x̂", "\0")
    return "".join(_CHARACTERS.get(character, character) for character in text).replace("\0", _CHARACTERS["x̂"])
