"""Reading PEM (RFC 7468) as people paste it: text around the blocks, Windows line ends, a byte order mark. Bounded.

A block keeps its place and its kind. No finding quotes what stands in a field: it may be a key.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Literal

from service.pki.codes import finding as _finding
from service.pki.finding import Field, Finding

MAX_FIELD_BYTES = 256 * 1024
"""A chain of ten RSA-4096 certificates has 25 kB; a CA field with a hundred authorities 200 kB."""
MAX_BLOCKS = 128
"""More in one field is a trust store, not a chain."""
_MAX_MARKS = 2 * MAX_BLOCKS
"""BEGIN and END lines."""

Kind = Literal["key", "encrypted-key", "certificate", "csr", "public-key", "parameters", "other"]

_KINDS: dict[str, Kind] = {
    "PRIVATE KEY": "key",
    "RSA PRIVATE KEY": "key",
    "EC PRIVATE KEY": "key",
    "ENCRYPTED PRIVATE KEY": "encrypted-key",
    "CERTIFICATE": "certificate",
    "X509 CERTIFICATE": "certificate",
    "CERTIFICATE REQUEST": "csr",
    "NEW CERTIFICATE REQUEST": "csr",
    "PUBLIC KEY": "public-key",
    "RSA PUBLIC KEY": "public-key",
    "EC PARAMETERS": "parameters",
}
_NAMES: dict[Field, str] = {"private_key": "KEY", "certificate": "CERT", "ca": "CA"}
_MARK = re.compile(r"-----(BEGIN|END) ([A-Z0-9 ]{1,40})-----")
_HEADER = re.compile(r"^[A-Za-z][A-Za-z0-9-]{0,40}:[\x20-\x7e]{0,200}$")
"""RFC 1421 §4.6: ASCII."""


@dataclass(frozen=True, slots=True)
class Block:
    """One PEM block.

    Attributes:
        position: counted from 1 in its field.
        pem: the block alone, LF, with its label and headers; its repr does not show it.
        der: what it decodes to; for an encrypted traditional key the ciphertext.
    """

    field: Field
    position: int
    kind: Kind
    label: str
    pem: bytes
    der: bytes

    def __repr__(self) -> str:
        return f"Block({self.field} {self.position}, {self.label})"


def read_blocks(text: str, field: Field) -> tuple[list[Block], list[Finding]]:
    """The blocks of a field, in order, and what is wrong with the rest. An empty field has neither."""
    if len(text) > MAX_FIELD_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_FIELD_BYTES:
        message = f"{_NAMES[field]} is larger than {MAX_FIELD_BYTES // 1024} kB."
        return [], [_finding("input.too-large", message, "Paste only what belongs in this field.", field)]
    plain = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not plain.strip():
        return [], []
    if "\x00" in plain or sum(character < " " and character not in "\n\t" for character in plain[:4096]) > 8:
        hint = "Convert it with `openssl x509 -inform der` or `openssl pkey -inform der`."
        return [], [_finding("input.binary", f"{_NAMES[field]} is binary, not PEM text.", hint, field)]
    return _split(plain, field)


def _split(text: str, field: Field) -> tuple[list[Block], list[Finding]]:
    blocks: list[Block] = []
    findings: list[Finding] = []
    open_mark: re.Match[str] | None = None
    position, around, after = 0, False, 0
    for count, mark in enumerate(_MARK.finditer(text), start=1):
        begins, label = mark[1] == "BEGIN", mark[2]
        if position + begins > MAX_BLOCKS or count > _MAX_MARKS:
            message = f"{_NAMES[field]} has more than {MAX_BLOCKS} blocks."
            return [], [_finding("pem.too-many-blocks", message, "Paste only what belongs here.", field)]
        if begins:
            if open_mark is not None:
                findings.append(_no_end(open_mark[2], field, position))
            else:
                around = around or bool(text[after : mark.start()].strip())
            position += 1
            open_mark = mark
            continue
        if open_mark is None:
            hint = "Copy the whole block, from -----BEGIN to the end of the -----END line."
            findings.append(_finding("pem.no-begin", f"An END {label} line has no BEGIN line.", hint, field))
        elif open_mark[2] != label:
            message = f"Block {position} begins as {open_mark[2]} and ends as {label}."
            findings.append(_finding("pem.mismatched-end", message, _WHOLE, field, position))
        else:
            made = _block(text[open_mark.end() : mark.start()], label, field, position)
            (blocks if isinstance(made, Block) else findings).append(made)  # type: ignore[arg-type]
        open_mark, after = None, mark.end()
    if open_mark is not None:
        findings.append(_no_end(open_mark[2], field, position))
    elif position:
        around = around or bool(text[after:].strip())
    else:
        findings.append(
            _finding(
                "pem.none",
                f"{_NAMES[field]} has no PEM block.",
                "It must hold a block from -----BEGIN …----- to -----END …-----, with nothing changed in between.",
                field,
            )
        )
    if around and not any(finding.severity == "error" for finding in findings):
        message = f"The text around the blocks in {_NAMES[field]} was left out."
        findings.append(_finding("pem.text-around", message, "", field))
    return blocks, findings


_WHOLE = "Copy the whole block again, from its BEGIN line to its END line."


def _block(body: str, label: str, field: Field, position: int) -> Block | Finding:
    lines = [line.strip() for line in body.split("\n")]
    headers = [line for line in lines if _HEADER.match(line)]
    content = "".join(line for line in lines if line and not _HEADER.match(line))
    content = "".join(content.split())
    try:
        der = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        der = b""
    if not der:
        message = (
            f"Block {position} in {_NAMES[field]} ({label}) is not intact: what is between BEGIN and END is not base64."
        )
        return _finding("pem.base64", message, "Extra or missing characters; copy the block again.", field, position)
    encrypted = any("ENCRYPTED" in header for header in headers)
    kind: Kind = _KINDS.get(label, "other")
    if kind == "other" and label.endswith("PRIVATE KEY"):
        kind = "key"
    if kind == "key" and encrypted:
        kind = "encrypted-key"
    wrapped = "\n".join(content[at : at + 64] for at in range(0, len(content), 64))
    head = "".join(f"{header}\n" for header in headers) + "\n" if encrypted else ""
    pem = f"-----BEGIN {label}-----\n{head}{wrapped}\n-----END {label}-----\n".encode("ascii")
    return Block(field=field, position=position, kind=kind, label=label, pem=pem, der=der)


def _no_end(label: str, field: Field, position: int) -> Finding:
    message = f"Block {position} in {_NAMES[field]} ({label}) has no END line."
    return _finding("pem.no-end", message, _WHOLE, field, position)
