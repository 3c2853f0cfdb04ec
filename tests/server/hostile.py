"""Requests that nobody means well with, drawn from a seed."""

import random
import struct
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from tests.faces import encoded
from tests.server.frames import PREFACE, SETTINGS, begun, frame

PICTURES = [encoded(1, 0), encoded(1, 0, ".jpg")]
"""Sound ones, to be spoilt."""

TEXTS = [
    *("", "people", "other", "person-1", "ann", "labels", "display_name", "retention", "*", "a.b"),
    *("../../etc/passwd", "..", "/", "C:\\x", "a/b", "a\nb", "a\0b", "%00", "a\r\nHTTP/1.1 200"),
    *("-rf", "' OR 1=1 --", "${jndi:x}", "{0.__class__}", "%s%n", "\u202egnp", "ü" * 300, "💥"),
    *("A" * 128, "A" * 129, "x" * 5000, "x" * 200_000, "AAAA", "%%%", "/w==", "00" * 32),
]
NUMBERS = [0, 1, 2, 5, 64, 65, 100, 101, 1000, 1001, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1]
REALS = [0.0, -0.0, 0.01, 0.5, 1.0, -1.0, 7.0, 1e-308, 1e308, 3e38]
REALS += [float("nan"), float("inf"), float("-inf")]
SECONDS = [0, 1, -1, 2**31, 253402300799, 253402300800, -62135596801, 2**63 - 1, -(2**63)]
DEPTH = 5
SOUND: dict[str, list[Any]] = {
    "gallery_id": ["people", "people", "other"],
    "subject_id": ["person-1", "person-2", "ann"],
    "into_subject_id": ["person-1", "ann"],
    "paths": ["labels", "display_name", "consent_ref", "expire_time", "retention"],
    "target_fmr": [0.05],
    "page_token": [""],
    "raw_threshold": [0.5],
    "tag": ["t"],
}
"""What is right, most of the time: for requests that come further than to the first check."""


class Hostile:
    """The same seed gives the same requests."""

    def __init__(self, seed: int, fingerprint: str) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - no secret
        self._fingerprint = fingerprint

    def request(self, method: MethodDescriptor) -> bytes:
        """Bytes for a call, of one kind of malformation."""
        return self.dice.choice(
            (self._noise, self._spoilt, self._spoilt, self._odd, self._odd, self._odd)
        )(method)

    def frames(self) -> bytes:
        """Bytes for a connection of one's own, which is not answered or not to be."""
        return self.dice.choice((self._rubbish, self._odd_frames, self._odd_call))()

    def _noise(self, _method: MethodDescriptor) -> bytes:
        return self.dice.randbytes(self.dice.choice((1, 2, 10, 100, 5000)))

    def _odd(self, method: MethodDescriptor) -> bytes:
        """A message of the right type whose fields are anything."""
        message = GetMessageClass(method.input_type)()
        self._fill(message)
        return bytes(message.SerializeToString())

    def _spoilt(self, method: MethodDescriptor) -> bytes:
        """The bytes of such a message, damaged."""
        content = bytearray(self._odd(method))
        return self._damaged(content)

    def _damaged(self, content: bytearray) -> bytes:
        for _ in range(self.dice.randint(1, 8)):
            at = self.dice.randrange(len(content) + 1)
            match self.dice.randrange(4):
                case 0:
                    content[at : at + 1] = self.dice.randbytes(1)
                case 1:
                    del content[at:]
                case 2:
                    content[at:at] = self.dice.randbytes(self.dice.randint(1, 20))
                case 3:
                    content[at:at] = content[: self.dice.randint(0, 50)]
        return bytes(content)

    def _fill(self, message: Any, depth: int = DEPTH) -> None:
        for field in message.DESCRIPTOR.fields:
            if field.name in SOUND and self.dice.random() < 0.8:
                pass
            elif self.dice.random() < (0.3 if field.message_type else 0.4) or not depth:
                continue
            if field.is_repeated:
                self._fill_many(message, field, depth)
            elif field.message_type:
                self._fill(getattr(message, field.name), depth - 1)
                getattr(message, field.name).SetInParent()
            else:
                setattr(message, field.name, self._value(field))

    def _fill_many(self, message: Any, field: FieldDescriptor, depth: int) -> None:
        many, count = getattr(message, field.name), self.dice.choice((0, 1, 1, 2, 3, 66))
        if field.message_type and field.message_type.GetOptions().map_entry:
            key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
            for number in range(count):
                many[f"{self._value(key)}{number if count > 3 else ''}"] = self._value(value)
        elif field.message_type:
            for _ in range(count):
                self._fill(many.add(), depth - 1)
        else:
            many.extend(self._value(field) for _ in range(count))

    def _value(self, field: FieldDescriptor) -> Any:
        kind = FieldDescriptor
        if field.name in SOUND and self.dice.random() < 0.8:
            return self.dice.choice(SOUND[field.name])
        if field.name == "model_fingerprint" and self.dice.random() < 0.8:
            return self._fingerprint
        draw: dict[int, Callable[[], Any]] = {
            kind.CPPTYPE_STRING: lambda: self._text(field),
            kind.CPPTYPE_BOOL: lambda: self.dice.random() < 0.5,
            kind.CPPTYPE_DOUBLE: lambda: self.dice.choice(REALS),
            kind.CPPTYPE_FLOAT: lambda: self.dice.choice(REALS),
            kind.CPPTYPE_ENUM: lambda: self.dice.choice((0, 1, 2, 3, 9, -1, 2**31 - 1)),
        }
        return draw.get(field.cpp_type, lambda: self._number(field))()

    def _number(self, field: FieldDescriptor) -> int:
        if field.name in ("seconds", "nanos"):
            found = self.dice.choice(SECONDS)
            return found if field.name == "seconds" else max(-(2**31), min(found, 2**31 - 1))
        if field.name == "dim" and self.dice.random() < 0.8:
            return 16
        unsigned = (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_INT32)
        most = 2**32 - 1 if field.cpp_type == unsigned[0] else 2**31 - 1
        return min(self.dice.choice(NUMBERS), most if field.cpp_type in unsigned else 2**63 - 1)

    def _text(self, field: FieldDescriptor) -> str | bytes:
        if field.type != FieldDescriptor.TYPE_BYTES:
            return self.dice.choice(TEXTS)
        return self._vector() if field.name == "f32le" else self._picture()

    def _vector(self) -> bytes:
        size = self.dice.choice((16, 16, 16, 0, 1, 17, 100_000))
        kinds: Sequence[Callable[[], float]] = (
            lambda: self.dice.choice(REALS[:5]),
            lambda: self.dice.gauss(0, 0.25),
            lambda: float("nan"),
            lambda: float("inf"),
            lambda: 0.25,
        )
        draw = self.dice.choice(kinds)
        return struct.pack(f"<{size}f", *(draw() for _ in range(size)))

    def _picture(self) -> bytes:
        match self.dice.randrange(6):
            case 0:
                return self._damaged(bytearray(self.dice.choice(PICTURES)))
            case 1:
                return PICTURES[0][:16] + struct.pack(">II", 2**31 - 1, 60_000) + PICTURES[0][24:]
            case 2:
                return self.dice.choice(MAGIC) + self.dice.randbytes(200)
            case 3:
                return self.dice.randbytes(self.dice.choice((0, 1, 50_000)))
            case 4:
                return self.dice.choice(PICTURES) * 3
        return self.dice.choice(PICTURES)

    def _rubbish(self) -> bytes:
        return self.dice.choice((b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01")) + (
            self.dice.randbytes(self.dice.choice((1, 24, 2000)))
        )

    def _odd_frames(self) -> bytes:
        """A sound beginning, and then frames of any kind, length and flags."""
        head = PREFACE + frame(SETTINGS, b"")
        for _ in range(self.dice.randint(1, 20)):
            size, stream = self.dice.choice((0, 1, 4, 8, 300)), self.dice.choice((0, 1, 2, 2**31))
            kind, flags = self.dice.randrange(12), self.dice.randrange(256)
            head += frame(kind, self.dice.randbytes(size), flags, stream)
        return head

    def _odd_call(self) -> bytes:
        """A call whose headers, compression or length is not what it says, or that never ends."""
        path = self.dice.choice((b"/mien.v1.EmbeddingService/Embed", b"/x/y", b"", b"//", b"/\xff"))
        more = self.dice.choice(
            (
                [],
                [(b"grpc-encoding", b"gzip")],
                [(b"grpc-encoding", b"bogus")],
                [(b"grpc-timeout", b"99999999999S")],
                [(b"grpc-timeout", b"-1n")],
                [(b"x-request-id", b"a\x01b")],
                [(b"authorization", b"Bearer " + b"x" * 100)],
            )
        )
        payload = self.dice.randbytes(20)
        told = self.dice.choice((20, 20, 0, 1000, 2**32 - 1))
        message = self.dice.choice((b"\0", b"\1", b"\7")) + told.to_bytes(4, "big") + payload
        return begun(path, more, message, end=self.dice.random() < 0.5)


MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\0\0\0\0WEBP", b"GIF89a", b"BM", b"II*\0")
