"""Hook of mkdocs: a link to a file of the repository outside docs/ becomes the plain name of that file.

The pages of docs/ are read in two places. In the repository such a link leads to the file; on the site there
is no file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"(?<!!)\[(?P<words>[^\[\]]*)\]\((?P<target>[^()\s#]+)(?P<anchor>#[^()\s]*)?\)")
_FENCE = re.compile(r"^ {0,3}(```|~~~)")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """The text of a page, links out of docs/ written as names of files."""
    docs = Path(config["docs_dir"]).resolve()
    folder = (docs / page.file.src_uri).parent

    def named(link: re.Match[str]) -> str:
        target = link["target"]
        if "://" in target or target.startswith(("/", "mailto:")):
            return link[0]
        path = (folder / target).resolve()
        if path.is_relative_to(docs) or not path.exists():
            return link[0]  # on the site, or a mistake that the strict build tells
        name, words = path.relative_to(docs.parent).as_posix(), link["words"]
        return f"`{name}`" if words.strip("`") == name else f"{words} (`{name}`)"

    lines, fenced = [], False
    for line in markdown.split("\n"):
        fenced ^= bool(_FENCE.match(line))
        lines.append(line if fenced else _LINK.sub(named, line))
    return "\n".join(lines)
