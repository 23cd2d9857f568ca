"""The fields of each format, read by programs of their own: they agree with the suite's readers on sound streams only.

Our containers have a checksum, which is made to fit; the classical formats have marker segments, chunks and boxes.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace

from attacks.mutation import Field, Fields, Format, varint


def joined(fields: Fields) -> bytes:
    """The stream."""
    return b"".join(field.value for field in fields)


def cut(data: bytes, *parts: tuple[str, str, int]) -> Fields:
    """The fields (name, kind, width) from the beginning of `data` on."""
    fields, at = [], 0
    for name, kind, width in parts:
        fields.append(Field(name, kind, data[at : at + width]))
        at += width
    return fields


def with_value(fields: Fields, name: str, value: Callable[[bytes], bytes]) -> Fields:
    """`fields` with another value, made of the old, where `name` is."""
    return [replace(field, value=value(field.value)) if field.name == name else field for field in fields]


def crc(data: bytes) -> bytes:
    """CRC-32, four bytes."""
    return struct.pack(">I", zlib.crc32(data))


def crc_at_end(data: bytes) -> bytes:
    """`data` with its last four bytes in place of a CRC-32 that fits."""
    return data[:-4] + crc(data[:-4])


def crc_over_others(fields: Fields) -> Fields:
    """The field `crc` over what stands before it."""
    place = next((place for place, field in enumerate(fields) if field.kind == "checksum"), len(fields))
    before = joined(fields[:place])
    return with_value(fields, "crc", lambda _: crc(before))


def _varint_end(data: bytes, at: int) -> int:
    while data[at] >= 128:
        at += 1
    return at + 1


def split_hfd(data: bytes) -> Fields:
    """The container of `benchmark.hfd.container`."""
    fields, at = cut(data, ("magic", "bytes", 3), ("kind", "big", 1)), 4
    for name, kind in (("height", "varint"), ("width", "varint"), ("steps", "big"), ("seed", "varint")):
        end = at + 1 if kind == "big" else _varint_end(data, at)
        fields.append(Field(name, kind, data[at:end]))
        at = end
    fields.append(Field("weights", "bytes", data[at : at + 4]))
    end = _varint_end(data, at + 4)
    fields.append(Field("length", "varint", data[at + 4 : end]))
    return [*fields, Field("payload", "payload", data[end:-4]), Field("crc", "checksum", data[-4:])]


def _hfd_length(fields: Fields) -> Fields:
    payload = sum(len(field.value) for field in fields if field.name == "payload")
    return with_value(fields, "length", lambda _: varint(payload))


HFD = Format(split_hfd, _hfd_length, crc_over_others, crc_at_end)


def split_hific(data: bytes) -> Fields:
    """The container of HiFiC."""
    head = cut(
        data,
        ("magic", "bytes", 3),
        ("kind", "big", 1),
        ("height", "big", 2),
        ("width", "big", 2),
        ("weights", "bytes", 4),
        ("machine", "bytes", 4),
    )
    return [*head, Field("payload", "payload", data[16:-4]), Field("crc", "checksum", data[-4:])]


HIFIC = Format(split_hific, checksum=crc_over_others, resealed=crc_at_end)
MSILLM = HIFIC
"""The container of MS-ILLM has the fields of HiFiC's."""


def _with_varints(data: bytes, at: int, *names: str) -> tuple[Fields, int]:
    fields = []
    for name in names:
        end = _varint_end(data, at)
        fields.append(Field(name, "varint", data[at:end]))
        at = end
    return fields, at


def split_small_copy(data: bytes) -> Fields:
    """The container of a small copy: what follows the size depends on the upscaler."""
    head = cut(data, ("magic", "bytes", 3), ("kind", "big", 1), ("format", "big", 1))
    sizes, at = _with_varints(data, 5, "height", "width")
    if data[3] & 15:
        sizes.append(Field("weights", "bytes", data[at : at + 4]))
        at += 4
    if data[3] & 15 == 2:
        numbers, at = _with_varints(data, at, "steps", "noise level", "seed")
        sizes += numbers
    return [*head, *sizes, Field("payload", "payload", data[at:-4]), Field("crc", "checksum", data[-4:])]


SMALL_COPY = Format(split_small_copy, checksum=crc_over_others, resealed=crc_at_end)


def split_sd_latent(data: bytes) -> Fields:
    """The container of `sd-latent`: numbers of the cleaning where its kind says so."""
    head = cut(data, ("magic", "bytes", 3), ("kind", "big", 1))
    sizes, at = _with_varints(data, 4, "height", "width")
    sizes += [Field("quality", "big", data[at : at + 1]), Field("weights", "bytes", data[at + 1 : at + 5])]
    at += 5
    if data[3] & 15:
        steps, at = _with_varints(data, at, "steps")
        seed, end = _with_varints(data, at + 1, "seed")
        sizes += [*steps, Field("strength", "big", data[at : at + 1]), *seed]
        at = end
    return [*head, *sizes, Field("payload", "payload", data[at:-4]), Field("crc", "checksum", data[-4:])]


SD_LATENT = Format(split_sd_latent, checksum=crc_over_others, resealed=crc_at_end)


def split_latents(data: bytes) -> Fields:
    """Four channels of `sd-latent`'s payload: a centre and four bytes each, and what rANS wrote."""
    fields: Fields = []
    at = 0
    for channel in range(4):
        centre, at = _with_varints(data, at, f"centre {channel}")
        fields += [*centre, Field(f"rows {channel}", "bytes", data[at : at + 4])]
        at += 4
    return [*fields, Field("payload", "payload", data[at:])]


LATENTS = Format(split_latents)


def split_zoo(data: bytes) -> Fields:
    """The container of CompressAI's zoo, of an architecture with two strings; of one string it splits it in two."""
    head = cut(
        data,
        ("magic", "bytes", 3),
        ("kind", "big", 1),
        ("quality", "big", 1),
        ("height", "big", 2),
        ("width", "big", 2),
        ("weights", "bytes", 4),
        ("machine", "bytes", 4),
        ("length", "length", 4),
    )
    first = int.from_bytes(data[17:21], "big")
    middle = 21 + (first if first <= len(data) - 25 else (len(data) - 25) // 2)
    strings = [Field("payload", "payload", data[21:middle]), Field("second", "payload", data[middle:-4])]
    return [*head, *strings, Field("crc", "checksum", data[-4:])]


def _zoo_length(fields: Fields) -> Fields:
    first = sum(len(field.value) for field in fields if field.name == "payload")
    return with_value(fields, "length", lambda old: struct.pack(">I", first % 2**32) if len(old) == 4 else old)


ZOO = Format(split_zoo, _zoo_length, crc_over_others, crc_at_end)
ZOO_ONE_STRING = replace(ZOO, lengths=lambda fields: fields)


def split_jpeg(data: bytes) -> Fields:
    """Marker segments: marker, length, content; the frame header's numbers; the coded data behind the scan header."""
    fields, at = [Field("SOI", "bytes", data[:2])], 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, end = data[at + 1], at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        name = f"{marker:02x}"
        fields += [Field(f"marker {name}", "bytes", data[at : at + 2]), Field("size", "big", data[at + 2 : at + 4])]
        content = data[at + 4 : end]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            widths = [("precision", 1), ("height", 2), ("width", 2), ("components", 1)]
            fields += cut(content, *((part, "big", width) for part, width in widths))
            fields.append(Field("sampling", "bytes", content[6:]))
        else:
            fields.append(Field(f"content {name}", "bytes", content))
        at = end
        if marker == 0xDA:
            break
    return [*fields, Field("payload", "payload", data[at:-2]), Field("EOI", "bytes", data[-2:])]


JPEG = Format(split_jpeg)


def split_webp(data: bytes) -> Fields:
    """RIFF header, the chunk VP8 with its frame header, and its data."""
    return [
        *cut(
            data,
            ("riff", "bytes", 4),
            ("size", "little", 4),
            ("webp", "bytes", 4),
            ("chunk", "bytes", 4),
            ("chunk size", "little", 4),
            ("frame", "little", 3),
            ("start code", "bytes", 3),
            ("width", "little", 2),
            ("height", "little", 2),
        ),
        Field("payload", "payload", data[30:]),
    ]


def _webp_size(fields: Fields) -> Fields:
    names = [field.name for field in fields]
    riff = sum(len(field.value) for field in fields) - 8
    chunk = sum(len(field.value) for field in fields[names.index("chunk size") + 1 :]) if "chunk size" in names else 0
    fields = with_value(fields, "size", lambda _: struct.pack("<I", max(0, riff) % 2**32))
    return with_value(fields, "chunk size", lambda _: struct.pack("<I", chunk % 2**32))


WEBP = Format(split_webp, _webp_size)

PARENTS = (b"meta", b"iprp", b"ipco", b"iinf")
"""Boxes of AVIF that hold others."""


def split_boxes(data: bytes) -> Fields:
    """Boxes of ISO/IEC 14496-12: size, kind, content; sizes of images (`ispe`) as numbers."""
    fields: Fields = []
    at = 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + size if 8 <= size <= len(data) - at else len(data)
        name = kind.decode("latin-1")
        fields += [Field("box size", "big", data[at : at + 4]), Field("box kind", "bytes", kind)]
        head = {b"meta": 4, b"iinf": 6}.get(kind, 0)
        content = data[at + 8 : end]
        if kind in PARENTS:
            fields += [Field(f"head {name}", "bytes", content[:head]), *split_boxes(content[head:])]
        elif kind == b"ispe":
            fields += cut(content, ("version", "big", 4), ("width", "big", 4), ("height", "big", 4))
        elif kind == b"mdat":
            fields.append(Field("payload", "payload", content))
        else:
            fields.append(Field(f"content {name}", "bytes", content))
        at = end
    return [*fields, Field("rest", "bytes", data[at:])]


AVIF = Format(split_boxes)


def split_jpeg2000(data: bytes) -> Fields:
    """Marker segments of ISO/IEC 15444-1, the numbers of SIZ one by one, and the tile-part's data."""
    fields, at = [Field("SOC", "bytes", data[:2])], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0x93:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        name = f"{data[at + 1]:02x}"
        fields += [Field(f"marker {name}", "bytes", data[at : at + 2]), Field("size", "big", data[at + 2 : at + 4])]
        content = data[at + 4 : end]
        if data[at + 1] == 0x51:
            sides = ("Xsiz", "Ysiz", "XOsiz", "YOsiz", "XTsiz", "YTsiz", "XTOsiz", "YTOsiz")
            fields += cut(content, ("Rsiz", "big", 2), *((side, "big", 4) for side in sides), ("Csiz", "big", 2))
            content = content[36:]
        if data[at + 1] == 0x90:
            fields += cut(content, ("tile", "big", 2), ("Psot", "big", 4))
            content = content[6:]
        fields.append(Field(f"content {name}", "bytes", content))
        at = end
    return [
        *fields,
        Field("SOD", "bytes", data[at : at + 2]),
        Field("payload", "payload", data[at + 2 : -2]),
        Field("EOC", "bytes", data[-2:]),
    ]


def _psot(fields: Fields) -> Fields:
    names = [field.name for field in fields]
    if "marker 90" not in names:
        return fields
    length = sum(len(field.value) for field in fields[names.index("marker 90") :]) - 2
    return with_value(fields, "Psot", lambda _: struct.pack(">I", max(0, length) % 2**32))


JPEG2000 = Format(split_jpeg2000, _psot)


def split_jxl(data: bytes) -> Fields:
    """Signature, the bytes in which size and metadata are packed, and the rest."""
    return [
        *cut(data, ("signature", "bytes", 2), ("size", "little", 4), ("metadata", "bytes", 10)),
        Field("payload", "payload", data[16:]),
    ]


JXL = Format(split_jxl)


def split_png(data: bytes) -> Fields:
    """Chunks: length, kind, content, CRC; the numbers of IHDR one by one."""
    fields, at = [Field("signature", "bytes", data[:8])], 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        kind = data[at + 4 : at + 8]
        fields += [Field("chunk size", "big", data[at : at + 4]), Field("chunk kind", "bytes", kind)]
        content = data[at + 8 : end]
        if kind == b"IHDR":
            fields += cut(content, ("width", "big", 4), ("height", "big", 4), ("depths", "bytes", 5))
        else:
            fields.append(Field("content", "payload" if kind == b"IDAT" else "bytes", content))
        fields.append(Field("chunk crc", "checksum", data[end : end + 4]))
        at = end + 4
    return fields


def _chunks_crc(fields: Fields) -> Fields:
    out, chunk = [], b""
    for field in fields:
        if field.name == "chunk size":
            chunk = b""
        elif field.name == "chunk crc":
            field = replace(field, value=crc(chunk))
        else:
            chunk += field.value
        out.append(field)
    return out


PNG = Format(split_png, checksum=_chunks_crc)


def embedded(base: str, of_file: Format, find: Callable[[bytes], tuple[int, int]]) -> Format:
    """HFD's bytes in a file of `of_file`. find: where a sound file's bytes of HFD begin (at their magic) and end."""

    def split(data: bytes) -> Fields:
        start, end = find(data)
        around = 4 if base == "jpeg" else 8
        ours = data[start:end]
        file = of_file.split(data[: start - around] + data[end:])
        head = [Field("hfd frame", "big", data[start - around : start])]
        names = cut(ours, ("hfd magic", "bytes", 3), ("hfd kind", "big", 1), ("hfd steps", "big", 1))
        tail = [
            Field("hfd weights", "bytes", ours[5:9]),
            Field("hfd seed", "bytes", ours[9:-4]),
            Field("crc", "checksum", ours[-4:]),
        ]
        place = 0 if base == "avif" else _behind_app0(file)
        return [*file, *head, *names, *tail] if base == "avif" else [*file[:place], *head, *names, *tail, *file[place:]]

    def lengths(fields: Fields) -> Fields:
        ours = sum(len(field.value) for field in fields if field.name in _OURS)
        if base == "jpeg":
            return with_value(fields, "hfd frame", lambda _: struct.pack(">BBH", 0xFF, 0xE9, 2 + ours))
        return with_value(fields, "hfd frame", lambda _: struct.pack(">I", 8 + ours) + b"free")

    def checksum(fields: Fields) -> Fields:
        own = joined([field for field in fields if field.name in _OURS and field.name != "crc"])
        file = joined([field for field in fields if field.name not in _OURS and field.name != "hfd frame"])
        return with_value(fields, "crc", lambda _: crc(own + file))

    return Format(split, lengths, checksum)


_OURS = ("hfd magic", "hfd kind", "hfd steps", "hfd weights", "hfd seed", "crc")


def _behind_app0(fields: Fields) -> int:
    return 4 if len(fields) > 3 and fields[1].name == "marker e0" else 1


def _in_jpeg(data: bytes) -> tuple[int, int]:
    start = data.index(b"\xff\xe9") + 4
    return start, start - 2 + int.from_bytes(data[start - 2 : start], "big")


def _in_avif(data: bytes) -> tuple[int, int]:
    return data.rindex(b"freeHFD") + 4, len(data)


HFD_JPEG = embedded("jpeg", JPEG, _in_jpeg)
HFD_AVIF = embedded("avif", AVIF, _in_avif)
FORMATS = {
    "hfd": HFD,
    "hific": HIFIC,
    "msillm": MSILLM,
    "small-copy": SMALL_COPY,
    "sd-latent": SD_LATENT,
    "latents": LATENTS,
    "zoo": ZOO,
    "zoo-one-string": ZOO_ONE_STRING,
    "jpeg": JPEG,
    "webp": WEBP,
    "avif": AVIF,
    "jxl": JXL,
    "jpeg2000": JPEG2000,
    "png": PNG,
    "hfd-jpeg": HFD_JPEG,
    "hfd-avif": HFD_AVIF,
}
