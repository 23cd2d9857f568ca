"""WebP (RFC 9649): the frame of an animation of one frame may leave a border, which is transparent."""

from benchmark.errors import BenchmarkError
from benchmark.image_files.fields import damaged, number, part

_LAST = 16
_ALPHA_FLAG, _ALPHA_USED = 0x10, 0x10
"""Of the extended header, and of the fifth byte of lossless data."""
_IMAGES = (b"VP8 ", b"VP8L")


def check(data: bytes) -> None:
    """The chunks are whole. A frame covers the canvas."""
    end = 8 + number(data, 4, 4, "little")
    part(data, 0, end)
    at, canvas, images, opaque = 12, (0, 0), 0, False
    while at + 8 <= end:
        kind, size = data[at : at + 4], number(data, at + 4, 4, "little")
        body = part(data, at + 8, size)
        images += kind in _IMAGES
        if images > 1:
            raise BenchmarkError("2 frames or pages, or more; an image has one")
        if kind == b"VP8X":
            canvas = _size(body, 4)
            opaque = not body[0] & _ALPHA_FLAG
        elif opaque and (kind == b"ALPH" or (kind == b"VP8L" and body[4] & _ALPHA_USED)):
            raise damaged("its header says that it is opaque, its image data that it is not")
        elif kind == b"ANMF" and (_size(body, 6) != canvas or any(body[:6])):
            raise BenchmarkError("a frame that covers a part of the canvas only; the rest has transparent parts")
        at += 8 + size + size % 2
    if at < end:
        raise damaged("its last chunk is not whole")


def shortened(data: bytes) -> list[bytes]:
    """The file without the last bytes of its frame, which an image of this size needs: the arithmetic coder's own end
    has fewer. Nothing for an animation."""
    at, end = 12, 8 + number(data, 4, 4, "little")
    while at + 8 <= end:
        kind, size = data[at : at + 4], number(data, at + 4, 4, "little")
        if kind in _IMAGES and size > _LAST:
            body = data[at + 8 : at + 8 + size - _LAST]
            body += bytes(len(body) % 2)
            rest = data[at + 8 + size + size % 2 : end]
            chunk = kind + (size - _LAST).to_bytes(4, "little") + body
            content = data[8:at] + chunk + rest
            return [data[:4] + len(content).to_bytes(4, "little") + content]
        at += 8 + size + size % 2
    return []


def _size(body: bytes, at: int) -> tuple[int, int]:
    return number(body, at, 3, "little") + 1, number(body, at + 3, 3, "little") + 1
