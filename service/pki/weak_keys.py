"""RSA keys that can be broken although they are long enough, told from the public key alone."""

from __future__ import annotations

from functools import lru_cache
from math import gcd, isqrt, prod
from typing import Literal

Weakness = Literal["roca", "close-primes", "small-factor", "exponent"]

FERMAT_ROUNDS = 100
"""Primes of honest keys differ by about 2^900: none of them is found so; those of CVE-2022-26320 are in the first."""
_SMALL_PRIMES = tuple(p for p in range(3, 2000) if all(p % d for d in range(2, isqrt(p) + 1)))
_SMALL_PRODUCT = prod(_SMALL_PRIMES)
_ROCA_PRIMES = tuple(p for p in _SMALL_PRIMES if p <= 167)
"""The primes of M for RSA-512 to RSA-960; every larger M holds them too (Nemec et al. 2017, §2.3)."""
_GENERATOR = 65537
_SQUARE_MODULUS = 5040
_SQUARES = frozenset(pow(root, 2, _SQUARE_MODULUS) for root in range(_SQUARE_MODULUS // 2 + 1))


def _powers(prime: int) -> frozenset[int]:
    found, power = {1}, _GENERATOR % prime
    while power not in found:
        found.add(power)
        power = power * _GENERATOR % prime
    return frozenset(found)


_ROCA_RESIDUES = tuple((prime, _powers(prime)) for prime in _ROCA_PRIMES)


@lru_cache(maxsize=512)
def weakness(modulus: int, exponent: int) -> Weakness | None:
    """Why an RSA key is broken; None when none of these attacks finds it.

    - `exponent`: even, or below 3: no RSA key at all.
    - `small-factor`: a prime below 2000 divides the modulus.
    - `roca`: CVE-2017-15361, keys of Infineon chips: modulo each small prime the modulus is a power of 65537.
    - `close-primes`: Fermat's factoring succeeds in 100 rounds (CVE-2022-26320).
    """
    if exponent < 3 or exponent % 2 == 0:
        return "exponent"
    if modulus % 2 == 0 or gcd(modulus, _SMALL_PRODUCT) != 1:
        return "small-factor"
    if all(modulus % prime in residues for prime, residues in _ROCA_RESIDUES):
        return "roca"
    return "close-primes" if _splits(modulus) else None


def shared_prime(modulus: int, others: int) -> bool:
    """Whether a modulus has a prime in common with a product of other moduli (Heninger et al. 2012)."""
    common = gcd(modulus, others % modulus)
    return 1 < common < modulus


def _splits(modulus: int) -> bool:
    """Fermat's method: the modulus as a difference of two squares near its root."""
    middle = isqrt(modulus - 1) + 1
    rest = middle * middle - modulus
    for _ in range(FERMAT_ROUNDS):
        if rest % _SQUARE_MODULUS in _SQUARES and isqrt(rest) ** 2 == rest:
            return True
        rest += 2 * middle + 1
        middle += 1
    return False
