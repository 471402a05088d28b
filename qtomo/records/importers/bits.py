"""Bit arrays as Qiskit's primitives store them: a compressed .npy of packed bits, in base64."""

from __future__ import annotations

import base64
import binascii
import io
import zlib
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from qtomo.errors import Code, InputError

__all__ = ["bit_array"]

_LARGEST = 2**28  # bytes of packed bits


def bit_array(place: str, value: dict[str, Any], most_bits: int = 100_000) -> tuple[int, list[int]]:
    """Bits of a register, and each shot as a number whose lowest bit is classical bit 0.

    Args:
        place: where it stands, for messages.
        value: `num_bits` and `array`, uint8 (shots, bytes) or more dimensions, the highest byte first.
        most_bits: bits at most.

    Raises:
        InputError: text that is no base64 of compressed packed bits, or more of them than can be held.
    """
    width, array = value.get("num_bits"), value.get("array")
    text = array.get("__value__") if isinstance(array, dict) else None
    if (
        not isinstance(width, int)
        or isinstance(width, bool)
        or not 1 <= width <= most_bits
        or not isinstance(text, str)
    ):
        raise InputError(Code.KIND, f"{place}: expected num_bits and an array of packed bits")
    try:
        unpacker = zlib.decompressobj()
        stored = unpacker.decompress(base64.b64decode(text, validate=True), _LARGEST)
        if unpacker.unconsumed_tail:
            raise InputError(Code.TOO_LARGE, f"{place}: more than {_LARGEST:,} bytes of packed bits")
        file = io.BytesIO(stored)
        version = npy_format.read_magic(file)
        if version != (1, 0):
            raise ValueError(f"version {version} of the .npy format")
        shape, is_fortran, dtype = npy_format.read_array_header_1_0(file)
        packed = np.frombuffer(stored, dtype=np.uint8, offset=file.tell())
    except (binascii.Error, zlib.error, ValueError, EOFError, SyntaxError) as error:
        raise InputError(Code.DAMAGED, f"{place}: not readable ({str(error)[:80]}), expected packed bits") from None
    n_bytes = -(-width // 8)
    if dtype != np.uint8 or is_fortran or not shape or shape[-1] != n_bytes or packed.size != np.prod(shape):
        raise InputError(
            Code.SHAPE, f"{place}: {dtype} {shape} of {packed.size:,} bytes, expected uint8 (shots, {n_bytes})"
        )
    shots = [int.from_bytes(row.tobytes(), "big") for row in packed.reshape(-1, n_bytes)]
    if any(shot >> width for shot in shots):
        raise InputError(Code.VALUE, f"{place}: numbers of more than {width} bits")
    return width, shots
