"""Secrets are found by their value, however they are written."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ccr.config.masking import SHORTEST_SECRET, Mask
from ccr.config.model import Secret

SECRET = 'a+b/c"d\\e f-é_0123456789'
WRITTEN = {
    "as it is": SECRET,
    "JSON": json.dumps(SECRET)[1:-1],
    "JSON in JSON": json.dumps(json.dumps(SECRET)[1:-1])[1:-1],
    "URL": quote(SECRET, safe=""),
    "path": quote(SECRET),
    "form": quote_plus(SECRET),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_every_form(form: str) -> None:
    assert Mask([Secret(SECRET)]).by_value(f"<{WRITTEN[form]}>") == "<***>"


@given(
    st.text(min_size=12, max_size=40),
    st.binary(max_size=5),
    st.binary(max_size=5),
    st.sampled_from([b"+/", b"-_"]),
)
def test_in_base64_wherever_it_begins(text: str, before: bytes, after: bytes, signs: bytes) -> None:
    secret = text.encode("utf-8", "replace").decode()
    written = base64.b64encode(before + secret.encode() + after, signs).decode()
    masked = Mask([Secret(secret)]).by_value(written)
    assert "***" in masked
    rest = len(masked.replace("***", ""))
    assert rest <= 2 * (len(before) + len(after)) + 8, "no more than what belongs to the neighbours"


def test_short_texts_are_no_secrets() -> None:
    assert Mask([Secret("x" * (SHORTEST_SECRET - 1))]).by_value("xxxxx, eHh4eHg=") == "xxxxx, eHh4eHg="
