from __future__ import annotations

import pytest

from ccr.config.model import DIRECT, Secret
from ccr.upstream.proxies import is_socks, proxy_for

COMMON, OWN = Secret("http://common:1"), Secret("socks5://own:1")


@pytest.mark.parametrize(
    ("url", "no_proxy", "is_exempt"),
    [
        ("https://a.host.test/x", [], False),
        ("https://a.host.test/x", ["*"], True),
        ("https://a.host.test/x", ["host.test"], True),
        ("https://a.host.test/x", [".host.test"], True),
        ("https://a.host.test/x", ["*.host.test"], True),
        ("https://A.Host.test./x", ["HOST.test"], True),
        ("https://host.test/x", [".host.test"], True),
        ("https://myhost.test/x", ["host.test"], False),
        ("https://host.test/x", ["host.test:443"], True),
        ("https://host.test:8443/x", ["host.test:443"], False),
        ("https://host.test:8443/x", ["host.test:8443"], True),
        ("https://10.1.2.3/x", ["10.0.0.0/8"], True),
        ("https://11.1.2.3/x", ["10.0.0.0/8"], False),
        ("https://host.test/x", ["10.0.0.0/8", "bad/entry"], False),
        ("https://10.1.2.3/x", ["10.1.2.3"], True),
        ("https://[2001:db8::1]/x", ["2001:db8::1"], True),
        ("https://[2001:db8::1]:8/x", ["[2001:db8::1]:8"], True),
        ("https://[2001:db8::1]:9/x", ["[2001:db8::1]:8"], False),
        ("https://[2001:db8::1]/x", ["[2001:db8::1]"], True),
        ("https://[2001:db8::1]/x", ["2001:db8::/32"], True),
        ("https://host.test/x", ["."], False),
        ("http://127.0.0.1:1/x", [], True),
        ("http://localhost:1/x", [], True),
    ],
)
def test_hosts_without_a_proxy(url: str, no_proxy: list[str], is_exempt: bool) -> None:
    assert (proxy_for(url, None, COMMON, no_proxy) is None) is is_exempt


def test_whose_word_counts() -> None:
    url = "https://host.test/x"
    assert proxy_for(url, None, None, []) is None
    assert proxy_for(url, None, COMMON, []) == "http://common:1"
    assert proxy_for(url, OWN, COMMON, []) == "socks5://own:1"
    assert proxy_for(url, DIRECT, COMMON, []) is None


def test_socks() -> None:
    assert is_socks("SOCKS5h://p:1")
    assert not is_socks("https://p:1")
