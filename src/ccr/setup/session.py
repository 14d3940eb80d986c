"""One set-up: look at the workspace, prove models on the planned configuration, plan the file.

Everything is proven on the document that will be written, so what is written is what worked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ccr.config.load import config_from_bytes
from ccr.config.parse import MalformedError, values_from_bytes
from ccr.errors import StartError, UpstreamError
from ccr.setup.check_workspace import ME
from ccr.setup.document import Entry, bytes_from_document, document_with, masked, models_in
from ccr.setup.families import is_retired
from ccr.setup.plan import Change, content_of
from ccr.setup.proof import prove
from ccr.setup.workspaces import identity_of, with_token
from ccr.transformers.registry import build
from ccr.upstream.discovery import Discovery, discover
from ccr.upstream.ways import Reach
from ccr.upstream.workspace_api import WorkspaceApi

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from ccr.config.model import Config, Provider
    from ccr.setup.document import Api
    from ccr.setup.proof import Proof
    from ccr.setup.workspaces import Identity

UNDECIDED: Final = "not-chosen-yet"
"""Stands for a model until the workspace has said which there are."""


@dataclass(frozen=True)
class Session:
    """What is decided so far. written: the document in place ({} when there is none); old: its bytes.

    ways: keys of the file beside the provider's that say how the workspace is reached.
    """

    path: Path
    old: bytes | None
    written: Mapping[str, Any]
    environ: Mapping[str, str]
    name: str
    url: str
    identity: Mapping[str, str]
    api: Api = "chat"
    ways: Mapping[str, str] = field(default_factory=dict)

    def document(self, models: Sequence[str]) -> dict[str, Any]:
        """Return the document with these models."""
        return document_with({**self.written, **self.ways}, self.entry(models))

    def entry(self, models: Sequence[str]) -> Entry:
        """Return the provider's entry with these models."""
        return Entry(self.name, self.url, tuple(models), self.identity, self.api)

    def data(self, models: Sequence[str]) -> bytes:
        """Return the file's content with these models; the very bytes in place when they say the same."""
        document = self.document(models)
        if self.old is not None and document == self.written:
            return self.old
        return bytes_from_document(document)

    def config(self, models: Sequence[str]) -> Config:
        """Return what that file means. Raises ConfigError with every problem, also of the part in place."""
        return config_from_bytes(self.data(models), self.environ, file=str(self.path), check_step=build)

    def change(self, models: Sequence[str]) -> Change:
        """Return the change of config.json, with masked texts to show."""
        document = self.document(models)
        before = "" if self.old is None else bytes_from_document(masked(dict(self.written))).decode()
        after = bytes_from_document(masked(document)).decode()
        return Change(self.path, self.old, self.data(models), before, after)


@dataclass(frozen=True)
class Sight:
    """What the workspace said.

    person: who we are, "" when it does not say. identity: with the token for it. problems: one sentence each.
    """

    person: str
    identity: Identity
    discovery: Discovery
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proven:
    """models: those that answered or were busy, the default first. refused: why others were left out."""

    models: tuple[str, ...]
    refused: tuple[str, ...] = ()
    busy: tuple[str, ...] = field(default=())


def document_in(path: Path, *, replaces: bool = False) -> tuple[bytes | None, dict[str, Any]]:
    """Return the bytes of config.json and what they say; ``replaces``: as if they said nothing.

    Raises StartError when the file is there and cannot be read: it is never overwritten by mistake.
    """
    old = content_of(path)
    if old is None or replaces:
        return old, {}
    try:
        written = values_from_bytes(old)
    except MalformedError as error:
        raise StartError(
            f"{path} holds {error}. Mend it, or begin anew with --replace (the old file is kept)."
        ) from error
    if not isinstance(written, dict):
        raise StartError(f"{path} holds no object. Begin anew with --replace (the old file is kept).")
    return old, written


async def look(session: Session) -> Sight:
    """Ask the workspace who we are and what it serves.

    Raises UpstreamError when it cannot be reached or refuses the identity, ConfigError.
    """
    config = session.config([UNDECIDED])
    provider = _provider(session, config)
    reach = Reach.of(config, provider)
    identity = await identity_of(provider, session.environ, reach=reach)
    async with WorkspaceApi(session.url, identity.token, reach=reach) as api:
        person, problems = await _person(api)
        try:
            found = await discover(api)
        except UpstreamError as error:
            if error.status != 403:
                raise
            found = Discovery((), (error.message,))
    return Sight(person, identity, found, (*problems, *found.problems))


async def _person(api: WorkspaceApi) -> tuple[str, tuple[str, ...]]:
    try:
        me = (await api.get(ME)).values
    except UpstreamError as error:
        if error.status not in {403, 404}:
            raise
        return "", (error.message,)  # some identities may call models and not ask for their own name
    name = me.get("userName") or me.get("displayName") or me.get("id")
    return (name if isinstance(name, str) else ""), ()


async def prove_best(session: Session, identity: Identity, ranked: Mapping[str, Sequence[str]]) -> Proven:
    """Call the best model of each family, and the next best where it is refused, until one answers.

    Raises UpstreamError when none of any family does.
    """
    left = {family: list(names) for family, names in ranked.items() if names}
    answered: dict[str, str] = {}
    refused: list[str] = []
    busy: list[str] = []
    while left:
        trial = {family: names.pop(0) for family, names in left.items()}
        proofs = await prove_models(session, identity, list(trial.values()))
        for family, model in trial.items():
            proof = proofs[model]
            if proof.error is None or proof.is_busy:
                answered[family] = model
                busy += [f"{model}: {proof.error}"] if proof.error else []
            else:
                refused.append(f"{model}: {proof.error}")
        left = {family: names for family, names in left.items() if names and family not in answered}
    if not answered:
        raise UpstreamError(502, "No model answered:\n  " + "\n  ".join(refused))
    models = [answered[family] for family in ranked if family in answered]
    return Proven(tuple(dict.fromkeys(models)), tuple(refused), tuple(busy))


def earlier_models(
    session: Session, discovery: Discovery, chosen: Sequence[str], today: dt.date
) -> list[str]:
    """Return the further models that the provider has in the file and the workspace still serves."""
    served = {model.name for model in discovery.models if model.state != "NOT_READY"}
    written = models_in(session.written, session.name, session.url)
    return [name for name in written if name in served and name not in chosen and not is_retired(name, today)]


async def prove_models(session: Session, identity: Identity, models: Sequence[str]) -> dict[str, Proof]:
    """Call each model once; return model -> what came of it."""
    config = session.config(models)
    name = _provider(session, config).name
    proofs = await prove(with_token(config, name, identity.token), [f"{name},{model}" for model in models])
    return dict(zip(models, proofs, strict=True))


def _provider(session: Session, config: Config) -> Provider:
    return next(each for each in config.providers if each.name.lower() == session.name.lower())
