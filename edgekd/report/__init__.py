"""A report as text: `text` for the terminal, `markdown` for pages and comments, `junit` for CI, `words` for the sentences in all of them.

Strings only: every number stands in the `Report` or comes from it by `stats`, and becomes text in `units`. Writes no files and prints nothing.
"""
