"""The way to the providers: proxies, certificates, time limits, keys beside the first, places.

Keys of a provider, except ``PROXY_URL`` (and its other names), ``NO_PROXY`` and ``CA_FILE``, which count for
all that say nothing else. What comes from the environment is read here, once: docs/reliability.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from ccr.config.model import DIRECT, Network, Secret, Timeouts
from ccr.config.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.model import Proxy

PROXY_KEYS: Final = ("PROXY_URL", "HTTPS_PROXY", "https_proxy", "httpsProxy")
GLOBAL_KEYS: Final = (*PROXY_KEYS, "NO_PROXY", "CA_FILE")
KEYS: Final = (
    *("timeouts", "api_keys", "proxy", "ca_file", "max_concurrent", "max_queued", "retries", "pool"),
    "recover",
)
TIMEOUTS: Final = ("connect", "first_byte", "idle")
PROXY_SCHEMES: Final = ("http", "https", "socks5", "socks5h")
PROXY_FORM: Final = (
    "http://host:port (or https, socks5, socks5h), with user:password@ if needed; env, or none"
)
ENVIRONMENT: Final = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
"""HTTP_PROXY is for http, which ccr speaks to this machine alone."""
DAY_S: Final = 86_400.0
MAX_PLACES: Final = 10_000
DEFAULT_QUEUED: Final = 64


# -- for all providers ------------------------------------------------------------------------------------


def proxy_url_from(root: Section, environ: Mapping[str, str]) -> Secret | None:
    """Return the proxy that any of the documented keys names, None for none."""
    for key in PROXY_KEYS:
        if root.values.get(key) is not None and (proxy := _proxy(root, key, environ)) is not None:
            return None if proxy == DIRECT else proxy
    return None


def no_proxy_from(root: Section, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the hosts that no proxy is asked for: those of the file and those of the environment."""
    written = root.text("NO_PROXY", allowed="names of hosts, with commas between them") or ""
    listed = ",".join([written, environ.get("NO_PROXY", "") or environ.get("no_proxy", "")])
    return tuple(dict.fromkeys(part.strip() for part in listed.split(",") if part.strip()))


def ca_files_from(root: Section, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the files of certificates to trust beside the system's: ``CA_FILE``, NODE_EXTRA_CA_CERTS."""
    found = [_ca_file(root, "CA_FILE")]
    extra = environ.get("NODE_EXTRA_CA_CERTS", "").strip()
    if extra:
        fault = _fault_of_certificates(Path(extra))
        if fault is None:
            found.append(extra)
        else:
            root.findings.warn("NODE_EXTRA_CA_CERTS", f"(of the environment) names {fault}; it has no effect")
    return tuple(dict.fromkeys(file for file in found if file is not None))


# -- of a provider ----------------------------------------------------------------------------------------


def network_from(section: Section, environ: Mapping[str, str]) -> Network:
    """Return what a provider says about the way to it."""
    return Network(
        timeouts=_timeouts(section),
        proxy=_proxy(section, "proxy", environ),
        ca_file=_ca_file(section, "ca_file"),
        max_concurrent=section.integer("max_concurrent", 0, 0, MAX_PLACES),
        max_queued=section.integer("max_queued", DEFAULT_QUEUED, 0, MAX_PLACES),
        retries=section.integer("retries", 2, 0, 2),
        pool=section.text("pool", allowed="a name that several providers share"),
        recover=section.boolean("recover", default=False),
    )


def with_one_key(section: Section) -> tuple[Section, tuple[Secret, ...]]:
    """Return the section with the first of its keys as ``api_key``, and the other keys.

    Several keys stand in ``api_keys``, or in a list at ``api_key``.
    """
    written = section.values.get("api_key")
    name = "api_key" if isinstance(written, list) else "api_keys"
    entries = section.entries(name, of="keys")
    if isinstance(written, list) and section.values.get("api_keys") is not None:
        section.problem("api_keys", "a second list of keys", "one list: api_key or api_keys")
    if not entries:
        return section, ()
    rest = [_key(section, path, entry) for path, entry in entries]
    first = entries[0][1] if name == "api_key" or written is None else written
    others = rest[1:] if first is entries[0][1] else rest
    return (
        Section({**section.values, "api_key": first}, section.path, section.findings),
        tuple(dict.fromkeys(key for key in others if key is not None)),
    )


def _key(section: Section, path: str, entry: Any) -> Secret | None:
    name = path.removeprefix(f"{section.path}.")
    return Section({name: "" if entry is None else entry}, section.path, section.findings).secret(name)


def _timeouts(section: Section) -> Timeouts:
    given = Section(section.table("timeouts"), section.at("timeouts"), section.findings)
    given.warn_of_unknown(TIMEOUTS)
    found = {f"{key}_s": _seconds(given, key) for key in TIMEOUTS}
    return Timeouts(**{name: seconds for name, seconds in found.items() if seconds is not None})


def _seconds(section: Section, key: str) -> float | None:
    value = section.values.get(key)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = section.values.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= DAY_S:
        section.problem(key, section.quoted(key), f"seconds, more than 0 and at most {DAY_S:.0f}")
        return None
    return float(value)


def _proxy(section: Section, key: str, environ: Mapping[str, str]) -> Proxy:
    """Return the proxy at a key; it is never quoted, it may hold a password."""
    text = section.text(key, allowed="the URL of a proxy")
    if text is None:
        return None
    word = text.lower()
    if word in {"none", DIRECT}:
        return DIRECT
    if word == "env":
        text = next((environ[name].strip() for name in ENVIRONMENT if environ.get(name, "").strip()), "")
        if not text:
            return DIRECT
    if not _is_proxy(text):
        found = "a text that is no URL of a proxy" + (" (from the environment)" if word == "env" else "")
        section.problem(key, found, PROXY_FORM)
    return Secret(text)


def _is_proxy(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _ca_file(section: Section, key: str) -> str | None:
    text = section.text(key, allowed="the path of a file with certificates (PEM)")
    if text is None:
        return None
    path = Path(text).expanduser()
    fault = _fault_of_certificates(path)
    if fault is not None:
        section.problem(key, fault, "the path of a readable file with certificates (PEM)")
        return None
    return str(path)


def _fault_of_certificates(path: Path) -> str | None:
    import ssl  # imported here: few need it, and it costs 10 ms

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except FileNotFoundError:
        return "a file that is not there"
    except ssl.SSLError:
        return "a file without certificates"
    except OSError as error:
        return f"a file that cannot be read ({error.strerror})"
    return None


def proxy_word(proxy: Proxy) -> str | None:
    """Return a proxy as it may be shown."""
    return proxy if proxy is None or isinstance(proxy, str) else repr(proxy)


def described(network: Network) -> Mapping[str, Any]:
    """Return the keys that say something else than the defaults, for `ccr config show`."""
    usual = Network()
    timeouts = {
        key: value
        for key in TIMEOUTS
        if (value := getattr(network.timeouts, f"{key}_s")) != getattr(usual.timeouts, f"{key}_s")
    }
    values: dict[str, Any] = {
        "timeouts": timeouts or None,
        "proxy": proxy_word(network.proxy),
        "ca_file": network.ca_file,
    }
    for key in ("max_concurrent", "max_queued", "retries", "pool", "recover"):
        value = getattr(network, key)
        values[key] = value if value != getattr(usual, key) else None
    return {key: shown for key, shown in values.items() if shown is not None}
