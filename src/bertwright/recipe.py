"""Recipes: TOML in and out, overrides from the command line, and errors that name the nearest known key.

A recipe is a TOML file with one section for each settings class of config/.
"""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar

import tomli_w
from pydantic import BaseModel, ValidationError

from bertwright.config import CompeteRecipe, FinetuneRecipe, MemberSettings, PretrainRecipe
from bertwright.errors import UserError

LENGTHS = ("steps", "minutes", "epochs")
"""Of a training, one of which is given."""

Recipe = TypeVar("Recipe", PretrainRecipe, FinetuneRecipe, CompeteRecipe, MemberSettings)


def load_recipe(kind: type[Recipe], path: str | Path, overrides: list[str] | None = None) -> Recipe:
    """Read a recipe and apply overrides.

    Args:
        kind: PretrainRecipe, FinetuneRecipe or CompeteRecipe.
        path: the TOML file, or the folder of a run: the recipe that it was given, for this folder.
        overrides: strings `section.key=value`; the value is parsed as TOML, else taken as a string; a list is
            replaced, not merged; a length of training takes the place of the file's, in whatever unit that is.

    Raises:
        UserError: the file is missing or no TOML, a key is unknown, a value does not fit.
    """
    folder = Path(path) if Path(path).is_dir() else None
    path = folder / "recipe.toml" if folder is not None else Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        advice = "give the path of a recipe, or of a run's folder"
        raise UserError("the recipe is missing", file=path, expected="a TOML file", advice=advice) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        line = re.search(r"at line (\d+)", str(error))
        raise UserError(
            f"the recipe is no valid TOML: {error}",
            file=path,
            line=int(line[1]) if line else None,
            expected='lines such as [section] and key = "value", in UTF-8',
            advice="mend it; text stands between quotes",
        ) from None
    if folder is not None:
        values["run"] = str(folder)  # it may have been moved or copied since
    for override in overrides or []:
        _forget_length(values, override)
    for override in overrides or []:
        _apply(values, override)
    return parse(kind, values, file=path)


def parse(kind: type[Recipe], values: dict[str, Any], file: str | Path | None = None) -> Recipe:
    """Check the values of a recipe, or of a member of a competition, against its class.

    Raises:
        UserError: a key is unknown (the nearest known one is named), missing, or its value does not fit.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise _explain(kind, error, file) from None


def dump_recipe(recipe: PretrainRecipe | FinetuneRecipe | CompeteRecipe) -> str:
    """The recipe as TOML, every value spelt out."""
    return tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True))


def _forget_length(values: dict[str, Any], override: str) -> None:
    """Where an override says how long to train, what the file says of it counts no more: only one of them may stand."""
    *sections, last = override.partition("=")[0].strip().split(".")
    if last in LENGTHS and sections[-1:] == ["train"]:
        for section in sections:
            found = values.get(section)
            values = found if isinstance(found, dict) else {}
        for each in LENGTHS:
            values.pop(each, None)


def _apply(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        raise UserError(
            f"{override!r} is no override", expected="section.key=value", advice="write for example train.steps=100"
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *sections, last = key.strip().split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            advice = "write for example train.steps=100"
            raise UserError(f"{section!r} in {override!r} is no section", expected="section.key=value", advice=advice)
    values[last] = value


def _explain(kind: type[BaseModel], error: ValidationError, file: str | Path | None) -> UserError:
    """Turn pydantic's list into one message about its first entry; the others are counted."""
    # A misspelt key is often missing under its right name as well: the misspelling says more.
    first, *others = sorted(error.errors(include_url=False), key=lambda each: each["type"] != "extra_forbidden")
    place = ".".join(str(part) for part in first["loc"]) or "the recipe"
    more = f" (and {len(others)} more)" if others else ""
    if first["type"] == "extra_forbidden":
        known = _fields(kind, first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.5)
        advice = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return UserError(f"unknown key {place!r}{more}", expected="a key of this section", advice=advice, file=file)
    if first["type"] == "missing":
        return UserError(
            f"{place!r} is missing{more}", expected=f"a value for {place}", advice="add it to the recipe", file=file
        )
    message = first["msg"].removeprefix("Value error, ")
    return UserError(
        f"{place}: {message}{more}",
        expected=f"another value than {first['input']!r:.80}",
        advice="change it in the recipe or by section.key=value; --print-recipe shows all values",
        file=file,
    )


def _fields(kind: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Names of the fields of the section at a location."""
    for part in location:
        if str(part) not in kind.model_fields:  # the name of an entry, as in [members.NAME]
            continue
        annotation = kind.model_fields[str(part)].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        kind = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return list(kind.model_fields)
