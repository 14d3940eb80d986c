"""Manifests, questions, placeholders and exports, without files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ccr.errors import StartError
from ccr.presets.answers import AnswerError, answer_from, choices_of, holds, standing
from ccr.presets.export import exported
from ccr.presets.fill import filled, placeholders_in, service_document
from ccr.presets.manifest import Question, check_name, preset_from

FOLDER = Path("/presets/team")


def preset(**document: Any) -> Any:
    return preset_from({"name": "team", **document}, "team")


@pytest.mark.parametrize("name", ["", "..", ".x", "a/b", "a\\b", "a b", "x" * 65, "-x", "a."])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(StartError, match="no name for a preset"):
        check_name(name)


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ([], "no JSON object"),
        ({"template": 3}, "template"),
        ({"userValues": [1]}, "userValues"),
        ({"schema": {"x": 1}}, "schema is no list"),
        ({"schema": [{"type": "input"}]}, "no id"),
        ({"schema": [{"id": "a", "type": "colour"}]}, "no type 'colour'"),
        ({"configMappings": ["x"]}, "configMappings"),
    ],
)
def test_manifests_that_are_none(document: Any, sentence: str) -> None:
    with pytest.raises(StartError, match=sentence):
        preset_from(document, "team")


@pytest.mark.parametrize(
    ("condition", "values", "result"),
    [
        ({"field": "a", "value": 1}, {"a": 1}, True),
        ({"field": "a", "operator": "eq", "value": 1}, {}, False),
        ({"field": "a", "operator": "ne", "value": 1}, {"a": 2}, True),
        ({"field": "a", "operator": "exists"}, {"a": ""}, True),
        ({"field": "a", "operator": "exists"}, {}, False),
        ({"field": "a", "operator": "in", "value": ["x"]}, {"a": "x"}, True),
        ({"field": "a", "operator": "nin", "value": ["x"]}, {"a": "x"}, False),
        ({"field": "a", "operator": "in", "value": "x"}, {"a": "x"}, False),
        ({"field": "a", "operator": "gt", "value": 1}, {"a": 2}, True),
        ({"field": "a", "operator": "lt", "value": 1}, {"a": 2}, False),
        ({"field": "a", "operator": "gte", "value": 2}, {"a": 2}, True),
        ({"field": "a", "operator": "lte", "value": 1}, {"a": "x"}, False),
    ],
)
def test_conditions(condition: dict[str, Any], values: dict[str, Any], result: bool) -> None:
    assert holds(condition, values) is result


def test_a_question_stands_after_those_it_depends_on() -> None:
    found = preset(
        schema=[
            {"id": "model", "when": {"field": "kind", "value": "x"}},
            {"id": "kind"},
            {"id": "never", "when": [{"field": "kind", "value": "y"}]},
            {"id": "loop", "when": {"field": "loop2", "operator": "ne", "value": 1}},
            {"id": "loop2", "when": {"field": "loop", "operator": "ne", "value": 1}},
        ]
    )
    values: dict[str, Any] = {}
    seen = []
    for question in standing(found, values):
        seen.append(question.id)
        values[question.id] = "x"
    assert seen == ["kind", "model", "loop2", "loop"]


@pytest.mark.parametrize(
    ("question", "given", "answer"),
    [
        (Question(id="a"), "text", "text"),
        (Question(id="a", is_required=False), "", ""),
        (Question(id="a", kind="number"), "5", 5),
        (Question(id="a", kind="number"), "2.5", 2.5),
        (Question(id="a", kind="confirm"), "Yes", True),
        (Question(id="a", kind="confirm"), False, False),
        (Question(id="a", kind="multiselect"), "x, y", ["x", "y"]),
        (Question(id="a", kind="multiselect"), ["x"], ["x"]),
        (Question(id="a", kind="multiselect"), None, None),
        (Question(id="a", pattern="^k-"), "k-1", "k-1"),
    ],
)
def test_answers(question: Question, given: Any, answer: Any) -> None:
    assert answer_from(question, given) == answer


@pytest.mark.parametrize(
    ("question", "given", "sentence"),
    [
        (Question(id="a", label="Key"), "", "Key is required"),
        (Question(id="a", kind="number", label="N"), "x", "N is a number"),
        (Question(id="a", kind="number", label="N", lowest=1), "0", "at least 1"),
        (Question(id="a", kind="number", label="N", highest=1), "2", "at most 1"),
        (Question(id="a", kind="confirm", label="C"), "perhaps", "yes or no"),
        (Question(id="a", label="K", pattern="^k-"), "x", "not the form"),
    ],
)
def test_answers_that_will_not_do(question: Question, given: Any, sentence: str) -> None:
    with pytest.raises(AnswerError, match=sentence):
        answer_from(question, given)


BASE: dict[str, Any] = {
    "PORT": 4000,
    "APIKEY": "mine",
    "LOG_LEVEL": "warn",
    "Providers": [
        {"name": "a", "api_base_url": "https://a.example/v1/x", "api_key": "my-key", "models": ["m", "n"]},
        {"name": "b", "api_base_url": "https://b.example/v1/x", "api_key": "other", "models": ["o"]},
    ],
    "Router": {"default": "a,m", "background": "b,o"},
}


@pytest.mark.parametrize(
    ("options", "choices"),
    [
        (["x", {"label": "Y", "value": "y"}], ["x", "y"]),
        ({"type": "static", "options": [{"value": 1}]}, ["1"]),
        ({"type": "providers"}, ["a", "b"]),
        ({"type": "models", "providerField": "#{p}"}, ["m", "n"]),
        ({"type": "models", "providerField": "other"}, []),
        (None, []),
    ],
)
def test_choices(options: Any, choices: list[str]) -> None:
    assert choices_of(Question(id="a", options=options), BASE, {"p": "a"}) == choices


SCHEMA = [{"id": "key", "type": "password"}, {"id": "size", "type": "number"}, {"id": "Providers[0].name"}]


def test_variables_of_the_status_line_are_no_placeholders() -> None:
    modules = [{"text": "{{model}} #{model} #{other}", "icon": "#{model}"}, {"text": "#{key}"}]
    found = preset(
        schema=[{"id": "model"}, {"id": "key"}], template={"StatusLine": {"default": {"modules": modules}}}
    )
    assert filled(found, {"model": "m"}, FOLDER)["StatusLine"] == {
        "default": {"modules": [{"text": "{{model}} m #{other}", "icon": "m"}, {}]}
    }


def test_placeholders_are_filled_and_unfilled_ones_left_out() -> None:
    found = preset(
        schema=SCHEMA,
        template={
            "Providers": [
                {"name": "x", "api_key": "#{key}", "models": ["m-{{size}}", "#{none}", "{{ key }}"]}
            ],
            "API_TIMEOUT_MS": "#{size}",
            "StatusLine": {"default": {"modules": [{"text": "{{model}}", "scriptPath": "s.js"}, 3]}, "x": 1},
        },
        claudeCodeSettings={"env": {}},
        configMappings=[
            {"target": "Router.default", "value": "x,#{size}"},
            {"target": "Router.think", "value": "#{key}"},
            {"target": "PORT", "value": 3, "when": {"field": "size", "operator": "gt", "value": 99}},
            {"target": "HOST", "value": "h", "when": [{"field": "size", "value": 5}]},
            {"target": 3},
        ],
    )
    assert filled(found, {"size": 5, "Providers[0].name": "y"}, FOLDER) == {
        "claudeCodeSettings": {"env": {}},
        "Providers": [{"name": "y", "models": ["m-5", "#{none}"]}],
        "API_TIMEOUT_MS": 5,
        "StatusLine": {
            "default": {"modules": [{"text": "{{model}}", "scriptPath": "/presets/team/s.js"}, 3]},
            "x": 1,
        },
        "Router": {"default": "x,5"},
        "HOST": "h",
    }
    assert placeholders_in(found.template) == {"key", "size", "none", "model"}


def test_without_a_template_the_keys_are_the_configuration() -> None:
    found = preset(
        schema=[{"id": "key"}], key="x", Router={"default": "#{key}"}, transformers=[{"path": "t.js"}]
    )
    assert filled(found, {"key": "a,m"}, FOLDER) == {
        "Router": {"default": "a,m"},
        "transformers": [{"path": "/presets/team/t.js"}],
    }


def test_a_mapping_that_leads_nowhere() -> None:
    found = preset(Router={"default": "x"}, configMappings=[{"target": "Router.default.x", "value": 1}])
    with pytest.raises(StartError, match="cannot be set"):
        filled(found, {}, FOLDER)


def test_a_preset_on_top_of_the_persons_configuration() -> None:
    own = {
        "Providers": [
            {"name": "A", "models": ["z"]},
            {"name": "new", "api_base_url": "https://c.example/x", "models": ["q"]},
        ],
        "Router": {"default": "A,z"},
        "noServer": True,
    }
    assert service_document(BASE, own) == {
        "LOG_LEVEL": "warn",
        "Router": {"default": "A,z"},
        "Providers": [
            {**BASE["Providers"][0], "name": "A", "models": ["z"]},
            own["Providers"][1],  # type: ignore[index]  # a list of objects
            BASE["Providers"][1],
        ],
        "PORT": 0,
    }


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"api_base_url": "https://evil.example/v1/x"},
        {"api_base_url": "http://a.example/v1/x"},
        {"api_base_url": "https://a.example:444/v1/x"},
        {"host": "evil.example"},
        {"profile": "evil"},
    ],
)
def test_a_provider_that_leads_elsewhere_gets_no_key_of_the_persons(elsewhere: dict[str, Any]) -> None:
    merged = service_document(BASE, {"Providers": [{"name": "a", "models": ["m"], **elsewhere}]})
    assert merged["Providers"][0] == {"name": "a", "models": ["m"], **elsewhere}
    same = service_document(BASE, {"Providers": [{"name": "a", "api_base_url": "https://A.example/v2"}]})
    assert same["Providers"][0]["api_key"] == "my-key"


def test_a_preset_may_just_name_a_provider() -> None:
    assert service_document(BASE, {"provider": "B"})["Router"]["default"] == "b,o"
    assert service_document(BASE, {})["Router"] == BASE["Router"]
    assert service_document({"providers": BASE["Providers"]}, {})["Providers"] == BASE["Providers"]


def test_exports_hold_no_secret() -> None:
    document = {
        **BASE,
        "PROXY_URL": "http://u:p@h:1",
        "Providers": [
            *BASE["Providers"],
            {
                "name": "c d",
                "api_base_url": "https://user:pass@c.example/x",
                "api_key": "$C_KEY",
                "models": ["m"],
                "max_tokens": 5,
                "headers": {"x-token": "one"},
            },
            {
                "name": "c-d",
                "api_base_url": "https://d.example/x",
                "api_key": "two",
                "api_keys": ["four", "five"],
            },
            {
                "name": "q",
                "api_base_url": "https://q.example/x?v=1&key=six&b=$B&token=$T",
                "api_key": ["seven", "eight"],
            },
            {"name": "w", "host": "w.example", "client_secret": "nine", "note": "x?sig=ten"},
        ],
        "transformers": [{"path": "t.js", "options": {"authorization": "three", "note": "dapi" + "0" * 32}}],
    }
    manifest, secrets, left_out = exported(document, {"name": "n", "author": "", "keywords": ["k"]})
    text = repr(manifest)
    numbers = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten'")
    for secret in ("my-key", "other", "pass@", *numbers, "dapi0", "u:p", "'mine'"):
        assert secret not in text.replace("'required'", "")
    assert manifest["name"] == "n"
    assert manifest["keywords"] == ["k"]
    assert "author" not in manifest
    assert manifest["template"]["Providers"][2]["api_key"] == "$C_KEY"
    assert manifest["template"]["Providers"][2]["max_tokens"] == 5
    assert manifest["template"]["Providers"][4] == {
        "name": "q",
        "api_base_url": "https://q.example/x?v=1&key=#{q_key}&b=$B&token=$T",
        "api_key": "#{q_api_key}",
    }
    assert secrets[:2] == ["a_api_key", "b_api_key"]
    assert secrets[-5:] == ["q_api_key", "w_client_secret", "w_sig", "authorization", "note"]
    assert left_out == [
        *("PORT", "APIKEY", "LOG_LEVEL", "PROXY_URL"),
        *("further keys of c-d", "further keys of q"),
    ]
    # what was exported is what is read, and the person's own provider completes it
    found = preset_from(manifest, "n")
    assert service_document(document, filled(found, {}, FOLDER))["Providers"][0]["api_key"] == "my-key"
    completed = service_document(document, filled(found, {}, FOLDER))["Providers"][3]
    assert (completed["api_key"], completed["api_keys"]) == ("two", ["four", "five"])
    answered = filled(found, {"a_api_key": "theirs"}, FOLDER)
    assert answered["Providers"][0]["api_key"] == "theirs"


def test_an_export_without_secrets_is_plain() -> None:
    manifest, secrets, _ = exported({"Router": {"default": "a,m"}, "providers": []}, {"name": "n"})
    assert manifest == {"name": "n", "Providers": [], "Router": {"default": "a,m"}}
    assert secrets == []
