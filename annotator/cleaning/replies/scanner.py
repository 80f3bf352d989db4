"""Read text with brackets to a tree, however badly it is written. Nothing is evaluated, and nothing raises.

The scanner reads brackets, strings, colons and bare words. A comma is white space to it. A quote ends a string only
where what follows looks like the end of one, so ``["phim "Mai"", "film"]`` and ``('Đắk R'lấp', 'location')`` are read
as they are meant, and lists that are well formed in JSON or Python are read exactly. It does not recurse, so deep
nesting is cheap.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from annotator.cleaning.replies.names import LABEL_KEYS, TEXT_KEYS, fold
from annotator.cleaning.replies.tree import Bare, Heading, Node, Unquoted, is_nested


@dataclass(slots=True)
class _Open:
    """A bracket that is not closed yet, with its items and the key whose value comes next."""

    closer: str
    items: list[Node] = field(default_factory=list)
    key: str | None = None

    def take_name(self, opening: str) -> None:
        """Make the word before a bracket, as in ``Person(span="Lê An")``, the key of the bracket."""
        is_call = opening[1:] == "(" and opening[0].isidentifier()
        if is_call and self.key is None and self.items and isinstance(self.items[-1], Bare):
            self.key = str(self.items.pop())

    def add(self, value: Node) -> None:
        self.items.append(value if self.key is None else (self.key, value))
        self.key = None


MAX_CHARS = 500_000  # far beyond any answer; keeps hostile text to about a second
_MAX_DEPTH = 100
_CLOSERS = {"[": "]", "(": ")", "{": "}"}
_OPENERS = {closer: opener for opener, closer in _CLOSERS.items()}
_NOTHING = frozenset({"None", "null", "True", "False", "true", "false"})
_SIMPLE_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": ""}

# Quantifiers are possessive, so that no pattern looks at a character more than a few times.
_START = re.compile(  # a bracket in prose that may open a list; those of "(see [1])", "f(x)" and "- [ ]" may not
    r"""\[(?=\s*+[A-Z]\w{0,30}+\(\s*+(?:\w{1,30}+\s*+=\s*+)?["'“‘\[])  # [Person(span="Lê An")]
    |(?!(?<=[-*+]\ )\[\ \])[\[{](?=\s*+(?:["'“‘\[({\])}\#]|-?\d[\d.]*+\s*+,|//|\.\.\.|…|None|null|\Z))
    |\{(?=\s*+\w{1,30}+\s*+:)
    |(?<=\w)\((?=\s*+\w{1,30}+\s*+=\s*+["'“‘])
    |(?<=\w)\((?=\s*+"[^"\n]{1,100}+"\s*+,\s*+"[^"\n]{1,60}+"\s*+\))  # add_entity("Lê An", "person")
    |(?<!\w)\((?=\s*+(?:["'“‘\[({]|-?\d[\d.]*+\s*+,\s*+["'“‘]))""",
    re.VERBOSE,
)
_TOKEN = re.compile(
    r"""(?P<gap>(?:[\s,;]|//[^\n]*+|\#[^\n]*+)++)|(?P<open>[\[({])|(?P<close>[\])}])|(?P<colon>:|=>?(?=\s*+["'“‘\[({]))
    |(?P<quote>["'“‘])|(?P<bare>(?:[^,;:=\[\](){}\n]|:(?![\s"'“‘\[({])|=(?!>?\s*+["'“‘\[({]))++)""",
    re.VERBOSE,
)
_STRING_MARKS = {  # by opening quote: an escaped character, or a quote that may end the string
    '"': re.compile(r'\\.|"', re.DOTALL),
    "'": re.compile(r"\\.|'", re.DOTALL),
    "“": re.compile(r'\\.|[”“"]', re.DOTALL),
    "‘": re.compile(r"\\.|[’‘']", re.DOTALL),
}
_STRING_ENDS = re.compile(  # what follows the quote that ends a string
    r"""[^\S\n]*+\n\s*+["'“‘]  # a comma was forgotten at the end of the line,
    |\s++["'“‘][^"'“”‘’\n]{1,60}+["'”’]\s*+[\])}]  # or before the last string of a bracket
    |\s*+(?:\Z|```|(?P<closer>[\])}])
        |=>?\s*+["'“‘\[({]
        |[,;:]\s*+(?:\Z|["'“‘\[({\])},\d\#…]|-\d|//|\.\.\.|```
            |[^\W\d_][\w./ -]{0,60}+(?:[\])}:]|=[\w"'“‘\[({]|,\s*+["'“‘\[({]|\Z)))  # a bare word that is an item""",
    re.VERBOSE,
)
_NAMED_CONSTANT = re.compile(r"(\w{1,30}+)=(?:[A-Z]\w*+\.)([A-Z]\w*+)")  # type=EntityType.PERSON
_MARKS = " \t\r,;*_`#>•-\"'“”"
_HEADING = re.compile(
    r"""[\s,;*_`\#>•"'“”\]})–-]*+(?:\d{1,3}[.)]\s++)?[*_`"'“]*([^\W\d_][^:=.\n"'“”*`\[({]{0,50})[*_`"'”]*\s*
    (?::|=|->|→)[*_`\s]*""",
    re.VERBOSE,
)
_CALL = re.compile(r"(?<![\w.])[A-Z]\w{0,40}\Z")
_LIST_GOES_ON = re.compile(r"\s*+(?:[,;:\])}\[({\#]|//|\Z)", re.VERBOSE)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|U(00[01][0-9a-fA-F]{5})|(.))", re.DOTALL)


def scan(text: str) -> tuple[list[Node], bool]:
    """Return every bracket of ``text`` that holds a string or nothing, and whether the last one is never closed.

    A flat pair in a sentence, as in ``a list of ("entity", "type"): [...]``, is returned only if there is nothing
    better: a list of lists, an object, or a pair on a line of its own or after a colon. Nested brackets without quotes
    are the last choice.
    """
    announced: list[Node] = []
    embedded: list[Node] = []
    unquoted: list[Node] = []
    position, stands, cut, retries = 0, False, False, 3
    while start := _START.search(text, position):
        line = text.rfind("\n", position, start.start()) + 1
        before = text[max(line, position) : start.start()].rstrip()
        if line or not position or before.endswith((":", "=")):  # else it stands as its neighbour on the line does
            stands = before.endswith((":", "=")) or not any(map(str.isalpha, before))
        end = position
        root, position, quoted = _bracket(text, start.start())
        closed = position <= len(text)
        if retries and not (stands or is_nested(root)) and (not closed or "\n" in text[start.start() : position]):
            retries -= 1
            position = start.end()  # an open bracket or quote in prose must not swallow the list after it
            continue
        cut = not closed and (quoted or not text[start.start() :].strip("[({ \n"))
        if closed and not quoted and is_nested(root):
            unquoted.append(Unquoted(root))
        elif quoted or cut or (closed and not root):
            kept = announced if stands or is_nested(root) else embedded
            heading = _heading(text, end, start.start())
            kept.append([(heading, root)] if heading else root)
    return announced or embedded or unquoted, cut


def _heading(text: str, position: int, start: int) -> Heading | None:
    """Return the heading of the bracket at ``start``: the text before it on its line, or alone on the line before.

    Text before ``position`` belongs to another bracket.
    """
    before = text[max(position, start - 200) : start]
    if call := _CALL.search(before):
        return Heading(call[0])
    lines = [line for line in before.split("\n") if not line.lstrip().startswith("```")]
    if lines and lines[-1].strip(_MARKS) == "":
        alone = next((line.strip() for line in reversed(lines[:-1]) if line.strip(_MARKS)), "")
        lines = [alone] if alone.endswith((":", ":**")) or alone.startswith(("#", "**")) else [""]
        if alone and not lines[0].endswith((":", ":**")):
            lines[0] += ":"
    found = _HEADING.fullmatch(lines[-1]) if lines else None
    return Heading(found[1].strip()) if found and found[1].strip() else None


def _bracket(text: str, position: int) -> tuple[list[Node], int, bool]:
    """Read the bracket at ``position``; return its items, the position after it, and whether it has a quote.

    If the bracket is never closed, the position is past the end of the text, and the item that was cut is left out.
    """
    root: list[Node] = []
    stack = [_Open(_CLOSERS[text[position]], root)]
    quoted = False
    position += 1
    while token := _TOKEN.match(text, position):
        position, kind, top = token.end(), token.lastgroup, stack[-1]
        if kind == "open":
            if len(stack) == _MAX_DEPTH:
                break
            top.take_name(text[position - 2 : position])
            stack.append(_Open(_CLOSERS[token[0]]))
            top.add(stack[-1].items)
        elif kind == "close":
            # The closer of an outer bracket closes all inside; one that fits no bracket closes the innermost.
            if token[0] != top.closer and any(open_.closer == token[0] for open_ in stack):
                while stack[-1].closer != token[0]:
                    stack.pop()
            stack.pop()
            if not stack:
                return root, position, quoted
        elif kind == "quote":
            quoted = True
            value, position = _string(text, token.start(), top, len(stack))
            if value is None:
                break
            top.add(value)
        elif kind == "bare" and position < len(text):
            top.add(_bare(token[0].strip()))
        elif kind == "colon" and top.key is None and top.items and isinstance(top.items[-1], str):
            top.key = top.items[-1]
            top.items.pop()
        elif kind == "gap" and "," in token[0]:
            top.key = None
    _drop_broken(stack)
    return root, len(text) + 1, quoted


def _bare(word: str) -> Node:
    if named := _NAMED_CONSTANT.fullmatch(word):
        return named[1], Bare(named[2])
    return None if word in _NOTHING else Bare(word)


def _string(text: str, start: int, top: _Open, depth: int) -> tuple[str | None, int]:
    """Read the string that opens at ``start``; return its value, None if it never ends, and the position after it."""
    for mark in _STRING_MARKS[text[start]].finditer(text, start + 1):
        if mark[0].startswith("\\") or not (end := _STRING_ENDS.match(text, mark.end())):
            continue
        if closer := end["closer"]:
            # In ("phim (tên "Mai") hay", ...) the bracket after the quote closes one that the mention opened.
            near = max(start, mark.start() - 200), mark.start()
            is_own = text.rfind(_OPENERS[closer], *near) > text.rfind(closer, *near)
            if is_own and (closer != top.closer or (depth > 1 and not _LIST_GOES_ON.match(text, end.end()))):
                continue
        return _unescape(text[start + 1 : mark.start()]), mark.end()
    return None, len(text)


def _unescape(raw: str) -> str:
    """Resolve the escapes of JSON and Python strings; an escape of neither stays as it is."""
    if "\\" not in raw:
        return raw

    def character(match: re.Match[str]) -> str:
        if (char := match[4]) is not None:
            return _SIMPLE_ESCAPES.get(char, match[0] if char.isalnum() else char)
        return chr(min(int(match[1] or match[2] or match[3], 16), 0x10FFFF))

    resolved = _ESCAPE.sub(character, raw)
    return resolved.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")  # joins \ud83d\ude00


def _drop_broken(stack: Sequence[_Open]) -> None:
    """Empty the innermost bracket if its mention or its type was cut off, and drop prose after a list."""
    for open_ in stack:
        while open_.items and _is_prose(open_.items[-1]):
            open_.items.pop()
    items = stack[-1].items
    keys = {fold(item[0]) for item in items if isinstance(item, tuple)}
    if keys and isinstance(items[-1], str):
        items.pop()  # a key without its value
    half_record = keys.isdisjoint(TEXT_KEYS) != keys.isdisjoint(LABEL_KEYS)
    is_value = len(stack) > 1 and isinstance(stack[-2].items[-1], tuple)
    half_pair = not keys and not is_value and len(items) < 2 and not is_nested(items)
    if half_record or half_pair:
        items.clear()


def _is_prose(node: Node) -> bool:
    return isinstance(node, Bare) or (isinstance(node, tuple) and isinstance(node[0], Bare) and _is_prose(node[1]))
