"""One field, in whatever form it was pasted or dropped: text or bytes in, blocks and findings out.

1. Bytes are DER (X.690), or text in some encoding; text may be base64 of either, as files in JSON and Kubernetes are.
2. Text is freed of what programs put around and into it (`service.pki.decoration`), then its PEM blocks are found.
3. A block is what its content is, whatever its label says; files that hold several things are opened.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from service.pki import pem
from service.pki.codes import finding as _finding
from service.pki.decoration import undecorate
from service.pki.der import Malformed, first
from service.pki.finding import Field, Finding
from service.pki.kinds import LABELS, recognise
from service.pki.pbe import Work
from service.pki.pem import MAX_BLOCKS, MAX_FIELD_BYTES, NAMES, Block, from_base64, has_marks
from service.pki.pkcs7 import certificates_of
from service.pki.pkcs12 import CannotOpen, Trouble, open_pkcs12

Given = str | bytes | Sequence[str | bytes] | None
"""What a field was given: text, the bytes of a file, or several of them."""
_PEM_IN_BASE64 = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/]{16,}={0,2}")
"""`-----BEGIN ` in base64: how a Kubernetes Secret and many JSON files hold PEM."""
_DER_IN_BASE64 = re.compile(r"MI[A-Za-z0-9+/]{94,}={0,2}")
"""A sequence of more than 127 bytes in base64."""
_FEW_BYTES = 48
_CONTROL = frozenset(map(chr, range(32))) - set("\n\r\t\x1b\x0b\x0c")
_MANY_CONTROLS = 8
_FOREIGN = (
    (b"\xfe\xed\xfe\xed", "a Java keystore", "Convert it: `keytool -importkeystore -deststoretype pkcs12`."),
    (b"\xce\xce\xce\xce", "a Java keystore", "Convert it: `keytool -importkeystore -deststoretype pkcs12`."),
    (b"PuTTY-User-Key-File", "a key of PuTTY", "A TLS key is needed: RSA, ECDSA or Ed25519 in PEM."),
    (b"ssh-", "a public key of SSH", "TLS needs a certificate and its private key; SSH has others."),
    (b"PK\x03\x04", "a ZIP archive", "Unpack it, and paste the files in it."),
    (b"\x1f\x8b", "a compressed file", "Unpack it, and paste what is in it."),
)


@dataclass(frozen=True, slots=True)
class _Opener:
    """What opens the files of one field: a passphrase, and the work that may be spent on it."""

    passphrase: str | None = dataclasses.field(repr=False)
    work: Work = dataclasses.field(default_factory=Work)


def read_field(pasted: str | bytes, field: Field, passphrase: str | None = None) -> tuple[list[Block], list[Finding]]:
    """The blocks of a field, in the order of the paste, and what is to be said of it. An empty field has neither."""
    return _read(pasted, field, _Opener(passphrase))


def _read(pasted: str | bytes, field: Field, opener: _Opener) -> tuple[list[Block], list[Finding]]:
    if _size(pasted) > MAX_FIELD_BYTES:
        message = f"{NAMES[field]} is larger than {MAX_FIELD_BYTES // 1024} kB."
        return [], [_finding("input.too-large", message, "Paste only what belongs in this field.", field)]
    if not pasted.strip():
        return [], []
    foreign = _foreign(pasted, field)
    if foreign is not None:
        return [], [foreign]
    if isinstance(pasted, bytes):
        binary = _from_der(pasted, field)
        if binary:
            return _opened(binary, field, opener, [])
        pasted = _decoded(pasted)
    text, undone = undecorate(pasted)
    findings: list[Finding] = []
    if has_marks(text):
        blocks, findings = pem.read_blocks(text, field)
    else:
        blocks, extra = _without_marks(text, field)
        undone += extra
        if not blocks:
            return [], [_nothing(pasted, field)]
    if undone and blocks:
        message = f"{NAMES[field]} was put right: {_joined(undone)} {'was' if len(undone) == 1 else 'were'} undone."
        findings.append(_finding("pem.repaired", message, "", field))
    return _opened(blocks, field, opener, findings)


def read_given(given: Given, field: Field, passphrase: str | None = None) -> tuple[list[Block], list[Finding]]:
    """The same of several files that were given for one field; together they are bounded as one."""
    if given is None or isinstance(given, str | bytes):
        return read_field(given or "", field, passphrase)
    if sum(map(_size, given)) > MAX_FIELD_BYTES:
        return read_field(b"\0" * (MAX_FIELD_BYTES + 1), field)
    blocks: list[Block] = []
    findings: list[Finding] = []
    opener = _Opener(passphrase)
    for one in given[:MAX_BLOCKS]:
        found, said = _read(one, field, opener)
        before = len(blocks)
        blocks += [replace(block, position=block.position + before) for block in found]
        findings += [replace(it, position=it.position + before) if it.position else it for it in said]
    return blocks, findings


def holds_key(text: str) -> bool:
    """Whether a private key stands in it, or something that may hold one, in any form that is read here."""
    if "PRIVATE KEY" in text.upper():
        return True
    blocks, _ = read_field(text, "certificate")
    return any(block.kind in {"key", "encrypted-key", "pkcs12"} or block.source == "PKCS#12" for block in blocks)


def _size(pasted: str | bytes) -> int:
    if isinstance(pasted, bytes) or len(pasted) > MAX_FIELD_BYTES:
        return len(pasted)
    return len(pasted) if pasted.isascii() else len(pasted.encode("utf-8", "surrogatepass"))


def _foreign(pasted: str | bytes, field: Field) -> Finding | None:
    head = pasted.lstrip()[:24]
    start = head if isinstance(head, bytes) else head.encode("latin-1", "replace")
    for mark, name, hint in _FOREIGN:
        if start.startswith(mark):
            return _finding("input.foreign", f"{NAMES[field]} holds {name}, which is not read here.", hint, field)
    return None


def _decoded(pasted: bytes) -> str:
    """Text in the encoding that it shows: UTF-16 by its mark or its zeros, else UTF-8, else one byte a character."""
    if pasted[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return pasted.decode("utf-16", "replace")
    if pasted[1:4:2] == b"\0\0":
        return pasted.decode("utf-16-le", "replace")
    try:
        return pasted.decode("utf-8-sig")
    except UnicodeDecodeError:
        return pasted.decode("latin-1")


def _from_der(data: bytes, field: Field, at: int = 1) -> list[Block]:
    """One thing in DER, or several after each other; empty when it is none."""
    found: list[Block] = []
    while data[:1] == b"\x30" and len(found) < MAX_BLOCKS:
        try:
            piece = data if data[1:2] == b"\x80" else first(data)
        except Malformed:
            return []
        kind, label = recognise(piece)
        if kind == "other" and not label:
            return []
        found.append(Block(field, at + len(found), kind, label, piece, source="DER"))
        data = data[len(piece) :].lstrip(b"\r\n\0")
    return [] if data else found


def _without_marks(text: str, field: Field) -> tuple[list[Block], tuple[str, ...]]:
    """Base64 without BEGIN and END: of DER, or of PEM; the whole field, or values in it."""
    plain = "".join(text.split()).strip("\"'`,;")
    candidates = [plain] if plain.startswith(("LS0t", "MI")) else []
    for pieces in (candidates, _PEM_IN_BASE64.findall(text), _DER_IN_BASE64.findall(text)):
        blocks: list[Block] = []
        of_pem = False
        for piece in pieces[:MAX_BLOCKS]:
            data = from_base64(piece)
            if data[:5] == b"-----":
                of_pem = True
                inner, said = pem.read_blocks(undecorate(_decoded(data))[0], field)
                if any(one.severity == "error" for one in said):
                    inner = []
                blocks += [replace(one, position=len(blocks) + place) for place, one in enumerate(inner, start=1)]
            elif len(data) >= _FEW_BYTES:
                blocks += _from_der(data, field, len(blocks) + 1)
        if blocks:
            return blocks, ("base64 of whole files",) if of_pem else ()
    return [], ()


def _nothing(pasted: str, field: Field) -> Finding:
    if sum(character in _CONTROL for character in pasted[:4096]) > _MANY_CONTROLS or "\x00" in pasted:
        hint = "Choose or drop the file itself; as text it lost what it held."
        return _finding("input.binary", f"{NAMES[field]} is binary, and none of the forms known here.", hint, field)
    return _finding(
        "pem.none",
        f"{NAMES[field]} has no PEM block.",
        "It must hold a block from -----BEGIN …----- to -----END …-----, with nothing changed in between.",
        field,
    )


def _opened(
    blocks: list[Block], field: Field, opener: _Opener, findings: list[Finding]
) -> tuple[list[Block], list[Finding]]:
    """Each block as what it is; those that hold several things opened. Positions count what was found."""
    found: list[Block] = []
    for block in blocks:
        true, said = _recognised(block)
        findings += said
        if true.label:
            found += _inside(true, opener, findings)
    if len(found) > MAX_BLOCKS:
        message = f"{NAMES[field]} has more than {MAX_BLOCKS} blocks."
        return [], [_finding("pem.too-many-blocks", message, "Paste only what belongs here.", field)]
    if any(one.source.startswith("PKCS") for one in found):
        found = [replace(one, position=place) for place, one in enumerate(found, start=1)]
    return found, findings


def _recognised(block: Block) -> tuple[Block, list[Finding]]:
    """The block with the kind of its content. What is known to be encrypted shows nothing of itself."""
    if block.headers or block.source != "PEM":
        return block, []
    missing = _missing(block.der)
    if missing:
        message = f"{block.where} ({block.label}) ends too early: {missing} bytes of it are missing."
        said = _finding("pem.cut-off", message, "Copy the whole block again.", block.field, block.position)
        return replace(block, label=""), [said]
    if block.kind == "certificate":
        block = replace(block, label="CERTIFICATE", der=_first(block.der))  # OpenSSL's trust settings follow it
    kind, label = recognise(block.der)
    if kind == "other" or block.label == label or (LABELS.get(block.label) == kind and kind != "key"):
        return block, []
    message = f"{block.where} says {block.label}, and is of the kind {label}. It was read as what it is."
    said = _finding("pem.relabelled", message, "", block.field, block.position)
    return replace(block, kind=kind, label=label), [said]


def _first(der: bytes) -> bytes:
    try:
        return first(der)
    except Malformed:
        return der


def _missing(der: bytes) -> int:
    """How many bytes DER says it has and does not have; 0 when it is no sequence."""
    if len(der) < 4 or der[0] != 0x30 or not 0x81 <= der[1] <= 0x83:
        return 0
    count = der[1] & 0x7F
    return max(0, 2 + count + int.from_bytes(der[2 : 2 + count], "big") - len(der))


def _inside(block: Block, opener: _Opener, findings: list[Finding]) -> Iterator[Block]:
    """The block itself, or what it holds."""
    if block.kind == "pkcs7":
        try:
            held = certificates_of(block.der)
        except Malformed:
            held = []
        if not held:
            message = f"{block.where} is a PKCS#7 file without a readable certificate."
            hint = "Ask for the chain in PEM; a signed message is no chain."
            findings.append(_finding("pkcs7.unreadable", message, hint, block.field, block.position))
            yield block
        for der in held:
            yield replace(block, kind="certificate", label="CERTIFICATE", der=der, source="PKCS#7")
    elif block.kind == "pkcs12":
        yield from _from_pkcs12(block, opener, findings)
    else:
        yield block


_TROUBLES: dict[Trouble, tuple[str, str, str]] = {
    "encrypted": ("key.encrypted", "is encrypted.", "Enter its passphrase; it is not stored."),
    "passphrase": ("key.passphrase", "is not opened by the passphrase.", "Check the passphrase."),
    "cost": ("key.encryption-cost", "would take too long to open.", "Export it again with fewer iterations."),
    "algorithm": ("pkcs12.unreadable", "is encrypted in a way not known here.", "Export it again, with AES."),
    "unreadable": ("pkcs12.unreadable", "is damaged, or holds too much.", "Export it again."),
}


def _from_pkcs12(block: Block, opener: _Opener, findings: list[Finding]) -> Iterator[Block]:
    try:
        contents = open_pkcs12(block.der, opener.passphrase, opener.work)
    except CannotOpen as error:
        code, message, hint = _TROUBLES[error.trouble]
        findings.append(_finding(code, f"The PKCS#12 file in {NAMES[block.field]} {message}", hint, block.field))
        yield block
        return
    for der, encrypted in contents.keys:
        kind, label = ("encrypted-key", "ENCRYPTED PRIVATE KEY") if encrypted else ("key", "PRIVATE KEY")
        yield replace(block, kind=kind, label=label, der=der, source="PKCS#12")  # type: ignore[arg-type] # both are kinds
    for der in contents.certificates:
        yield replace(block, kind="certificate", label="CERTIFICATE", der=der, source="PKCS#12")


def _joined(words: tuple[str, ...]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
