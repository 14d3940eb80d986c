"""``ccr preset export|install|list|info|delete|stop``: configurations with a name, to give to others."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ccr.config.paths import Paths
    from ccr.presets.folder import Files
    from ccr.presets.manifest import Preset, Question

yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group()
def preset() -> None:
    """Presets: configurations with a name. `ccr NAME …` runs Claude Code with one."""


@preset.command()
@click.argument("name")
@click.option("--output", type=click.Path(path_type=Path), help="A folder, or a .zip, .tar.gz or .tgz file.")
@click.option("--description", default="", help="A sentence about it.")
@click.option("--author", default="", help="Who made it.")
@click.option("--tags", default="", help="Keywords, with commas.")
@click.option("--version", default="1.0.0", show_default=True, help="Its version.")
def export(*, name: str, output: Path | None, description: str, author: str, tags: str, version: str) -> None:
    """Make a preset of the present configuration, without secrets and what belongs to this machine."""
    from ccr.config.private import make_private_folder, write_private
    from ccr.presets import folder as files
    from ccr.presets import store
    from ccr.presets.export import exported
    from ccr.presets.manifest import check_name
    from ccr.setup.config_change import read_written

    paths = _paths()
    target = output or store.folder_of(paths, check_name(name))
    if target.exists():
        raise click.UsageError(f"{target} is there already")
    metadata = {
        "name": check_name(name),
        "version": version,
        "description": description,
        "author": author,
        "keywords": [tag.strip() for tag in tags.split(",") if tag.strip()],
    }
    manifest, secrets, left_out = exported(read_written(paths.config_file).document, metadata)
    content = {files.MANIFEST: files.bytes_from_manifest(manifest)}
    if target.name.lower().endswith(files.ARCHIVES):
        write_private(target, files.archive_of(content, target.name))
    else:
        make_private_folder(target.parent)
        store.write_files(target, content)
    click.echo(f"Written    {target}")
    for secret in secrets:
        click.echo(f"Taken out  {secret} (whoever installs it is asked, or has a provider of that name)")
    if left_out:
        click.echo(f"Left out   {', '.join(left_out)}: of this machine")


@preset.command()
@click.argument("source")
@click.option("--name", help="Its name here; by default what its manifest, or its folder, says.")
@click.option(
    "--set", "answers", multiple=True, metavar="FIELD=VALUE", help="Answer a question of its schema."
)
@click.option("--force", is_flag=True, help="Replace an installed preset of that name.")
@yes_option
def install(*, source: str, name: str | None, answers: tuple[str, ...], force: bool, yes: bool) -> None:
    """Install a preset from a folder or an archive, or answer an installed one's questions again.

    What it does is told first, and its questions are asked; with --yes nothing is asked.
    """
    from ccr.cli.preset_answers import asked
    from ccr.presets import store
    from ccr.presets.folder import MANIFEST, bytes_from_manifest, manifest_of
    from ccr.presets.manifest import manifest_with, preset_from
    from ccr.presets.plan import facts_of, plan_of
    from ccr.setup.import_folder import unset_variables

    paths = _paths()
    files, chosen = _found(paths, source, name, force=force)
    document = manifest_of(files)
    found = preset_from(document, chosen)
    folder = store.folder_of(paths, chosen)
    values = asked(found, _given(answers, found), paths, asks=not yes)
    _check(paths, found, values, files)
    document_of_service = plan_of(paths, found, values, folder).document
    for what, entries in facts_of(found, values, folder).items():
        if entries:
            click.echo(f"It {what}: {', '.join(entries)}")
    if not yes and not click.confirm(f"Install the preset {chosen}?", default=True):
        click.echo("Nothing was installed.")
        return
    store.replace_files(
        paths, chosen, {**files, MANIFEST: bytes_from_manifest(manifest_with(document, values))}
    )
    click.echo(f"Installed  {folder} (default: {document_of_service['Router']['default']})")
    for variable in unset_variables(document_of_service, os.environ):
        click.echo(f"Remember   {variable} has to be set wherever `ccr {chosen}` is run.")
    click.echo(f"Next       ccr {chosen}")


@preset.command("list")
@json_option
def list_presets(*, as_json: bool) -> None:
    """List the installed presets."""
    from ccr.presets import store

    paths = _paths()
    found = [store.read_preset(paths, name) for name in store.installed(paths)]
    if as_json:
        click.echo(json.dumps([{"preset": each.name, **each.metadata} for each in found], indent=2))
        return
    for each in found:
        about = " ".join(str(each.metadata.get(key, "")) for key in ("version", "description")).strip()
        click.echo(f"{each.name}  {about}".rstrip())
    if not found:
        click.echo("No preset is installed; `ccr preset install FOLDER` installs one.")


@preset.command()
@click.argument("name")
@json_option
def info(*, name: str, as_json: bool) -> None:
    """Show what a preset says of itself, what it does and what it was told; secrets are masked."""
    from ccr.presets import store
    from ccr.presets.plan import facts_of

    paths = _paths()
    found = store.read_preset(paths, name)
    facts = facts_of(found, found.values, store.folder_of(paths, name))
    shown = {each.id: _shown_answer(each, found.values.get(each.id)) for each in found.questions}
    if as_json:
        click.echo(
            json.dumps(
                {"preset": name, "metadata": dict(found.metadata), **facts, "answers": shown}, indent=2
            )
        )
        return
    for key, value in found.metadata.items():
        click.echo(f"{key}: {', '.join(value) if isinstance(value, list) else value}")
    for what, entries in facts.items():
        if entries:
            click.echo(f"{what}: {', '.join(entries)}")
    for key, answer in shown.items():
        click.echo(f"answer {key}: {'none yet' if answer is None else answer}")
    click.echo(f"folder: {store.folder_of(paths, name)}")


@preset.command()
@click.argument("name")
@yes_option
def delete(*, name: str, yes: bool) -> None:
    """Stop a preset's service and remove the preset (also: rm, remove)."""
    from ccr.presets import store

    paths = _paths()
    store.read_manifest(paths, name)
    if not yes and not click.confirm(f"Remove the preset {name}?", default=False):
        click.echo("Nothing was removed.")
        return
    _stop(paths, name)
    store.delete(paths, name)
    click.echo(f"Removed    {name}")


preset.add_command(delete, "rm")
preset.add_command(delete, "remove")


@preset.command()
@click.argument("name")
def stop(*, name: str) -> None:
    """Stop a preset's service."""
    from ccr.presets import store

    paths = _paths()
    store.read_manifest(paths, name)
    click.echo("Stopped." if _stop(paths, name) else "It is not running.")


def _stop(paths: Paths, name: str) -> bool:
    from ccr.daemon.control import known_key
    from ccr.daemon.control import stop as stop_service
    from ccr.presets.store import service_paths

    service = service_paths(paths, name)
    if not service.home.is_dir():
        return False
    return stop_service(service, known_key(service, os.environ)) is not None


def _paths() -> Paths:
    from ccr.config.paths import Paths

    return Paths.from_environ(os.environ)


def _found(paths: Paths, source: str, name: str | None, *, force: bool) -> tuple[Files, str]:
    """Return the files of a source, and the name it gets. Raises StartError."""
    from ccr.errors import StartError
    from ccr.presets import store
    from ccr.presets.folder import ARCHIVES, manifest_of, read_files
    from ccr.presets.manifest import check_name

    if source.startswith(("http://", "https://")):
        raise StartError("Presets are installed from folders and archives; download it first and look at it.")
    if not Path(source).exists() and store.is_installed(paths, source):
        return read_files(store.folder_of(paths, source)), source
    files = read_files(Path(source))
    stem = Path(source).resolve().name
    for ending in ARCHIVES:
        stem = stem.removesuffix(ending)
    chosen = check_name(str(name or manifest_of(files).get("name") or stem))
    from ccr.cli.main import ALIASES, COMMANDS, HELP

    if chosen in (*COMMANDS, *ALIASES, HELP):
        raise StartError(f"{chosen} is a command of ccr; give the preset another name with --name.")
    if store.is_installed(paths, chosen) and not force:
        raise StartError(f"The preset {chosen} is installed; --force replaces it, --name installs it beside.")
    return files, chosen


def _given(answers: tuple[str, ...], found: Preset) -> dict[str, str]:
    known = [question.id for question in found.questions]
    given = {}
    for answer in answers:
        field, sign, value = answer.partition("=")
        if not sign or field not in known:
            raise click.UsageError(f"--set {field}: the preset asks for {', '.join(known) or 'nothing'}")
        given[field] = value
    return given


def _check(paths: Paths, found: Preset, values: Mapping[str, Any], files: Files) -> None:
    """Check the whole configuration, with the preset's files where they are not in anybody's way.

    Raises ConfigError, but not for variables that are not set here.
    """
    import tempfile

    from ccr.errors import ConfigError
    from ccr.presets import store
    from ccr.presets.folder import MANIFEST
    from ccr.presets.plan import plan_of
    from ccr.setup.import_problems import verdict_on
    from ccr.transformers.registry import build

    with tempfile.TemporaryDirectory(prefix="ccr-preset-") as draft:
        folder = Path(draft) / found.name
        store.write_files(folder, files)
        plan = plan_of(paths, found, values, folder)
        check_step = None if _has_files(plan.document) else build
        verdict = verdict_on(plan.data, plan.document, os.environ, folder / MANIFEST, check_step)
    if verdict.problems:
        raise ConfigError(*verdict.problems)


def _has_files(document: dict[str, Any]) -> bool:
    """Tell whether transformers come from files, which are loaded when the service starts."""
    return bool(document.get("transformers"))


def _shown_answer(question: Question, value: Any) -> Any:
    from ccr.config.masking import SECRET_OPTION

    is_secret = question.kind == "password" or SECRET_OPTION.search(question.id)
    return "***" if is_secret and value else value
