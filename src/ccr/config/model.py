"""The configuration as values: typed, frozen, complete. Everything else of ccr reads only this.

The documented spelling of the file (``Providers``, ``API_TIMEOUT_MS``) is known to ``load.py`` and its parts.
Mappings (step options, ``StatusLine``) are what the person wrote, interpolated; nobody may change them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from ccr.config.speed import TokenSpeed
    from ccr.config.tokenizers import Tokenizer

Api = Literal["chat", "anthropic", "auto"]
Auth = Literal["key", "none"]
KeyHeader = Literal["authorization", "x-api-key"]
LogLevel = Literal["fatal", "error", "warn", "info", "debug", "trace"]

MASK = "***"
DIRECT: Final = "direct"
DEFAULT_LONG_CONTEXT_TOKENS = 60_000
"""``Router.longContextThreshold`` where it is not written."""


class Secret:
    """A text that must not be shown: ``repr``, ``str`` and formatting give ``***``; ``reveal()`` gives it.

    Not a ``str``, so that it cannot slip into a message, a header or a JSON document by accident.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text; to be called only where it is sent."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(("Secret", self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not serialised")


class UnknownStepError(ValueError):
    """No built-in transformer has the name of a step; a file or an entry point may."""


Proxy = Secret | Literal["direct"] | None
"""The URL of a proxy, no proxy, or nothing said."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One transformer of a chain: its configured name and its options (may be empty)."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TransformerFile:
    """An entry of ``transformers[]``: the file, and the options for what it defines.

    is_built_in: it holds what ccr has built in; loaded only for steps that force it.
    """

    path: str
    options: Mapping[str, Any] = field(default_factory=dict)
    is_built_in: bool = False


@dataclass(frozen=True, kw_only=True)
class SystemPrompt:
    """``REWRITE_SYSTEM_PROMPT``: a text in place of the client's own system prompt, and its file."""

    path: Path
    text: str


@dataclass(frozen=True, kw_only=True)
class Prices:
    """US dollars per million tokens: of prompts and answers, of cached tokens that are read and written.

    None where nothing is said of cached tokens: they count like the others of the prompt.
    """

    input: float
    output: float
    cache_read: float | None = None
    cache_write: float | None = None


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """What a provider says about its Databricks identity; None where it says nothing and it is looked for.

    file, path: where the provider stands, for messages. host: ``https://name[:port]`` (http on this machine).
    cli_path: the program ``databricks``. on_behalf_of_user: each request brings the token of its user; then
    nothing else is said but ``host``.
    """

    file: str = "config.json"
    path: str = "Providers[]"
    host: str | None = None
    profile: str | None = None
    client_id: str | None = None
    client_secret: Secret | None = None
    auth_type: str | None = None
    cli_path: str | None = None
    on_behalf_of_user: bool = False


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds. connect: to a connection, TLS included. first_byte: to the answer; None: ``API_TIMEOUT_MS``.

    idle: between two bytes of an answer; None: what the gateway's patience says.
    """

    connect_s: float = 10.0
    first_byte_s: float | None = None
    idle_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Network:
    """The way to a provider, and how much it is asked.

    proxy: None: what ``PROXY_URL`` says. ca_file: certificates to trust beside the system's.
    max_concurrent: requests at a time, 0 for any number; max_queued: how many more may wait.
    retries: how often a request is sent again at most. pool: providers with the same name in it stand in for
    each other. recover: an answer that breaks off is continued where that can be done.
    """

    timeouts: Timeouts = field(default_factory=Timeouts)
    proxy: Proxy = None
    ca_file: str | None = None
    max_concurrent: int = 0
    max_queued: int = 64
    retries: int = 2
    pool: str | None = None
    recover: bool = False


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A configured upstream.

    url: ``api_base_url``, a full URL, https unless the host is loopback; made of ``host`` when not given.
    api_key: a key of its own. None where there is a ``sign_in``, and for a loopback upstream that asks none.
    sign_in: how to find the identity of a Databricks workspace; does not count where there is a key.
    models: at least one, in the written order.
    steps: ``transformer.use``; model_steps: model -> ``transformer.<model>.use``, run after ``steps``.
    api: the dialect it is spoken to in (config/api.py); fits the URL.
    key_header: which header a key of its own goes in (``authorization``: as a bearer token).
    max_tokens: model -> the most that is asked for; models without a limit of the person's are not in it.
    fetch_images: images that requests name by https addresses are fetched for it.
    max_payload_bytes: the largest body it takes; None where that is not known.
    prices: model -> what its tokens cost by the person's own word, in place of the catalog's prices.
    more_keys: keys beside ``api_key``, which is the first. network: the way there.
    tokenizers: model -> what counts the tokens of its requests, "" for all others; empty: they are estimated.
    discovered: further models that its workspace served when it was asked last (upstream/discovered.py); not
    of the file, and only for requests that name them.
    """

    name: str
    url: str
    api_key: Secret | None
    models: tuple[str, ...]
    sign_in: SignIn | None = None
    steps: tuple[Step, ...] = ()
    model_steps: Mapping[str, tuple[Step, ...]] = field(default_factory=dict)
    api: Api = "chat"
    key_header: KeyHeader = "authorization"
    max_tokens: Mapping[str, int] = field(default_factory=dict)
    fetch_images: bool = False
    max_payload_bytes: int | None = None
    prices: Mapping[str, Prices] = field(default_factory=dict)
    more_keys: tuple[Secret, ...] = ()
    network: Network = field(default_factory=Network)
    tokenizers: Mapping[str, Tokenizer] = field(default_factory=dict)
    discovered: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Router:
    """Which route serves which kind of request; routes are ``provider,model`` in the spelling of Providers.

    default: None only in hand-made values, and in the Router of a project.
    scenarios: rule -> route, of ``background``, ``think``, ``longContext``, ``webSearch``, ``image``.
    long_context_threshold: more input tokens than this are a long context.
    alternatives: rule (``default`` too) -> further routes to try when its first one fails, in order.
    others: unknown keys as written.
    """

    default: str | None = None
    scenarios: Mapping[str, str] = field(default_factory=dict)
    long_context_threshold: int = DEFAULT_LONG_CONTEXT_TOKENS
    alternatives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class UsageKept:
    """``USAGE``, ``USAGE_DAYS``, ``USAGE_MAX_MB``: whether finished requests are kept, and how many."""

    is_kept: bool = True
    days: int = 400
    max_bytes: int = 200_000_000


@dataclass(frozen=True, kw_only=True)
class Config:
    """The whole configuration with all defaults filled in.

    api_key: ``APIKEY``; None when empty, then the generated key of ``keys.py`` is the client's key.
    api_timeout_s: ``API_TIMEOUT_MS`` in seconds: how long an upstream may take to the first byte.
    stop_timeout_s: ``STOP_TIMEOUT_MS`` in seconds: how long running answers may take to end when it stops.
    port: 0 = any free port (the real one is in the state file).
    proxy_url: may hold credentials, hence a secret. no_proxy: hosts it is not for, as NO_PROXY has them.
    ca_files: certificates to trust beside the system's.
    node_command: ``NODE_COMMAND``, the program that runs transformers in JavaScript; None: ``node`` on PATH.
    custom_router: ``CUSTOM_ROUTER_PATH``, an absolute path that ends in .py or is JavaScript.
    system_prompt: what takes the place of the client's own; None leaves it as it is.
    speed: where the speed of each answer goes; None for nowhere.
    non_interactive: claude is started for scripts: no terminal, no input. small_fast_model: the client's.
    force_image_agent: ``forceUseImageAgent``: no model but that of ``Router.image`` gets an image.
    warnings: sentences for the person, something is not as they may expect.
    notes: sentences on how something was understood.
    """

    log: bool = True
    log_level: LogLevel = "info"
    claude_path: str | None = None
    node_command: str | None = None
    host: str = "127.0.0.1"
    port: int = 3456
    api_key: Secret | None = None
    auth: Auth = "key"
    api_timeout_s: float = 600.0
    stop_timeout_s: float = 30.0
    proxy_url: Secret | None = None
    no_proxy: tuple[str, ...] = ()
    ca_files: tuple[str, ...] = ()
    transformers: tuple[TransformerFile, ...] = ()
    providers: tuple[Provider, ...] = ()
    router: Router = field(default_factory=Router)
    custom_router: Path | None = None
    system_prompt: SystemPrompt | None = None
    speed: TokenSpeed | None = None
    status_line: Mapping[str, Any] | None = None
    non_interactive: bool = False
    small_fast_model: str | None = None
    force_image_agent: bool = False
    usage: UsageKept = field(default_factory=UsageKept)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
