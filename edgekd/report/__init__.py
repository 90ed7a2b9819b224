"""A report as text: `text` for the terminal, `markdown` for files and comments, `html` for a page with pictures, `live` for that of a run that goes
on, `together` for several runs (`runs` has their tables, `spreadsheet` their CSV), `junit` and `github` for CI, `words` for the sentences in all of
them.

Strings only: every number stands in the `Report` or comes from it by `stats`, and becomes text in `units`. Writes no files and prints nothing.
"""
