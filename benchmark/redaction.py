"""Keys, tokens and passwords in texts: the one place that knows what they look like."""

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_NAMES = (
    r"signature|token(?!s)|credential|passw|secret|api[-_]?key|access[-_]?key|private[-_]?key|authori[sz]ation|"
    r"session[-_]?(?:id|key)|bearer|jwt"
)
_WHOLE_NAMES = r"sig|sas|key|pwd|pass|auth"
_SECRET = re.compile(rf"{_NAMES}|^(?:{_WHOLE_NAMES})$", re.IGNORECASE)
"""Parameters of an address that let in whoever knows them."""

_BLANK = "…"
_END = r"""[^\s&#;'"<>()]"""  # what a value in an address is made of
_PARAMETER = re.compile(rf"([?&;#](?:[\w.~%-]*(?:{_NAMES})[\w.~%-]*|{_WHOLE_NAMES})=){_END}+", re.IGNORECASE)
_PASSWORD = re.compile(r"""(://)[^\s/'"<>]*:[^\s/'"<>]*@""")
_WEB_USER = re.compile(r"""(https?://)[^\s/'"<>]+@""", re.IGNORECASE)
_HEADER = re.compile(
    r"""(\b(?:proxy-)?authorization\b['"]?\s*[:=]\s*['"]?(?:(?:basic|bearer|digest|token)\s+)?)[^\s'",}]+""",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """`text` with "…" for the passwords, tokens and keys that stand in addresses and headers in it.

    Of an address: what stands before its "@" if it has a password, or is on the web, where a user's name alone may be a
    token; the values of parameters whose names say that they let somebody in.
    """
    if "=" not in text and "@" not in text and "uthorization" not in text:
        return text
    text = _WEB_USER.sub(rf"\1{_BLANK}@", _PASSWORD.sub(rf"\1{_BLANK}@", text))
    return _HEADER.sub(rf"\1{_BLANK}", _PARAMETER.sub(rf"\1{_BLANK}", text))


def redacted_in(value: Any) -> Any:
    """`value`, of lists, tuples and dictionaries, with each text in it `redacted`."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {key: redacted_in(item) for key, item in value.items()}
    return type(value)(map(redacted_in, value)) if type(value) in (list, tuple) else value


def secret_in(address: str) -> str | None:
    """What in `address` is a secret, as a sentence begins: "a password in an address"; None if nothing is."""
    if _PASSWORD.search(address):
        return "a password in an address"
    if _WEB_USER.search(address):
        return "a user of a web server, who may be a token,"
    parts = urlsplit(address)
    asked = [*parse_qsl(parts.query.replace(";", "&"), True), *parse_qsl(parts.fragment, True)]
    return next((f"{key} is a secret that" for key, _ in asked if _SECRET.search(key)), None)
