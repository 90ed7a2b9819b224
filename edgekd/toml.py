"""TOML text → a table, by the standard library where it reads TOML (Python 3.11), else by tomli.

In: text or bytes, and what to call them in an error. Out: plain tables. What they mean is the business of whoever asked.
"""

import sys
from typing import Any

from edgekd.errors import RecipeError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def decode(text: str | bytes, name: str) -> dict[str, Any]:
    """The table in a TOML text.

    Raises:
        RecipeError: not TOML, or not in UTF-8.
    """
    try:
        return tomllib.loads(text if isinstance(text, str) else text.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RecipeError(f"{name} is not UTF-8 text: {error.reason} at byte {error.start}.") from None
    except ValueError as error:  # TOMLDecodeError is one, and so is a number of too many digits
        raise RecipeError(f"{name} is not TOML: {error}") from None
    except RecursionError:
        raise RecipeError(f"{name} is not TOML that can be read: it is nested too deep") from None
