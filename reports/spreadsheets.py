"""Text inside of CSV files that people open with a spreadsheet."""

_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", *"＝＋－＠")
"""The last four are as wide as a Chinese character: a spreadsheet takes them for the plain ones."""


def cell(text: str) -> str:
    """`text`, with a "'" before it if a spreadsheet would take it for a formula and run it."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULAS) else text
