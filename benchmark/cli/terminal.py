"""What the command line writes to: names in a run may come from anybody, and a terminal obeys what it is sent."""

from typing import Any

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment

from benchmark.errors import visible


class _Shown:
    """What is printed, its texts made visible."""

    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self._renderable, options):
            if segment.control or segment.text.isprintable():
                yield segment
            else:
                text = "\n".join(map(visible, segment.text.split("\n")))
                yield Segment(text, segment.style)


class _Hook(RenderHook):
    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Shown(renderable) for renderable in renderables]


def terminal(**settings: Any) -> Console:
    """rich's Console with these settings, that obeys nothing that stands in a text: control characters are written
    out, and so is what turns the direction of writing."""
    console = Console(**settings)
    console.push_render_hook(_Hook())
    return console
