"""What somebody hostile, or a broken program, makes of bytes. All of it follows from the dice that are handed in."""

import random
import struct
from collections.abc import Callable, Sequence

NUMBERS = (0, 1, 127, 128, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**400, -1, -(2**63), -(2**63) - 1)
WORDS = (
    *(b"\x00", b"\xff", b"\xc3\x01", b"\xc3\x01" + bytes(8), b"NaN", b"-Infinity", b"1e999", b"\\ud800", b"\\u0000"),
    *(b"{", b"}", b"[", b"]", b'"', b"&a", b"*a", b"!!python/object:os.system", b"<<: *a", b"\xed\xa0\x80"),
    *(b"$ref", b"$cel", b"$literal", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\r\n", b"\xd9\xa3", b"null", b"true"),
    *(str(number).encode() for number in NUMBERS),
)


def flipped(dice: random.Random, data: bytes) -> bytes:
    """A few bits are others."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        if out:
            out[dice.randrange(len(out))] ^= 1 << dice.randrange(8)
    return bytes(out)


def cut(dice: random.Random, data: bytes) -> bytes:
    """Its end, its beginning or its middle is missing."""
    begin, end = sorted((dice.randint(0, len(data)), dice.randint(0, len(data))))
    return dice.choice((data[:begin], data[begin:], data[:begin] + data[end:]))


def lengthened(dice: random.Random, data: bytes) -> bytes:
    """A number in it, such as a length, is another one: as Avro writes it, or as digits."""
    place = dice.randint(0, len(data))
    number = dice.choice(NUMBERS)
    if dice.random() < 0.3:
        return data[:place] + str(number).encode() + data[place + dice.randint(0, 2) :]
    return data[:place] + zigzag(number) + data[place + 1 :]


def inserted(dice: random.Random, data: bytes) -> bytes:
    """A word that means something to somebody stands in it."""
    place = dice.randint(0, len(data))
    return data[:place] + dice.choice(WORDS) * dice.choice((1, 1, 2, 3)) + data[place + dice.choice((0, 0, 1, 5)) :]


def repeated(dice: random.Random, data: bytes) -> bytes:
    """A part of it comes twice: a key, a block, a list."""
    begin, end = sorted((dice.randint(0, len(data)), dice.randint(0, len(data))))
    return data[:end] + data[begin:end] * dice.choice((1, 1, 2, 20)) + data[end:]


def nested(dice: random.Random, data: bytes) -> bytes:
    """It stands deep inside of lists or objects, closed or not."""
    depth = dice.choice((2, 50, 130, 300, 900, 1_100, 5_000))
    opening, closing = dice.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"(", b")"), (b"- ", b""), (b"{$ref: ", b"}")))
    place = dice.randint(0, len(data))
    middle = dice.choice((data, b"1", data[place:]))
    return data[: dice.choice((0, place))] + opening * depth + middle + closing * dice.choice((depth, depth - 1, 0))


def noise(dice: random.Random, data: bytes) -> bytes:
    """Nothing of it is left."""
    return dice.randbytes(dice.choice((0, 1, 2, 9, 10, 11, len(data), 300)))


MUTATIONS: Sequence[Callable[[random.Random, bytes], bytes]] = (
    *(flipped, cut, lengthened, inserted, repeated, nested, noise),
)


def mutated(seed: int, data: bytes) -> bytes:
    """What becomes of bytes in one to four mutations."""
    dice = random.Random(seed)  # noqa: S311 - the same again
    for _ in range(dice.choice((1, 1, 2, 4))):
        data = dice.choice(MUTATIONS)(dice, data)
    return data


def zigzag(number: int) -> bytes:
    """A number as Avro and Kafka write it; also one that no reader may take."""
    number = (number << 1) ^ (number >> 512)
    out = bytearray()
    while True:
        out.append(number & 0x7F | (0x80 if number > 0x7F else 0))
        number >>= 7
        if not number:
            return bytes(out)


MEBIBYTE = 1_048_576
LARGE: dict[str, bytes] = {
    "brackets": b"[" * 2 * MEBIBYTE,
    "objects": b'{"a":' * (MEBIBYTE // 4),
    "digits": b"9" * 2 * MEBIBYTE,
    "text": b'"' + b"a" * 2 * MEBIBYTE + b'"',
    "bytes": b"\xff" * 2 * MEBIBYTE,
    "nothing": bytes(2 * MEBIBYTE),
    "list": b"[" + b"1," * MEBIBYTE + b"1]",
    "keys": b"{" + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}",
    "lines": b"- a\n" * (MEBIBYTE // 2),
    "frame": b"\xc3\x01" + struct.pack("<Q", 1) * (MEBIBYTE // 4),
}
"""Inputs that are larger than anything that is taken, by what they are made of."""
