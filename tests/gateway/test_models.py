from __future__ import annotations

import json

from ccr.config.model import Config, Provider
from ccr.gateway.models import models_page


def test_the_same_model_of_two_providers_has_two_names() -> None:
    config = Config(
        providers=(
            Provider(name="a", url="https://a.test", api_key=None, models=("m", "n")),
            Provider(name="b", url="https://b.test", api_key=None, models=("M",)),
        )
    )
    page = json.loads(models_page(config))
    assert [model["id"] for model in page["data"]] == ["m", "n", "b,M"]
    assert (page["first_id"], page["last_id"], page["has_more"]) == ("m", "b,M", False)
    assert page["data"][0]["display_name"] == "m (a)"


def test_no_model_is_an_empty_page() -> None:
    page = json.loads(models_page(Config()))
    assert (page["data"], page["first_id"], page["last_id"]) == ([], None, None)
