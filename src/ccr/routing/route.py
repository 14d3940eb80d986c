"""Which provider and model serve a request by the name of its model alone.

The rules that look at more than the name come before (router.py). First match wins:

    explicit    ``provider,model``, both configured
    model       the name of a configured model; the first provider that lists it. Then that of a model which
                a provider's workspace serves (``Provider.discovered``); no other rule looks at those
    same_model  another name of a configured model: ``claude-sonnet-4-5-20250929`` and
                ``databricks-claude-sonnet-4-5`` are one
    default     a name of Claude whose family (opus, sonnet …) is that of ``Router.default``
    family      a name of Claude: the best configured model of its family
    default     any other name of Claude: ``Router.default``

``same_model`` and ``family`` serve a name of Claude only where ``Router.default`` is a Claude too: whoever
made another vendor's model the default wants it for all that the client asks for by itself (docs/routing.md).

Names match in any case; the suffix ``[1m]`` (a wish of the client for a long context) is not part of a name.
Everything else is refused: a request never goes to a model nobody configured. Pure; what names say is an
argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from ccr.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ccr.config.model import Config, Provider

    NameFactsOf = Callable[[str], "NameFacts"]

LONG_CONTEXT_SUFFIX: Final = "[1m]"
MAX_NAMED: Final = 20
"""How many configured names an error message lists."""


class Decision(NamedTuple):
    """The route of a request. model: in the spelling of the configuration. rule: see the module's table."""

    provider: Provider
    model: str
    rule: str


class NameFacts(Protocol):
    """What is known of a model by its name (catalog/lookup.py has it)."""

    @property
    def canonical(self) -> str:
        """One name for all names of a model."""

    @property
    def family(self) -> str:
        """``opus``, ``sonnet`` …; ``claude`` for another Claude, "" for another vendor's model."""

    @property
    def version(self) -> tuple[int, ...]:
        """Major and minor: the higher, the better. Empty when the name has none."""

    @property
    def is_retired(self) -> bool:
        """The model answers no more."""


def choose(model: str, config: Config, name_facts: NameFactsOf) -> Decision:
    """Return the route for the model name of a request.

    Raises RequestError (400) that names what is configured.
    """
    name = name_of(model)
    if "," in name:
        return Decision(*explicit_route(name, config), "explicit")
    for provider in config.providers:
        configured = _spelled(name, provider.models)
        if configured is not None:
            return Decision(provider, configured, "model")
    for provider in config.providers:
        served = _spelled(name, provider.discovered)
        if served is not None:
            return Decision(provider, served, "model")
    asked = name_facts(name)
    if asked.family:
        return _claude(asked, config, name_facts)
    found = _best(config, None, lambda model: _is_same(asked, name_facts(model)), name_facts)
    if found is None:
        raise RequestError(f"model: `{name}` is not configured in ccr. {_remedy(config)}")
    return Decision(*found, "same_model")


def name_of(model: str) -> str:
    """Return a model's name without the suffix ``[1m]``."""
    name = model.strip()
    if name.lower().endswith(LONG_CONTEXT_SUFFIX):
        name = name[: -len(LONG_CONTEXT_SUFFIX)].rstrip()
    return name


def name_for(provider: Provider, model: str, config: Config) -> str:
    """Return the shortest name that leads to a route: the model's, with its provider where it must be."""
    first = next((p for p in config.providers if _spelled(model, p.models) is not None), None)
    return model if first is provider and "," not in model else f"{provider.name},{model}"


def _claude(asked: NameFacts, config: Config, name_facts: NameFactsOf) -> Decision:
    """Return the route for a name of Claude that is not configured as it is."""
    default = Decision(*default_of(config), "default")
    default_family = name_facts(default.model).family
    if not default_family:
        return default
    if asked.version:
        found = _best(config, default.provider, lambda model: _is_same(asked, name_facts(model)), name_facts)
        if found is not None:
            return Decision(*found, "same_model")
    if default_family == asked.family:
        return default
    found = _best(
        config, default.provider, lambda model: name_facts(model).family == asked.family, name_facts
    )
    return default if found is None else Decision(*found, "family")


def _is_same(asked: NameFacts, configured: NameFacts) -> bool:
    return bool(asked.canonical) and asked.canonical == configured.canonical


def _best(
    config: Config, preferred: Provider | None, is_wanted: Callable[[str], bool], name_facts: NameFactsOf
) -> tuple[Provider, str] | None:
    """Return the newest of the wanted models that is not retired: of the preferred provider if it has one.

    Of equal ones the first; None when there is none.
    """
    candidates = [
        (provider, model)
        for provider in config.providers
        for model in provider.models
        if is_wanted(model) and not name_facts(model).is_retired
    ]
    return max(
        candidates,
        key=lambda candidate: (candidate[0] is preferred, name_facts(candidate[1]).version),
        default=None,
    )


def explicit_route(name: str, config: Config) -> tuple[Provider, str]:
    """Return the route that ``provider,model`` names. Raises RequestError (400)."""
    provider_name, _, model_name = (part.strip() for part in name.partition(","))
    provider = next((p for p in config.providers if p.name.lower() == provider_name.lower()), None)
    if provider is None:
        raise RequestError(f"model: there is no provider `{provider_name}` in ccr. {_remedy(config)}")
    configured = _spelled(model_name, (*provider.models, *provider.discovered))
    if configured is None:
        raise RequestError(
            f"model: provider `{provider.name}` has no model `{model_name}` in ccr. {_remedy(config)}"
        )
    return provider, configured


def default_of(config: Config) -> tuple[Provider, str]:
    """Return the default route. Raises RequestError (400)."""
    if config.router.default is None:
        raise RequestError(f"model: Router.default is not set in ccr's configuration. {_remedy(config)}")
    return explicit_route(config.router.default, config)


def _spelled(name: str, models: Iterable[str]) -> str | None:
    """Return the configured spelling of a model's name, None when it is not among ``models``."""
    lowered = name.lower()
    return next((model for model in models if model.lower() == lowered), None)


def _remedy(config: Config) -> str:
    names = [f"`{provider.name},{model}`" for provider in config.providers for model in provider.models]
    shown = ", ".join(names[:MAX_NAMED]) or "nothing"
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return (
        f"Configured: {shown}{more}. Choose one of them (`claude --model`, ANTHROPIC_MODEL), "
        "or add the model to Providers[].models in config.json."
    )
