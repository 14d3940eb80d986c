"""What a workspace serves: the names of its models, whether they are ready, and which APIs they take.

Three lists know parts of it, and any of them may be closed to an identity or missing in a workspace, so each
fails alone: the serving endpoints (names, state, task), the foundation models (which APIs they take; not in
the public reference), and the model services of the AI gateway (``system.ai.*`` names; always asked with a
parent, otherwise the workspace walks its whole metastore). Source: reference databricks.md §1, and what
public clients of these lists read.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from ccr.errors import UpstreamError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ccr.upstream.workspace_api import WorkspaceApi

Source = Literal["endpoint", "gateway"]

ENDPOINTS: Final = "/api/2.0/serving-endpoints"
FOUNDATION_MODELS: Final = "/api/2.0/serving-endpoints:foundation-models"
MODEL_SERVICES: Final = "/api/2.1/unity-catalog/model-services"
MODEL_SERVICES_QUERY: Final = {"parent": "schemas/system.ai", "page_size": "100"}
SERVICE_PREFIX: Final = "model-services/"

CHAT_TASK: Final = "llm/v1/chat"
MESSAGES_API: Final = "anthropic/v1/messages"
CHAT_APIS: Final = (MESSAGES_API, "chat/completions", "/responses", "generatecontent")

MAX_MODELS: Final = 2000
MAX_NAME_CHARACTERS: Final = 256
MAX_PAGES: Final = 10
LISTS_DEADLINE_S: Final = 10.0


class ServedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model of a workspace.

    source: ``endpoint`` is called under /serving-endpoints, ``gateway`` under /ai-gateway.
    state: ``READY``, ``NOT_READY`` or "" when no list says; task: ``llm/v1/chat`` …, "" when no list says.
    api_types: the APIs it takes, e.g. ``anthropic/v1/messages``; empty when no list says.
    """

    name: str
    source: Source = "endpoint"
    state: str = ""
    task: str = ""
    api_types: tuple[str, ...] = ()

    @property
    def is_chat(self) -> bool:
        """Whether it holds conversations, as far as the lists say; embeddings and the like do not."""
        if self.task:
            return self.task == CHAT_TASK
        if self.api_types:
            return any(word in api.lower() for api in self.api_types for word in CHAT_APIS)
        return "claude" in self.name

    @property
    def takes_messages(self) -> bool:
        """Whether a list says that it takes Anthropic's Messages."""
        return MESSAGES_API in self.api_types


class Discovery(msgspec.Struct, frozen=True):
    """What was found, by name, and which lists could not be read (one sentence each)."""

    models: tuple[ServedModel, ...]
    problems: tuple[str, ...] = ()


async def discover(api: WorkspaceApi, *, deadline_s: float = LISTS_DEADLINE_S) -> Discovery:
    """Ask all lists at once, each for at most ``deadline_s``.

    Raises UpstreamError, the one of the serving endpoints, when no list could be read.
    """
    tasks = (_endpoints(api), _foundation_models(api), _model_services(api))
    results = await asyncio.gather(*(_within(deadline_s, task) for task in tasks))
    problems = [result for result in results if isinstance(result, UpstreamError)]
    if len(problems) == len(results):
        raise problems[0]
    found: dict[str, ServedModel] = {}
    for result in results:
        if not isinstance(result, UpstreamError):
            for model in result:
                found[model.name] = _merged(found.get(model.name), model)
    models = tuple(sorted(found.values(), key=lambda model: (model.source, model.name)))
    absent = [
        problem for problem in problems if problem.status != 404
    ]  # a list that does not exist is no problem
    return Discovery(models[:MAX_MODELS], tuple(problem.message for problem in absent))


async def _within(seconds: float, task: Any) -> list[ServedModel] | UpstreamError:
    try:
        async with asyncio.timeout(seconds):
            models: list[ServedModel] = await task
            return models
    except UpstreamError as error:
        return error
    except TimeoutError:
        return UpstreamError(504, f"a list of models did not come within {seconds:.0f} s")


async def _endpoints(api: WorkspaceApi) -> list[ServedModel]:
    answer = await api.get(ENDPOINTS)
    return [
        ServedModel(
            name=name,
            state=_text(_table(entry.get("state")).get("ready")),
            task=_text(entry.get("task")),
        )
        for name, entry in _entries(answer.values, "endpoints")
    ]


async def _foundation_models(api: WorkspaceApi) -> list[ServedModel]:
    answer = await api.get(FOUNDATION_MODELS)
    models = []
    for name, entry in _entries(answer.values, "endpoints"):
        entities = _table(entry.get("config")).get("served_entities")
        facts = [_table(_table(entity).get("foundation_model")) for entity in _list(entities)]
        api_types = {text for fact in facts for text in _texts(fact.get("api_types"))}
        models.append(
            ServedModel(name=name, task=_text(entry.get("task")), api_types=tuple(sorted(api_types)))
        )
    return models


async def _model_services(api: WorkspaceApi) -> list[ServedModel]:
    models: list[ServedModel] = []
    query = dict(MODEL_SERVICES_QUERY)
    for _ in range(MAX_PAGES):
        answer = await api.get(MODEL_SERVICES, query)
        models += [
            ServedModel(
                name=name.removeprefix(SERVICE_PREFIX),
                source="gateway",
                api_types=tuple(sorted(set(_texts(entry.get("supported_api_types"))))),
            )
            for name, entry in _entries(answer.values, "model_services")
        ]
        token = answer.values.get("next_page_token")
        if not isinstance(token, str) or not token or token == query.get("page_token"):
            break
        query["page_token"] = token
    return models


def _merged(known: ServedModel | None, new: ServedModel) -> ServedModel:
    if known is None:
        return new
    return ServedModel(
        name=known.name,
        source=known.source,
        state=known.state or new.state,
        task=known.task or new.task,
        api_types=tuple(sorted({*known.api_types, *new.api_types})),
    )


def _entries(values: Mapping[str, Any], key: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Yield the named entries of a list; what has no name that could stand in a URL is no model."""
    for entry in _list(values.get(key)):
        name = _text(_table(entry).get("name"))
        if name and name.isprintable() and not any(character.isspace() for character in name):
            yield name, entry


def _list(value: Any) -> list[Any]:
    return value[:MAX_MODELS] if isinstance(value, list) else []


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_NAME_CHARACTERS else ""


def _texts(value: Any) -> list[str]:
    return [text for text in map(_text, _list(value)) if text]
