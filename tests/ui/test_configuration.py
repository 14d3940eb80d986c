"""The configuration on the page: shown masked, changed one value at a time, and never lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ccr.config.parse import values_from_bytes
from ccr.setup import config_change
from ccr.setup.plan import backups_of
from ccr.ui import configuration as module

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ui.conftest import Answer, Asked

SECRET = "canary-provider-key"
TEXT = """{
  // kept as it is
  "PORT": 0, /* any */
  'LOG_LEVEL': "info",
  "Providers": [
    { "name": "one", "api_base_url": "https://one.test/v1/chat/completions", // the first
      "api_key": "canary-provider-key", "models": ["a", "b"], },
    { "name": "two", "api_base_url": "https://two.test/v1/chat/completions", "models": ["c"],
      "api_key": "k2k2k2k2" }
  ],
  "Router": { "default": "one,a", "think": ["one,b", "two,c"] }, // routes
}
"""


def write(pages: Asked, text: str = TEXT) -> Path:
    file = pages.installation.paths.config_file
    file.write_text(text)
    file.chmod(0o600)
    return file


async def change(pages: Asked, version: str | None = None, **wanted: Any) -> Answer:
    if version is None:
        version = (await pages.get("/api/config")).values["version"]
    return await pages.post("/api/change", {"version": version, "change": wanted})


async def test_it_is_shown_without_secrets(pages: Asked) -> None:
    write(pages)
    answer = await pages.get("/api/config")
    values = answer.values
    assert b"canary" not in answer.body
    assert b"k2k2k2k2" not in answer.body
    assert values["problems"] == []
    assert '"api_key": "***"' in values["text"]
    assert "// kept as it is" in values["text"]
    assert [each["route"] for each in values["choices"]] == ["one,a", "one,b", "two,c"]
    assert values["routes"][2] == {"kind": "think", "routes": ["one,b", "two,c"]}
    one = {
        "name": "one",
        "url": "https://one.test/v1/chat/completions",
        "models": ["a", "b"],
        "key": "written in the file, not shown",
        "transformers": [],
    }
    assert values["providers"][0] == one
    assert values["effective"]["Providers"][0]["api_key"] == "***"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"api_key": "$ONE"}, "$ONE"),
        ({"api_key": "${ONE}"}, "${ONE}"),
        ({"api_key": "auto"}, "auto"),
        ({"host": "https://adb-1.azuredatabricks.net", "profile": "me"}, "signs in by host, profile"),
        ({}, "none"),
        ({"api_key": ["k2k2k2k2"]}, "signs in by api_key"),
    ],
)
async def test_how_keys_are_described(pages: Asked, entry: dict[str, Any], said: str) -> None:
    write(pages, json.dumps({"Providers": [{"name": "one", "models": ["a"], **entry}]}))
    assert (await pages.get("/api/config")).values["providers"][0]["key"] == said


@pytest.mark.parametrize(
    ("wanted", "old", "new"),
    [
        ({"what": "route", "kind": "default", "route": "two,c"}, '"default": "one,a"', '"default": "two,c"'),
        ({"what": "route", "kind": "think", "route": "one,a"}, '["one,b", "two,c"]', '["one,a", "two,c"]'),
        ({"what": "log_level", "value": "warn"}, "'LOG_LEVEL': \"info\"", "'LOG_LEVEL': \"warn\""),
        ({"what": "add_model", "provider": "one", "model": "n"}, '["a", "b"]', '["a", "b", "n"]'),
        ({"what": "key", "provider": "one", "value": "$HOME"}, '"canary-provider-key"', '"$HOME"'),
    ],
)
async def test_only_the_value_changes(pages: Asked, wanted: dict[str, Any], old: str, new: str) -> None:
    file = write(pages)
    answer = await change(pages, **wanted)
    assert answer.status == 200, answer.body
    assert answer.values["written"]
    assert TEXT.count(old) == 1
    assert file.read_text() == TEXT.replace(old, new), "byte for byte, but for the value"
    assert file.stat().st_mode & 0o777 == 0o600
    (backup,) = backups_of(file)
    assert backup.name == answer.values["backup"]
    assert backup.read_text() == TEXT
    assert backup.stat().st_mode & 0o777 == 0o600


async def test_further_changes(pages: Asked) -> None:
    file = write(pages)
    assert (await change(pages, what="remove_model", provider="one", model="b")).status == 422, (
        "a route needs it"
    )
    assert (await change(pages, what="route", kind="think", route=None)).status == 200
    assert (await change(pages, what="remove_model", provider="one", model="b")).status == 200
    assert (await change(pages, what="threshold", value=12345)).status == 200
    assert (await change(pages, what="image_agent", value=True)).status == 200
    again = await change(pages, what="threshold", value=12345)
    assert again.values == {"written": False, "warnings": []}
    document = values_from_bytes(file.read_bytes())
    assert document["Router"] == {"default": "one,a", "longContextThreshold": 12345}
    assert document["Providers"][0]["models"] == ["a"]
    assert document["forceUseImageAgent"] is True
    assert "// the first" in file.read_text()


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"what": "route", "kind": "default", "route": "nobody,x"}, "There is no model 'nobody,x'"),
        ({"what": "threshold", "value": -1}, "Router.longContextThreshold: found -1; allowed"),
        ({"what": "key", "provider": "one", "value": "$NO_SUCH_VARIABLE"}, "the variable NO_SUCH_VARIABLE"),
        ({"what": "remove_model", "provider": "two", "model": "c"}, "config.json: "),
        ({"what": "HOST", "value": "0.0.0.0"}, "the page can change route, threshold"),  # noqa: S104 - refused
    ],
)
async def test_what_is_refused_is_not_written(pages: Asked, wanted: dict[str, Any], sentence: str) -> None:
    file = write(pages)
    inode = file.stat().st_ino
    answer = await change(pages, **wanted)
    assert answer.status in (400, 422)
    assert sentence in answer.values["error"]
    assert file.read_text() == TEXT
    assert file.stat().st_ino == inode
    assert backups_of(file) == []


async def test_a_refused_key_is_not_repeated(pages: Asked) -> None:
    write(pages)
    answer = await change(pages, what="key", provider="one", value="canary$NO_SUCH_VARIABLE-new-secret")
    assert answer.status == 422
    assert b"canary" not in answer.body


async def test_a_file_that_changed_meanwhile_is_left_alone(pages: Asked) -> None:
    file = write(pages)
    version = (await pages.get("/api/config")).values["version"]
    edited = TEXT.replace("// routes", "// my routes")
    write(pages, edited)
    answer = await change(pages, version, what="log_level", value="warn")
    assert answer.status == 409
    assert "was changed meanwhile; nothing was written" in answer.values["error"]
    assert file.read_text() == edited


async def test_an_edit_in_the_very_moment_is_left_alone(
    pages: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(pages)
    edited = TEXT.replace("// routes", "// my routes")
    planned = config_change.planned

    def planned_late(*arguments: Any, **options: Any) -> Any:
        found = planned(*arguments, **options)
        write(pages, edited)
        return found

    monkeypatch.setattr(module, "planned", planned_late)
    answer = await change(pages, what="log_level", value="warn")
    assert answer.status == 422
    assert "was changed by somebody else meanwhile; nothing was written" in answer.values["error"]
    assert file.read_text() == edited


async def test_an_invalid_file_is_shown_with_its_problems_and_can_be_mended(pages: Asked) -> None:
    broken = TEXT.replace('"default": "one,a"', '"default": "one,gone"')
    file = write(pages, broken)
    values = (await pages.get("/api/config")).values
    check = pages.installation.run("config", "check")
    assert [each["sentence"] for each in values["problems"]] == check.stderr.removeprefix(
        "ccr: "
    ).splitlines()
    assert values["problems"][0]["key"] == "Router.default"
    assert values["effective"] is None
    assert (await change(pages, what="log_level", value="warn")).status == 422, "still broken"
    assert file.read_text() == broken
    assert (await change(pages, what="route", kind="default", route="one,a")).status == 200
    assert file.read_text() == TEXT


async def test_a_file_that_is_no_json_is_left_alone(pages: Asked) -> None:
    text = TEXT.replace('"PORT": 0', '"PORT" 0')
    file = write(pages, text)
    answer = await pages.get("/api/config")
    assert answer.values["text"] is None
    assert "JSON; comments are allowed" in answer.values["problems"][0]["sentence"]
    assert b"canary" not in answer.body
    refused = await change(pages, what="log_level", value="warn")
    assert refused.status == 422
    assert file.read_text() == text


async def test_without_a_file_none_is_made(pages: Asked) -> None:
    file = pages.installation.paths.config_file
    file.unlink()
    values = (await pages.get("/api/config")).values
    assert (values["exists"], values["version"], values["text"]) == (False, "", None)
    assert "There is no configuration at" in values["problems"][0]["sentence"]
    assert (await change(pages, what="log_level", value="warn")).status == 422
    assert (await pages.get("/api/overview")).status == 200
    assert (await pages.post("/api/service", {"action": "start"})).values["ok"] is False
    assert not file.exists()


async def test_bodies_of_another_form(pages: Asked) -> None:
    file = write(pages)
    for body in (b"{", b"[1]", b"\xff", b"null", b"[" * 100_000):
        answer = await pages.raw("POST", "/api/change", pages.headers(body), body)
        assert answer.status == 400, body[:10]
    odd: list[dict[str, object]] = [
        {},
        {"version": "x"},
        {"change": {}},
        {"version": 1, "change": {}},
        {"version": "", "change": []},
    ]
    for values in odd:
        assert (await pages.post("/api/change", values)).status == 400
    assert file.read_text() == TEXT


async def test_a_good_check_and_a_bad_one(pages: Asked) -> None:
    write(pages)
    assert (await pages.post("/api/check", {})).values["ok"] is True
    write(pages, TEXT.replace("one,a", "one,gone"))
    found = (await pages.post("/api/check", {})).values
    assert [each["key"] for each in found["problems"]] == ["Router.default"]
