"""Read a page as a browser's parser does: its elements, texts and tables, and whatever it would load."""

import base64
import json
import re
from hashlib import sha256
from html.parser import HTMLParser

VOID = {"meta", "img", "br", "input", "link", "hr", "audio"}  # pages close audio, which holds nothing
LOADING = ("src", "href", "srcset", "poster", "action", "data", "formaction", "xlink:href")


class Page(HTMLParser):
    """`elements` are (tag, attributes), `tables` rows of cells by caption, `scripts` (attributes, text)."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.source, self.elements, self.texts, self.tables, self.scripts, self._open = text, [], [], {}, [], []
        self.feed(text)
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        assert len(found) == len(attrs), attrs
        self.elements.append((tag, found))
        if tag == "script":
            self.scripts.append((found, ""))
        if tag == "table":
            self._rows, self._caption = [], ""
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self._open and self._open[-1] == tag, (tag, self._open[-5:], self.getpos())
        self._open.pop()
        if tag == "table":
            self.tables[self._caption.strip()] = [[" ".join(cell.split()) for cell in row] for row in self._rows]

    def handle_data(self, text):
        if "script" in self._open:
            attrs, before = self.scripts[-1]
            self.scripts[-1] = attrs, before + text
        elif "style" not in self._open:
            self.texts.append(text)
            if "caption" in self._open:
                self._caption += text
            elif "table" in self._open and ("td" in self._open or "th" in self._open):
                self._rows[-1][-1] += text

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    @property
    def data(self):
        return json.loads(next(text for attrs, text in self.scripts if attrs.get("id") == "data"))

    def of(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    def rows(self, caption):
        """Rows of the table whose caption begins so, its header first."""
        return next(rows for name, rows in self.tables.items() if name.startswith(caption))

    def loads(self):
        """What the page would load: addresses in attributes and in styles; those inside the page are left out."""
        found = [attrs[name] for _, attrs in self.elements for name in LOADING if attrs.get(name)]
        styles = re.findall(r"<style>(.*?)</style>", self.source, re.S)
        styles += [attrs["style"] for _, attrs in self.elements if attrs.get("style")]
        found += [address for style in styles for address in re.findall(r"url\(([^)]*)\)|@import", style)]
        return [address for address in found if not address.startswith(("data:", "#"))]

    def handlers(self):
        return [name for _, attrs in self.elements for name in attrs if name.startswith("on")]

    def policy(self):
        (content,) = (attrs["content"] for attrs in self.of("meta") if attrs.get("http-equiv"))
        return {rule.split()[0]: rule.split()[1:] for rule in content.split("; ")}


def check_alone(page):
    """The page runs what its policy names alone, and loads nothing from outside."""
    policy = page.policy()
    programs = [text for attrs, text in page.scripts if attrs.get("type") != "application/json"]
    sums = [f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'" for text in programs]
    assert policy["default-src"] == ["'none'"] and policy["script-src"] == (sums or ["'none'"])
    assert policy["img-src"] == policy["media-src"] == ["data:"] and "connect-src" not in policy
    assert page.loads() == [] and page.handlers() == []
    assert not {"link", "iframe", "object", "embed", "form", "base"} & {tag for tag, _ in page.elements}
