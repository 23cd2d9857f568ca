"""Mutants of byte streams: the same name and number give the same mutant, on any machine and after any interruption.

Half of them change a stream where its format has fields (sizes, lengths, varints, a payload) and make lengths and
checksum fit again, so that what lies behind the checksum is reached; the others change bytes wherever they are.
"""

import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Field:
    """A part of a stream. kind: "big" or "little" (unsigned), "varint", "bytes", "payload", "length", "checksum"."""

    name: str
    kind: str
    value: bytes


Fields = list[Field]


@dataclass(frozen=True)
class Format:
    """How a stream is put together.

    split: the fields of a sound stream. lengths: makes the fields that count others fit. checksum: makes the checksum
    fit. resealed: bytes of any kind with a checksum that fits, for formats that have it at their end.
    """

    split: Callable[[bytes], Fields]
    lengths: Callable[[Fields], Fields] = lambda fields: fields
    checksum: Callable[[Fields], Fields] = lambda fields: fields
    resealed: Callable[[bytes], bytes] = lambda data: data


NUMBERS = (0, 1, 2, 7, 15, 16, 17, 63, 64, 127, 128, 255, 256, 4095, 4096, 16383, 16384, 32767, 32768, 65535, 65536)
LARGE = (2**20, 2**24 - 1, 2**28, 2**31 - 1, 2**31, 2**32 - 1, 2**35, 2**63)
LENGTHS = (1, 3, 4, 7, 8, 16, 64, 300, 5000, 60_000)


def mutant(name: str, number: int, seeds: Sequence[bytes], form: Format) -> bytes:
    """The mutant `number`, 0 and up, of the real streams `seeds`; none of them."""
    rng = random.Random(f"{name} {number}")
    while True:
        data = _mutated(rng, seeds, form)
        if data not in seeds:
            return data


def _mutated(rng: random.Random, seeds: Sequence[bytes], form: Format) -> bytes:
    whole = rng.choice(seeds)
    way = rng.random()
    if way < 0.65:
        fields = form.split(whole)
        if way < 0.2:
            places = [place for place, field in enumerate(fields) if field.kind == "payload"]
            if places:
                place = rng.choice(places)
                fields[place] = replace(fields[place], value=made_up(rng, fields[place].value))
        else:
            for _ in range(rng.choice((1, 1, 1, 2, 3))):
                fields = changed_fields(rng, fields, form.split(rng.choice(seeds)))
        if rng.random() < 0.85:
            fields = form.lengths(fields)
        if rng.random() < 0.9:
            fields = form.checksum(fields)
        return b"".join(field.value for field in fields)
    data = whole
    for _ in range(rng.choice((1, 1, 2, 3, 4))):
        data = changed_bytes(rng, data, rng.choice(seeds))
    return form.resealed(data) if rng.random() < 0.5 else data


def changed_fields(rng: random.Random, fields: Fields, other: Fields) -> Fields:
    """One field with another value, or one dropped, doubled, moved, or taken from another stream."""
    place = rng.randrange(len(fields))
    field = fields[place]
    way = rng.random()
    if way < 0.03:
        return fields[:place] + fields[place + 1 :]
    if way < 0.06:
        return [*fields[: place + 1], *fields[place:]]
    if way < 0.09:
        moved = fields[:place] + fields[place + 1 :]
        moved.insert(rng.randrange(len(fields)), field)
        return moved
    if way < 0.18:
        same = [there for there in other if there.name == field.name]
        value = rng.choice(same).value if same else b""
    else:
        value = changed_value(rng, field)
    return [*fields[:place], replace(field, value=value), *fields[place + 1 :]]


def changed_value(rng: random.Random, field: Field) -> bytes:
    """Another value of a field, as a rule one that can be read."""
    width = len(field.value)
    if field.kind == "varint":
        return changed_varint(rng)
    if field.kind in ("big", "little", "length", "checksum") and width:
        order = "little" if field.kind == "little" else "big"
        old = int.from_bytes(field.value, order)
        near = (old + rng.choice((-2, -1, 1, 2)), old * 2, old // 2, old ^ 1 << rng.randrange(8 * width))
        value = rng.choice((*near, rng.choice(NUMBERS), rng.choice(LARGE), rng.getrandbits(8 * width)))
        return (value % 2 ** (8 * width)).to_bytes(width, order)
    if field.kind == "payload" and rng.random() < 0.4:
        return made_up(rng, field.value)
    if rng.random() < 0.3:
        return rng.randbytes(width)
    return changed_bytes(rng, field.value, field.value)


def varint(value: int) -> bytes:
    """`value` in LEB128."""
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def changed_varint(rng: random.Random) -> bytes:
    """A varint: of a telling number, of any, longer than it need be, or without an end."""
    way = rng.random()
    if way < 0.7:
        return varint(rng.choice((rng.choice(NUMBERS), rng.choice(LARGE), rng.randrange(100), rng.getrandbits(14))))
    if way < 0.85:
        short = varint(rng.randrange(128))
        return bytes([short[0] | 128]) + b"\x80" * rng.randrange(6) + b"\0"
    return b"\xff" * rng.randrange(1, 12)


def made_up(rng: random.Random, old: bytes) -> bytes:
    """A payload that no encoder wrote: constant, random, repeated, or the beginning of a real one with another end."""
    length = rng.choice((0, len(old), len(old), 2 * len(old), rng.choice(LENGTHS)))
    way = rng.randrange(7)
    if way == 0:
        return rng.choice((b"\0", b"\xff", b"\x0f", b"\xf0", rng.randbytes(1))) * length
    if way == 1:
        return rng.randbytes(length)
    if way == 2:
        return (rng.randbytes(rng.randrange(1, 9)) * length)[:length]
    if way == 3:
        return old[: rng.randrange(len(old) + 1)]
    if way == 4:
        return old[: rng.randrange(len(old) + 1)] + rng.choice((b"\0", b"\xff")) * length
    if way == 5:
        return old + rng.randbytes(rng.randrange(1, 40))
    return rng.randbytes(rng.randrange(1, 17)) + rng.choice((b"\0", b"\xff")) * length


def changed_bytes(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """One change that asks for no format. An empty stream gets some random bytes."""
    if not data:
        return rng.randbytes(rng.randrange(20))
    at = rng.choice((rng.randrange(len(data)), rng.randrange(min(40, len(data)))))  # headers twice as often
    end = min(len(data), at + rng.choice((1, 2, 4, 8, 32, 200)))
    way = rng.randrange(12)
    changed = bytearray(data)
    if way <= 2:
        changed[at] ^= 1 << rng.randrange(8)
    elif way == 3:
        changed[at] = rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))
    elif way == 4:
        changed[at:end] = rng.randbytes(end - at)
    elif way == 5:
        changed[at:end] = rng.choice((b"\0", b"\xff")) * (end - at)
    elif way == 6:
        del changed[at:]
    elif way == 7:
        del changed[at:end]
    elif way == 8:
        changed[at:at] = rng.randbytes(rng.choice((1, 2, 4, 16)))
    elif way == 9:
        changed[at:at] = changed[at:end] * rng.choice((1, 1, 2, 50))
    elif way == 10:
        changed[at:] = other[rng.randrange(len(other) + 1) :]
    else:
        changed += rng.choice((rng.randbytes(rng.randrange(1, 40)), bytes(rng.randrange(1, 40)), bytes(data)))
    if rng.random() < 0.08 and len(changed) >= 4:  # a number of four bytes
        at = rng.randrange(len(changed) - 3)
        struct.pack_into(rng.choice("<>") + "I", changed, at, (rng.choice(NUMBERS + LARGE)) % 2**32)
    return bytes(changed)
