"""recipe: the recipe in force, as it would be run."""

from typing import Annotated

import typer

from edgekd.cli.face import Face
from edgekd.cli.options import Flags, RecipeFile

Schema = Annotated[bool, typer.Option("--schema", help="Print the JSON schema of recipes instead.")]


def recipe(recipe: RecipeFile = None, *, flags: Flags, schema: Schema = False, face: Face) -> None:
    """Print the recipe in force, or its JSON schema.

    As TOML: the default, or a file's, with the flags put in.
    """
    import msgspec

    if schema:
        from edgekd.recipe import Recipe

        document = msgspec.json.schema(Recipe)
        face.result(msgspec.json.format(msgspec.json.encode(document), indent=2).decode(), document)
        return
    from edgekd.cli.jobs import job_from
    from edgekd.recipefile import encode_recipe, left_open

    asked = job_from(recipe, flags, None).recipe
    face.result(encode_recipe(asked) + left_open(asked), asked)
