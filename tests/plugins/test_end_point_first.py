"""A plugin at ``/v1/responses`` answers there in place of ccr, as long as it is loaded."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.plugins.test_end_points import post, serving
from tests.upstream.raw import good_completion, raw_upstream

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugins.conftest import PluginFile

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js here")


async def test_the_plugin_answers_where_there_is_one_and_ccr_where_there_is_none(
    tmp_path: Path, plugin_file: PluginFile
) -> None:
    async with raw_upstream(good_completion) as raw:
        async with serving(tmp_path, raw.url, [{"path": plugin_file("responses.js")}]) as service:
            of_plugin = await post(service)
        async with serving(tmp_path, raw.url, [{"path": plugin_file("streaming.js")}]) as service:
            of_ccr = await post(service)
    assert of_plugin.json["note"] == "note on hello"
    assert of_ccr.json["object"] == "response"
    assert of_ccr.json["output"][0]["content"][0]["text"] == "hello"
