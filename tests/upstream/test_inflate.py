from __future__ import annotations

import gzip
import zlib

import pytest

from ccr.errors import UpstreamError
from ccr.upstream.inflate import FREE_BYTES, Inflater

TEXT = b"data: {}\n\n" * 1000


@pytest.mark.parametrize(
    ("encoding", "compressed"),
    [("gzip", gzip.compress(TEXT)), ("x-gzip", gzip.compress(TEXT)), ("deflate", zlib.compress(TEXT))],
)
@pytest.mark.parametrize("piece_bytes", [1, 7, 100_000])
def test_any_cut_inflates_to_the_same(encoding: str, compressed: bytes, piece_bytes: int) -> None:
    inflater = Inflater(encoding, provider="p")
    pieces = [compressed[at : at + piece_bytes] for at in range(0, len(compressed), piece_bytes)]
    assert b"".join(map(inflater.feed, pieces)) == TEXT


def test_what_was_flushed_comes_at_once() -> None:
    compressor = zlib.compressobj(wbits=31)
    inflater = Inflater("gzip", provider="p")
    data = compressor.compress(b"data: 1\n\n") + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert inflater.feed(data) == b"data: 1\n\n"


@pytest.mark.fault("T95", outcome="read as it is flushed; a bomb ends with an error")
def test_a_bomb_is_stopped_while_it_inflates() -> None:
    bomb = gzip.compress(bytes(64 * FREE_BYTES))
    inflater = Inflater("gzip", provider="the provider")
    with pytest.raises(UpstreamError, match="the provider sent an answer that inflates without end"):
        inflater.feed(bomb)
    assert inflater._given < 2 * FREE_BYTES


def test_a_large_answer_is_no_bomb() -> None:
    text = b"".join(b"line %d of a long answer\n" % number for number in range(200_000))
    inflater = Inflater("gzip", provider="p")
    assert inflater.feed(gzip.compress(text)) == text


def test_an_encoding_nobody_asked_for_is_named() -> None:
    with pytest.raises(UpstreamError, match="`br`") as caught:
        Inflater("br", provider="p")
    assert (caught.value.status, caught.value.should_retry) == (502, False)


def test_bytes_that_are_not_compressed_are_refused() -> None:
    with pytest.raises(UpstreamError, match="cannot be read"):
        Inflater("gzip", provider="p").feed(b"<html>")
