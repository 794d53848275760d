"""RC2 with 40 bits (RFC 2268), to open what older Windows and OpenSSL wrote: certificates in their PKCS#12 files.

The `cryptography` library has RC2 with 128 bits only. Decrypts; nothing is ever encrypted with it here.
"""

from __future__ import annotations

_PI_TABLE = bytes.fromhex(
    "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2179a59f587b34f1361456d8d09817d32bd8f40eb86b77b0bf095"
    "21225c6b4e8254d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb6266fbf0eda4669075727f21d9bbc944303f811c7f6"
    "90ef3ee706c3d52fc8661ed708e8eade8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ecc2e0416e0f51cbcc2491af50a1f4"
    "7039997c3a8523b8b47afc02365b255597312d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a90d38341bab33ffb0"
    "bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad"
)
"""RFC 2268 §2, from the digits of pi."""
_BLOCK = 8
_SHIFTS = (1, 2, 3, 5)


def decrypt_cbc(key: bytes, vector: bytes, ciphertext: bytes) -> bytes:
    """RC2-CBC with as many effective bits as the key has; the padding is left on.

    Raises:
        ValueError: the cipher text is no whole number of blocks.
    """
    if len(ciphertext) % _BLOCK:
        raise ValueError("not whole blocks")
    words, before, plain = _expand(key), vector, bytearray()
    for at in range(0, len(ciphertext), _BLOCK):
        block = ciphertext[at : at + _BLOCK]
        plain += bytes(one ^ other for one, other in zip(_decrypt(words, block), before, strict=True))
        before = block
    return bytes(plain)


def _expand(key: bytes) -> list[int]:
    """RFC 2268 §2: 64 words."""
    size, table = len(key), bytearray(key)
    for at in range(size, 128):
        table.append(_PI_TABLE[(table[at - 1] + table[at - size]) & 0xFF])
    table[128 - size] = _PI_TABLE[table[128 - size]]
    for at in range(127 - size, -1, -1):
        table[at] = _PI_TABLE[table[at + 1] ^ table[at + size]]
    return [table[at] | table[at + 1] << 8 for at in range(0, 128, 2)]


def _decrypt(words: list[int], block: bytes) -> bytes:
    """RFC 2268 §4: 5 mixing rounds, a mashing round, 6, another, 5; backwards."""
    state = [int.from_bytes(block[at : at + 2], "little") for at in range(0, _BLOCK, 2)]
    for turn in range(15, -1, -1):
        for place in range(3, -1, -1):
            shift = _SHIFTS[place]
            turned = (state[place] >> shift | state[place] << (16 - shift)) & 0xFFFF
            third, second, fourth = state[place - 1], state[place - 2], state[place - 3]
            state[place] = (turned - words[4 * turn + place] - (third & second) - (~third & fourth)) & 0xFFFF
        if turn in {5, 11}:
            for place in range(3, -1, -1):
                state[place] = (state[place] - words[state[place - 1] & 63]) & 0xFFFF
    return b"".join(word.to_bytes(2, "little") for word in state)
