"""Known secrets in everything the pages can show, then a search of every answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ccr.ui.app import Listening
from ccr.ui.session import Session
from tests.faults.echoing import ANSWERS, echoing
from tests.faults.test_canary import LOCAL_KEY, MODELS, SECRETS, Place, body, found_in
from tests.store.database import failed, make_database
from tests.ui.conftest import Asked, around

if TYPE_CHECKING:
    from collections.abc import Iterator

GETS = (
    *("overview", "config", "usage", "usage?by=session", "requests", "requests?text=canary"),
    *(
        "log?name=ccr",
        "log?name=plugin",
        "log?name=start",
        "log?name=ccr&level=error",
        "log?name=ccr&text=canary",
    ),
)


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with echoing() as port:
        made = Place(tmp_path_factory.mktemp("canary"), port)
        made.configure()
        yield made
        made.configure()
        made.run("stop", "--now")


async def look(place: Place, pages: Asked) -> None:
    for target in GETS:
        answer = await pages.get(f"/api/{target}")
        place.said.append((target, json.dumps(answer.headers).encode() + answer.body))
        place.said.append((f"{target} as texts", "\n".join(_texts(answer.values)).encode()))


def _texts(value: object) -> Iterator[str]:
    """Give every text as the page shows it: JSON's escapes could hide one."""
    if isinstance(value, dict):
        for key, entry in value.items():
            yield key
            yield from _texts(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
    elif isinstance(value, str):
        yield value


async def change(place: Place, pages: Asked) -> None:
    version = (await pages.get("/api/config")).values["version"]
    for wanted in (
        {"what": "key", "provider": "plain", "value": SECRETS["user token"]},
        {"what": "key", "provider": "signed", "value": SECRETS["user token"]},
        {"what": "key", "provider": SECRETS["user token"], "value": "x"},
        {"what": "add_model", "provider": "plain", "model": "another"},
        {"what": "route", "kind": "default", "route": "nobody,x"},
        {"what": "threshold", "value": -1},
        {"what": "remove_model", "provider": "plain", "model": "nothing"},
    ):
        answer = await pages.post("/api/change", {"version": version, "change": wanted})
        place.said.append((f"change {wanted['what']}", answer.body))
        version = (await pages.get("/api/config")).values["version"]


async def ask(place: Place, pages: Asked) -> None:
    for provider in ("plain", "native", "signed", "environment", "quoted", "throwing", "failing"):
        answer = await pages.post("/api/test", {"route": f"{provider},{MODELS[-1]}"})
        place.said.append((f"test {provider}", answer.body))
        text = body(provider, "please raise", stream=False).decode()
        place.said.append((f"explain {provider}", (await pages.post("/api/explain", {"body": text})).body))
    for action in ("restart", "stop", "start"):
        place.said.append((action, (await pages.post("/api/service", {"action": action})).body))
    place.said.append(("check", (await pages.post("/api/check", {})).body))


@pytest.mark.timeout(300)
async def test_no_secret_in_any_answer(place: Place) -> None:
    session = Session()
    environ = {name: value for name, value in place.environ().items() if name != "CCR_HOME"}
    async with Listening(around(place.installation, **environ), session) as port:
        pages = Asked(place.installation, session, port)
        assert place.run("start").returncode == 0
        for number in range(len(ANSWERS)):
            place.ask("POST", "/v1/messages", body("plain", "hello", stream=bool(number % 2), number=number))
        place.said.clear()  # what the service answers is looked at in tests/faults
        usage = place.installation.paths.usage_file
        if not usage.exists():
            make_database(usage, [failed(session="s-1", error="no")])
        await look(place, pages)
        await ask(place, pages)
        await change(place, pages)
        place.configure()
        good = json.dumps(place.values())
        for text in (
            good[:-1],
            good.replace(f'"{LOCAL_KEY}"', json.dumps([LOCAL_KEY])),
            good.replace("http://me:", "ftp://me:"),
            good.replace('"api_key"', f'"{SECRETS["api key"]}"'),
            f"{{ // {SECRETS['api key']}\n 'PORT': 'x' }}",
            SECRETS["api key"],
        ):
            place.write(text)
            await look(place, pages)
            await change(place, pages)
        place.write(good)
    assert len(place.said) > 150
    assert found_in(place.said) == []
