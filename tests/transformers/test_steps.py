"""Groups of steps: order, what a step of the person's own is given, and what happens when it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec import Raw

from ccr.errors import RequestError, TransformerError
from ccr.transformers.base import ChunkStep, Context, Target, Transformer
from ccr.transformers.pipeline import Pipeline, RemoteSteps
from ccr.transformers.steps import Steps
from ccr.transformers.targets import fault_of, origin_of

if TYPE_CHECKING:
    from ccr.protocol.openai import ChatRequest

CONTEXT = Context(provider="p", model="m")
TARGET = Target("https://h/x", {})


def chat(**more: Any) -> ChatRequest:
    values = {"model": "m", "messages": [{"role": "user", "content": "a"}], **more}
    return cast("ChatRequest", values)


class Tagging(Transformer):
    """Writes its tag into everything that passes."""

    name = "tagging"

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        return cast("ChatRequest", {**chat, "model": chat["model"] + self.options["tag"]})

    def target(self, target: Target, context: Context) -> Target:
        return target._replace(headers={**target.headers, f"x-{self.options['tag']}": "1"})

    def completion(self, completion: dict[str, Any], context: Context) -> dict[str, Any]:
        return {**completion, "id": completion["id"] + self.options["tag"]}

    def stream(self, context: Context) -> ChunkStep | None:
        return ChunkStep() if self.options["tag"] == "a" else None


class Nothing(Transformer):
    name = "nothing"


def tagging(tag: str) -> Tagging:
    return Tagging({"tag": tag})


def steps(*given: Transformer, built_in: frozenset[type[Transformer]] = frozenset()) -> Steps:
    return Steps(given, built_in=built_in)


def hook_raising(error: BaseException, hook: str) -> Transformer:
    def raising(self: object, *arguments: object) -> object:
        raise error

    return cast("Transformer", type("Raising", (Transformer,), {"name": "raising", hook: raising})({}))


def hook_returning(value: object, hook: str) -> Transformer:
    def returning(self: object, *arguments: object) -> object:
        return value

    return cast("Transformer", type("Returning", (Transformer,), {"name": "returning", hook: returning})({}))


def test_requests_in_order_answers_in_reverse() -> None:
    group = steps(tagging("a"), Nothing({}), tagging("b"))
    assert group.request(chat(), CONTEXT)["model"] == "mab"
    assert list(group.target(TARGET, CONTEXT).headers) == ["x-a", "x-b"]
    assert group.completion({"id": ""}, CONTEXT) == {"id": "ba"}
    assert [each.name for each in group.chunk_steps(CONTEXT)] == ["tagging"]
    assert group.may_complete
    assert group.may_stream


def test_what_nobody_overrides_is_never_called() -> None:
    group = steps(Nothing({}))
    given, answer = chat(), {"id": ""}
    assert group.request(given, CONTEXT) is given
    assert group.completion(answer, CONTEXT) is answer
    assert group.target(TARGET, CONTEXT) is TARGET
    assert group.chunk_steps(CONTEXT) == []
    assert not group.may_complete
    assert not group.may_stream


class Changing(Transformer):
    """Changes what it is given in place, as authors do."""

    name = "changing"

    def request(self, chat: ChatRequest, context: Context) -> ChatRequest:
        chat["messages"][0]["content"] = "changed"
        chat["temperature"] = chat["temperature"] / 2
        return chat


def test_the_persons_own_steps_get_a_plain_copy() -> None:
    given = chat(temperature=Raw(b"0.5"), seed=2**70)
    changed = steps(Changing({})).request(given, CONTEXT)
    assert changed["temperature"] == 0.25
    assert given["messages"][0]["content"] == "a"
    assert cast("dict[str, Any]", changed)["seed"] == 2**70


def test_built_in_steps_get_the_request_itself() -> None:
    group = steps(hook_returning(given := chat(), "request"))
    built_in = steps(*group.steps, built_in=frozenset({type(group.steps[0])}))
    assert built_in.request(given, CONTEXT) is given


@pytest.mark.parametrize("hook", ["request", "target", "completion", "stream"])
def test_a_hook_that_raises_is_named(hook: str) -> None:
    group = steps(hook_raising(KeyError("x" * 600), hook))
    with pytest.raises(TransformerError) as caught:
        run(group, hook)
    error = caught.value
    assert (error.status, error.error_type, error.should_retry) == (500, "api_error", False)
    assert error.message.startswith(f"the transformer raising failed in {hook}: KeyError: ")
    assert len(error.message) < 600
    assert isinstance(error.__cause__, KeyError)


class Odd(BaseException):
    pass


@pytest.mark.parametrize("hook", ["request", "target", "completion", "stream"])
@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), Odd("odd")], ids=repr)
@pytest.mark.fault("L120", outcome="one that calls `sys.exit` fails its request; the process lives")
def test_what_is_no_exception_is_named_too(error: BaseException, hook: str) -> None:
    with pytest.raises(TransformerError, match=f"raising failed in {hook}: {type(error).__name__}"):
        run(steps(hook_raising(error, hook)), hook)


def test_ctrl_c_is_not_taken() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(steps(hook_raising(KeyboardInterrupt(), "request")), "request")


def test_secrets_in_a_reason_are_masked() -> None:
    group = steps(hook_raising(ValueError("Bearer dapi0123456789abcdef0123456789abcdef"), "request"))
    with pytest.raises(TransformerError) as caught:
        run(group, "request")
    assert "dapi0123" not in caught.value.message


def test_an_error_for_the_client_is_passed_on() -> None:
    with pytest.raises(RequestError, match=r"^not here$"):
        run(steps(hook_raising(RequestError("not here"), "request")), "request")


async def _later() -> None: ...


@pytest.mark.parametrize(
    ("hook", "value", "said"),
    [
        ("request", None, "it returned nothing, not a request"),
        ("request", [], "it returned list, not a request"),
        ("request", {"model": object()}, "TypeError"),
        ("target", ("https://h", {}), "it returned tuple, not a Target"),
        ("target", Target("ftp://h", {}), "the URL does not begin with https:// and a host"),
        ("completion", None, "it returned nothing, not a completion"),
    ],
)
def test_what_a_hook_may_not_return(hook: str, value: object, said: str) -> None:
    with pytest.raises(TransformerError, match=f"returning failed in {hook}: .*{said}"):
        run(steps(hook_returning(value, hook)), hook)


def test_a_hook_may_not_be_async() -> None:
    with pytest.raises(TransformerError, match="it is `async`, and hooks are plain functions"):
        run(steps(hook_returning(_later(), "request")), "request")


def run(group: Steps, hook: str) -> object:
    match hook:
        case "request":
            return group.request(chat(), CONTEXT)
        case "target":
            return group.target(TARGET, CONTEXT)
        case "completion":
            return group.completion({"choices": []}, CONTEXT)
        case _:
            return group.chunk_steps(CONTEXT)


# -- where a request may go


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        (Target("https://h/x?y=1", {"a": "b", "c": None}), None),
        (Target("http://127.0.0.1:1/x", {}), None),
        (Target("http://h/x", {}), "http, to another machine"),
        (Target("https:///x", {}), "does not begin with https://"),
        (Target("https://u:p@h/x", {}), "holds credentials"),
        (Target("https://h/\u00e9", {}), "visible ASCII"),
        (Target("https://h /", {}), "visible ASCII"),
        (Target("https://[h/", {}), "cannot be read"),
        (Target("https://h:99999/", {}), "cannot be read"),
        (Target(cast("Any", None), {}), "visible ASCII"),
        (Target("https://h", {"a b": "1"}), "no name of a header"),
        (Target("https://h", {cast("Any", 1): "1"}), "no name of a header"),
        (Target("https://h", {"a": "1\r\nb: 2"}), "not one line of ASCII"),
        (Target("https://h", {"a": cast("Any", 1)}), "not one line of ASCII"),
        (Target("https://h", {"a": "\u00e9"}), "not one line of ASCII"),
    ],
)
def test_faults_of_targets(target: Target, fault: str | None) -> None:
    found = fault_of(target)
    assert (fault is None and found is None) or (fault or "") in (found or "")
    assert (found is None) is (fault is None)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://h/x", "https://H:443/y?z", True),
        ("https://h", "https://h:444", False),
        ("https://h", "http://h", False),
        ("https://h", "https://h.evil", False),
    ],
)
def test_origins(one: str, other: str, *, same: bool) -> None:
    assert (origin_of(one) == origin_of(other)) is same


# -- pipelines


class FakeStep:
    """A step of another process."""

    def __init__(self, name: str, host: Any, *, may_request: bool = True, may_respond: bool = True) -> None:
        self.name = name
        self.host = host
        self.may_request = may_request
        self.may_respond = may_respond

    async def request(self, *_: Any) -> Any:
        raise AssertionError("not asked here")


def test_steps_of_one_host_that_follow_each_other_are_one_part() -> None:
    one, two = object(), object()
    chain = [
        tagging("a"),
        FakeStep("1", one),
        FakeStep("2", one, may_respond=False),
        FakeStep("3", one, may_request=False),
        FakeStep("4", two),
        tagging("b"),
        tagging("c"),
    ]
    pipeline = Pipeline(cast("Any", chain))
    assert [type(part) for part in pipeline.parts] == [Steps, RemoteSteps, RemoteSteps, Steps]
    assert pipeline.returning == pipeline.parts[::-1]
    assert pipeline.has_remote
    part = pipeline.parts[1]
    assert isinstance(part, RemoteSteps)
    assert [step.name for step in part.responding] == ["3", "1"]
    assert [step.name for step in part.requesting] == ["1", "2"]
    assert pipeline.handles == {"history"}
    assert Pipeline(cast("Any", [FakeStep("1", one, may_request=False)])).handles == set()
    assert pipeline.request(chat(), CONTEXT)["model"] == "mabc"
    assert list(pipeline.target(TARGET, CONTEXT).headers) == ["x-a", "x-b", "x-c"]
    assert pipeline.completion({"id": ""}, CONTEXT) == {"id": "cba"}
    assert not Pipeline([tagging("a")]).has_remote


def test_a_step_that_nobody_gave_a_log_writes_into_the_air() -> None:
    step = tagging("a")
    assert not step.logger.writes("fatal")
    step.logger.write("fatal", "nobody hears it")
