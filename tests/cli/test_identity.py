"""Commands on a provider that signs in: what is missing is named, and stops nothing that runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.daemon.installation import Installation

PROVIDER: dict[str, Any] = {"name": "p", "host": "dbc-1.cloud.databricks.com", "models": ["m"]}
SENTENCE = "Providers[0].auth_type: found oauth-m2m without client_secret"


def configure(installation: Installation, **keys: Any) -> None:
    installation.configure(Providers=[{**PROVIDER, **keys}], Router={"default": "p,m"})


@pytest.mark.parametrize("command", [["config", "check"], ["start"], ["start", "--foreground"], ["restart"]])
def test_half_an_identity_is_named_with_its_key(installation: Installation, command: list[str]) -> None:
    configure(installation, auth_type="oauth-m2m", client_id="i")
    done = installation.run(*command, DATABRICKS_CLIENT_SECRET="")
    assert done.returncode == 1
    assert SENTENCE in done.stderr
    assert str(installation.paths.config_file) in done.stderr
    assert not installation.paths.state_file.exists()


def test_a_restart_that_could_not_sign_in_stops_nothing(installation: Installation) -> None:
    configure(installation, api_key="k")
    assert installation.run("start").returncode == 0
    configure(installation, auth_type="oauth-m2m", client_id="i")
    done = installation.run("restart", DATABRICKS_CLIENT_SECRET="")
    assert SENTENCE in done.stderr
    assert installation.run("status").returncode == 0


def test_the_check_as_json(installation: Installation) -> None:
    configure(installation, auth_type="magic")
    done = installation.run("config", "check", "--json")
    (problem,) = json.loads(done.stdout)["problems"]
    assert problem["key"] == "Providers[0].auth_type"
    assert "databricks-cli" in problem["allowed"]
    configure(installation, client_id="i", client_secret="canary")
    good = installation.run("config", "check", "--json")
    assert json.loads(good.stdout)["ok"] is True
    shown = json.loads(installation.run("config", "show", "--json").stdout)["Providers"][0]
    assert (shown["api_key"], shown["client_id"], shown["client_secret"]) == ("auto", "i", "***")
    assert shown["api_base_url"] == "https://dbc-1.cloud.databricks.com/serving-endpoints/m/invocations"
