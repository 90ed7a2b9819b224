"""A recipe while it is completed, with the remarks on what was put into it."""

from dataclasses import dataclass, field
from typing import Any

import msgspec

from edgekd.recipe import Recipe


@dataclass
class Draft:
    """A recipe while it grows, with its remarks."""

    recipe: Recipe
    remarks: dict[str, list[str]] = field(default_factory=dict)

    def put(self, **changes: Any) -> None:
        """Change the recipe."""
        self.recipe = msgspec.structs.replace(self.recipe, **changes)

    def train(self, **changes: Any) -> None:
        """Change its [train]."""
        self.put(train=msgspec.structs.replace(self.recipe.train, **changes))

    def say(self, key: str, *paragraphs: str) -> None:
        """Remark on a key; empty paragraphs are none."""
        self.remarks.setdefault(key, []).extend(text for text in paragraphs if text)
