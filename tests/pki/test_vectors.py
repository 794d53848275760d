"""Files that others collected because they are hard to read: each gives documented findings, no crash, no echo."""

from __future__ import annotations

import json
from collections import Counter

from service.pki.codes import SEVERITIES
from tests.pki.corpus import TABLE, answer, codes, is_exact, vectors

EXPECTED = json.loads(TABLE.read_text())


def test_every_file_of_the_corpus_is_answered():
    seen: Counter[str] = Counter()
    for name, path in vectors():
        exit_code, found = answer(path)
        assert exit_code in {0, 1}, name
        assert set(codes(found)) <= set(SEVERITIES), name
        assert (exit_code == 1) == any(one["severity"] == "error" for one in found["findings"]), name
        seen["accepted" if exit_code == 0 else "refused"] += 1
        if is_exact(name):
            assert codes(found) == EXPECTED[name], name
    assert set(EXPECTED) == {name for name, _ in vectors() if is_exact(name)}
    assert seen == {"accepted": 442, "refused": 1373}


def test_no_answer_holds_a_line_of_a_private_key():
    looked_at = 0
    for name, path in vectors():
        text = path.read_bytes().decode("latin-1")
        if "PRIVATE KEY-----" not in text:
            continue
        looked_at += 1
        said = json.dumps(answer(path)[1])
        lines = [line.strip() for line in text.split("PRIVATE KEY-----")[1].split("\n") if len(line.strip()) > 40]
        assert not any(line in said for line in lines), name
    assert looked_at > 80
