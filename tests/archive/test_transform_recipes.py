"""Which transforms there are, which files they take, and what is said where their libraries are not."""

from __future__ import annotations

from importlib import import_module, metadata

import pytest

from tobs.archive.transform.recipes import BY_NAME, RECIPES, Recipe, chosen, require
from tobs.errors import UsageError


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", []),
        (" , ", []),
        ("webp", ["webp"]),
        ("waveform, thumbnail,webp", ["thumbnail", "webp", "waveform"]),
        ("all", list(BY_NAME)),
        ("webp,all", list(BY_NAME)),
    ],
)
def test_a_list_names_recipes(text: str, names: list[str]) -> None:
    assert [recipe.name for recipe in chosen(text)] == names


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="hologram, cube is no transform") as refused:
        chosen("hologram,webp,cube")
    assert all(name in refused.value.hint for name in BY_NAME)


@pytest.mark.parametrize(
    ("kind", "mime", "taken"),
    [
        ("photo", "image/jpeg", ["thumbnail", "webp"]),
        ("file", "IMAGE/PNG", ["thumbnail", "webp"]),
        ("sticker", "image/webp", ["thumbnail"]),
        ("file", "image/svg+xml", []),
        ("sticker", "application/x-tgsticker", []),
        ("video_file", "video/mp4", ["poster", "preview"]),
        ("video_message", "video/mp4; codecs=avc1", ["poster", "preview"]),
        ("voice_message", "audio/ogg", ["waveform"]),
        ("audio_file", "audio/ogg", []),
        ("file", "", []),
    ],
)
def test_a_file_is_taken_by_what_can_make_something_of_it(kind: str, mime: str, taken: list[str]) -> None:
    assert [recipe.name for recipe in RECIPES if recipe.takes(kind, mime)] == taken


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_each_recipe_leads_to_a_function_and_names_its_libraries(recipe: Recipe) -> None:
    module, _, function = recipe.made_by.partition(":")
    assert callable(getattr(import_module(module), function))
    assert recipe.library == ", ".join(f"{name} {metadata.version(name)}" for name in recipe.needs)


def test_a_library_that_is_not_there_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("tobs.archive.transform.recipes.metadata.version", absent)
    require(chosen(""))
    with pytest.raises(UsageError, match="poster needs av, which is not installed") as refused:
        require(chosen("poster"))
    assert "pip install 'tobs[transforms]'" in refused.value.hint
