"""Read a page as a browser does: its elements, and the text of its headings."""

from collections.abc import Iterator
from html.parser import HTMLParser


class Reader(HTMLParser):
    """Reads a page: its elements with their attributes, and the text of its headings."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self._is_heading = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in {"h1", "h2"}:
            self._is_heading = True
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        self._is_heading = self._is_heading and tag not in {"h1", "h2"}

    def handle_data(self, data: str) -> None:
        if self._is_heading:
            self.headings[-1] += data

    def attribute(self, tag: str, name: str, **where: str) -> str:
        [found] = [at[name] for one, at in self.elements if one == tag and where.items() <= at.items()]
        assert found is not None
        return found

    def every(self, name: str) -> Iterator[str]:
        yield from (value for _, at in self.elements if (value := at.get(name)) is not None)
