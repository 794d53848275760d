"""PEM blocks (RFC 7468, RFC 1421 §4.4): found in text, decoded, bounded. What else stands in the text is left alone.

A block keeps its place and its kind. No finding quotes what stands in a field: it may be a key.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from service.pki.codes import finding as _finding
from service.pki.finding import Field, Finding
from service.pki.kinds import LABELS, Kind

MAX_FIELD_BYTES = 256 * 1024
"""A chain of ten RSA-4096 certificates has 25 kB; a CA field with a hundred authorities 200 kB."""
MAX_BLOCKS = 128
"""More in one field is a trust store, not a chain."""
_MAX_MARKS = 2 * MAX_BLOCKS
"""BEGIN and END lines."""
NAMES: dict[Field, str] = {"private_key": "KEY", "certificate": "CERT", "ca": "CA"}
"""What people call the fields."""

_MARK = re.compile(r"--\s{0,4}(BEGIN|END)\s{1,4}([A-Z0-9#. ]{1,40}?)\s{0,4}--", re.IGNORECASE)
"""Two dashes are enough; what is left of the others is no content. No part of it can be tried again and again."""
_HEADER = re.compile(r"^[A-Za-z][A-Za-z0-9-]{0,40}:[\x20-\x7e]{0,200}$")
"""RFC 1421 §4.6: ASCII."""
_ENCRYPTED = re.compile(
    r"Proc-Type:\s{0,4}4,\s{0,4}ENCRYPTED\s{1,8}DEK-Info:\s{0,4}([A-Z0-9-]{1,40}),\s{0,4}([0-9A-F]{16,64})",
    re.IGNORECASE,
)
"""RFC 1421 §4.6.1: a key that is encrypted in the traditional way."""
_AROUND = "- \t\n"
_NOT_CONTENT = str.maketrans("", "", " \t\n\"'`,;\\>|")
"""White space, and what quotes lines in mails, lists and strings; none of it is in base64."""


@dataclass(frozen=True, slots=True)
class Block:
    """One thing that was pasted.

    Attributes:
        position: counted from 1 in its field.
        label: the PEM label that fits what it is.
        der: what it decodes to; for an encrypted traditional key the ciphertext.
        headers: of an encrypted traditional key.
        source: the form it came in: `PEM`, `DER`, `PKCS#7` or `PKCS#12`.
    """

    field: Field
    position: int
    kind: Kind
    label: str
    der: bytes
    headers: tuple[str, ...] = ()
    source: str = "PEM"

    def __repr__(self) -> str:
        return f"Block({self.field} {self.position}, {self.label})"

    @property
    def where(self) -> str:
        """What to call it in a message."""
        return f"Block {self.position} in {NAMES[self.field]}"

    @property
    def pem(self) -> bytes:
        """The block alone: LF, lines of 64 characters."""
        content = base64.b64encode(self.der).decode("ascii")
        lines = [content[at : at + 64] for at in range(0, len(content), 64)]
        head = [*self.headers, ""] if self.headers else []
        return "\n".join([f"-----BEGIN {self.label}-----", *head, *lines, f"-----END {self.label}-----", ""]).encode()


def read_blocks(text: str, field: Field) -> tuple[list[Block], list[Finding]]:
    """The blocks of plain text (see `service.pki.decoration`), in order, and what is wrong with the rest."""
    blocks: list[Block] = []
    findings: list[Finding] = []
    open_mark: re.Match[str] | None = None
    label, position, around, after = "", 0, False, 0
    for count, mark in enumerate(_MARK.finditer(text), start=1):
        begins, said = mark[1].upper() == "BEGIN", " ".join(mark[2].upper().split())
        if position + begins > MAX_BLOCKS or count > _MAX_MARKS:
            message = f"{NAMES[field]} has more than {MAX_BLOCKS} blocks."
            return [], [_finding("pem.too-many-blocks", message, "Paste only what belongs here.", field)]
        if begins:
            if open_mark is not None:
                findings.append(_no_end(label, field, position))
            else:
                around = around or bool(text[after : mark.start()].strip(_AROUND))
            position += 1
            open_mark, label = mark, said
            continue
        if open_mark is None:
            hint = "Copy the whole block, from -----BEGIN to the end of the -----END line."
            findings.append(_finding("pem.no-begin", f"An END {said} line has no BEGIN line.", hint, field))
        elif label != said:
            message = f"Block {position} begins as {label} and ends as {said}."
            findings.append(_finding("pem.mismatched-end", message, _WHOLE, field, position))
        else:
            made = _block(text[open_mark.end() : mark.start()], label, field, position)
            (blocks if isinstance(made, Block) else findings).append(made)  # type: ignore[arg-type]
        open_mark, after = None, mark.end()
    if open_mark is not None:
        findings.append(_no_end(label, field, position))
    elif position:
        around = around or bool(text[after:].strip(_AROUND))
    if around and not any(finding.severity == "error" for finding in findings):
        message = f"The text around the blocks in {NAMES[field]} was left out."
        findings.append(_finding("pem.text-around", message, "", field))
    return blocks, findings


def has_marks(text: str) -> bool:
    """Whether there is a BEGIN or an END line."""
    return _MARK.search(text) is not None


def from_base64(text: str) -> bytes:
    """What base64 (RFC 4648 §4) decodes to; empty when it is none. Lost padding is put back, nothing else."""
    content = text.rstrip("=")
    try:
        return base64.b64decode(content + "=" * (-len(content) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


_WHOLE = "Copy the whole block again, from its BEGIN line to its END line."


def _block(body: str, label: str, field: Field, position: int) -> Block | Finding:
    headers: tuple[str, ...] = ()
    encrypted = _ENCRYPTED.search(body) if "ENCRYPTED" in body else None
    if encrypted is not None:
        headers = ("Proc-Type: 4,ENCRYPTED", f"DEK-Info: {encrypted[1].upper()},{encrypted[2].upper()}")
        body = body[encrypted.end() :]
    if ":" in body:
        body = "\n".join(line for line in body.split("\n") if not _HEADER.match(line.strip()))
    der = from_base64(body.strip(_AROUND).translate(_NOT_CONTENT))
    if not der:
        message = (
            f"Block {position} in {NAMES[field]} ({label}) is not intact: what is between BEGIN and END is not base64."
        )
        return _finding("pem.base64", message, "Extra or missing characters; copy the block again.", field, position)
    kind: Kind = LABELS.get(label, "key" if label.endswith("PRIVATE KEY") else "other")
    return Block(field, position, "encrypted-key" if headers and kind == "key" else kind, label, der, headers)


def _no_end(label: str, field: Field, position: int) -> Finding:
    message = f"Block {position} in {NAMES[field]} ({label}) has no END line."
    return _finding("pem.no-end", message, _WHOLE, field, position)
