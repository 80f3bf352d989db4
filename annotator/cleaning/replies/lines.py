"""Answers without brackets, to the trees that the scanner makes of answers with them: tags, tables, YAML, CSV, lines.

What may hold an item, with its type or without, becomes a ``Line``; how it is cut is settled with the passage. A line
that ends with a colon, a Markdown heading, a tag or the head of a column is a ``Heading`` over what follows.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest

from annotator.cleaning.replies.scanner import LABEL_KEYS, TEXT_KEYS, Heading, Node, fold, names


class Line(str):
    """A line of text, or a part of one, that may hold an item."""

    __slots__ = ()


class Prose(Line):
    """The only line of an answer, without a bullet: most such lines are sentences."""

    __slots__ = ()


MAX_LINES = 2_000
_MAX_WIDTH = 1_000
_MARKS = " \t\"'“”‘’`*_"
_BULLET = re.compile(r"\s*+(?:[-*•+–]|\d{1,4}+[.)])\s++")
_TAG = re.compile(
    r"""<(?P<tag>[^\W\d][\w:.-]{0,40}+)(?P<attributes>(?:\s++[\w:-]{1,40}+\s*+=\s*+(?:"[^"<>]*+"|'[^'<>]*+'))*+)\s*+
    (?:/>|>(?P<body>[^<>]{0,300}+)</(?P=tag)\s*+>)""",
    re.VERBOSE,
)
_ATTRIBUTE = re.compile(r"""([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_HTML = frozenset(names("a b i u p em strong code span div li ul ol td tr th br h1 h2 h3 h4 mark small sup sub pre"))
_LINK = re.compile(r"\[([^\[\]\n]{1,200}+)\](?:\(([^()\n:/.]{2,60}+)\)|\{([^{}\n:/.]{2,60}+)\})")
_INLINE = re.compile(r"\[([^\[\]\n|:]{1,200}+)[|:]([^\[\]\n|:]{1,200}+)\]")
_INTRO = re.compile(
    r"""[^:()\[\]]{0,50}\b(?:thực\ thể|entit(?:y|ies)|kết\ quả|results?|answer|đáp\ án)\b[^:()\[\]]{0,40}?
    (?::|\s(?:are|is|include|là|gồm|bao\ gồm)(?::|\s))\s*""",
    re.VERBOSE | re.IGNORECASE,
)
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_TUPLE = re.compile(r"\(([^()\n]{1,400}+)\)")
_FIELD = re.compile(r"[\s*_\"'“]*([^\W\d][\w _-]{0,30}?)[\s*_\"'”]*[:=][\s*_]*+(.+)", re.DOTALL)
_ENDS = (  # where a line with several items is cut, if each part is one
    re.compile(r"\s*;\s*"),
    re.compile(r"\s*,\s+"),
    re.compile(r"\s+\|\s+"),
    re.compile(r"\s+[-–]\s+"),
    re.compile(r"\.\s+(?=[^\s:.][^:.]{0,40}+:)"),
)
_WORDS = re.compile(r"[^\W\d_]++(?: [^\W\d_]++){0,4}")
_OWN_TYPE = re.compile(r"[^:]{1,60}:\s+\S")
_ITEM = re.compile(r"[^(){}]*\S\s*[({][^(){}]+[)}]|[^:]*\S:\s+\S.*|.*\S\s(?:->|[→⇒⟶➔➜]|=>|=)\s.*", re.DOTALL)


def read_lines(text: str) -> list[Node]:
    """Read ``text`` as tags, else as a table, records of ``key: value``, or lines of items."""
    text = _BREAK.sub(", ", text)
    if nodes := _tags(text) or _links(text):
        return nodes
    lines = [line[:_MAX_WIDTH] for line in text.split("\n") if not line.lstrip().startswith("```")][:MAX_LINES]
    return _tables(lines) or _fields(lines) or _csv(lines) or _items(lines)


# ---- tags ----


def _tags(text: str) -> list[Node]:
    fields: list[tuple[str, Node]] = []
    nodes: list[Node] = []
    for tag in _TAG.finditer(text):
        name, body = tag["tag"], (tag["body"] or "").strip()
        attributes = [(key, double or single) for key, double, single in _ATTRIBUTE.findall(tag["attributes"])]
        if any(fold(key) in LABEL_KEYS for key, _ in attributes):
            nodes.append([*([("text", body)] if body else []), *attributes])
        elif fold(name) in TEXT_KEYS or fold(name) in LABEL_KEYS:
            fields.append((name, body))
        elif body and name.lower() not in _HTML:
            nodes.append([(Heading(name), [Line(body)])])
    return [*nodes, *_records(fields)]


def _links(text: str) -> list[Node]:
    """Read ``[Lê An](person) sống ở [Hà Nội](city)``."""
    links: list[Node] = [[(Heading(one or other), [Line(body)])] for body, one, other in _LINK.findall(text)]
    return links or [Line(f"{first} | {second}") for first, second in _INLINE.findall(text)]


def _records(fields: Sequence[tuple[str, Node]]) -> list[Node]:
    """Cut fields that follow one another into records: a new one begins where a name comes again."""
    if not any(fold(key) in LABEL_KEYS for key, _ in fields) or not any(fold(key) in TEXT_KEYS for key, _ in fields):
        return []
    records: list[list[Node]] = []
    seen: set[str] = set()
    for key, value in fields:
        if not records or fold(key) in seen:
            records.append([])
            seen = set()
        seen.add(fold(key))
        records[-1].append((key, value))
    return [*records]


_DELIMITER = re.compile(r"<\|#?\|?>")


def delimited(text: str) -> list[Node]:
    """Read ``("entity"<|>"Hà Nội"<|>"city"<|>"thủ đô")##``, as prompts for knowledge graphs ask for."""
    nodes: list[Node] = []
    for record in re.split(r"##|\n", text):
        head, *fields = (field.strip(_MARKS + "()") for field in _DELIMITER.split(record))
        if head.lower().endswith("entity") and len(fields) > 1:
            nodes.append([("text", fields[0]), ("type", fields[1])])
    return nodes


# ---- tables ----


def _tables(lines: Sequence[str]) -> list[Node]:
    """Read Markdown tables: records under a header that names its columns, else lines of cells."""
    rows = [[cell.strip("* `") for cell in line.strip().strip("|").split("|")] for line in lines if "|" in line]
    if len(rows) < 2:
        return []
    header, *body = rows
    names = [fold(cell) for cell in header]
    body = [row for row in body if not all(set(cell) <= set("-: ") for cell in row)]
    is_ruled = len(body) < len(rows) - 1
    if any(_is(name, TEXT_KEYS) for name in names) and any(_is(name, LABEL_KEYS) for name in names):
        return [_row(names, row, "texts") for row in body]
    if not is_ruled:
        return []
    columns: list[Node] = [
        [(Heading(name), [Line(row[at]) for row in body if at < len(row) and row[at]])]
        for at, name in enumerate(header)
    ]
    return [[Line(" | ".join(row))] for row in body] if len(header) < 2 else [Table(body, columns)]


class Table(list[Node]):
    """The rows of a table whose header names no column of mentions; ``columns`` reads its header as types."""

    def __init__(self, rows: Sequence[Sequence[str]], columns: list[Node]) -> None:
        """Keep both readings."""
        super().__init__(Line(" | ".join(row)) for row in rows)
        self.columns = columns


def _row(names: Sequence[str], row: Sequence[str], text: str) -> Node:
    if len(row) != len(names):
        return [Line(" | ".join(row))]
    fields: list[Node] = []
    for name, cell in zip(names, row, strict=True):
        key = "type" if _is(name, LABEL_KEYS) else text if _is(name, TEXT_KEYS) else name
        fields.append((key, cell))
    return fields


def _is(name: str, keys: Sequence[str]) -> bool:
    """Whether a column is called by one of ``keys``, alone or with a word before it."""
    return name in keys or name.removesuffix("s") in keys or (name not in TEXT_KEYS and name.rpartition("_")[2] in keys)


# ---- records of key: value, CSV ----


def _fields(lines: Sequence[str]) -> list[Node]:
    """Read YAML and its like: ``- entity: Lê An`` over ``type: person``, on lines of their own or on one."""
    fields: list[tuple[str, Node]] = []
    for line in lines:
        for part in _parts(_without_bullet(line), lambda part: _FIELD.fullmatch(part) is not None):
            field = _FIELD.fullmatch(part)
            if field and (fold(field[1]) in TEXT_KEYS or fold(field[1]) in LABEL_KEYS or fields):
                fields.append((field[1].strip(), field[2].strip(_MARKS + ",")))
    return _records(fields)


def _csv(lines: Sequence[str]) -> list[Node]:
    """Read CSV, TSV or semicolons under a header that names its columns."""
    rows = [line.strip() for line in lines if line.strip()]
    for at, row in enumerate(rows[:5]):
        for mark in (",", "\t", ";"):
            names = [fold(cell.strip(_MARKS)) for cell in row.split(mark)]
            if (
                len(names) > 1
                and any(name in TEXT_KEYS for name in names)
                and any(name in LABEL_KEYS for name in names)
            ):
                try:
                    cells = list(csv.reader(rows[at + 1 :], delimiter=mark, skipinitialspace=True))
                except csv.Error:
                    return []
                return [_row(names, [cell.strip() for cell in one], "text") for one in cells if len(one) == len(names)]
    return []


# ---- lines ----


def _items(lines: Sequence[str]) -> list[Node]:
    """Read headings with what is under them, and lines that may be items; bullets outweigh the prose around them."""
    found: list[tuple[Heading | None, bool, Line]] = []
    heading: Heading | None = None
    lines = [line for line in lines if line.strip()]
    for line, after in zip_longest(lines, lines[1:], fillvalue=""):
        match = _BULLET.match(line)
        body = line[match.end() :].strip() if match else line.strip()
        if new := _as_heading(body) or _over_bullets(line, body, after):
            heading = new
            continue
        if not match and heading and not line.startswith((" ", "\t")) and _OWN_TYPE.match(body):
            heading = None
        body = body.rstrip(" ,;")
        if body.strip(_MARKS + ".-[](){}"):
            found.extend((heading, match is not None, Line(part)) for part in cut_line(body))
        if not match and heading is not None and not line.startswith((" ", "\t")):
            heading = None if line.rstrip().endswith(".") else heading
    if any(is_bullet for _, is_bullet, _ in found):
        found = [one for one in found if one[1]]
    elif len(found) == 1:
        return [Prose(found[0][2])]
    nodes: list[Node] = []
    for above, _, item in found:
        last = nodes[-1] if nodes else None
        if above is None:
            nodes.append(item)
        elif (
            isinstance(last, list)
            and isinstance(last[0], tuple)
            and last[0][0] is above
            and isinstance(last[0][1], list)
        ):
            last[0][1].append(item)
        else:
            nodes.append([(above, [item])])
    return nodes


def _as_heading(body: str) -> Heading | None:
    plain = body.strip('*_#`" ').strip()
    is_marked = body.startswith("#") or (body.startswith("**") and body.endswith("**") and "**" not in body[2:-2])
    if plain.endswith(":") or is_marked:
        return Heading(plain.rstrip(": ").strip(_MARKS)[:200])
    return None


def _over_bullets(line: str, body: str, after: str) -> Heading | None:
    """Read a heading of a few words without a colon, over bullets that stand deeper or are the first."""
    is_over = _BULLET.match(after) and (not _BULLET.match(line) or _indent(after) > _indent(line))
    return Heading(body) if is_over and _WORDS.fullmatch(body) else None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _without_bullet(line: str) -> str:
    match = _BULLET.match(line)
    return line[match.end() :].strip() if match else line.strip()


def cut_line(body: str) -> Iterator[str]:
    """Cut a line into its items: at semicolons or commas where each part has its own type, at tuples without quotes."""
    if intro := _INTRO.match(body):
        body = body[intro.end() :].rstrip(" .")
    inner = body.strip("[]{} .") if body.startswith(("[", "{")) and body.endswith(("]", "}", "].")) else body
    tuples = _TUPLE.findall(inner)
    if tuples and not _TUPLE.sub("", inner).strip(", ;") and all("," in one for one in tuples):
        yield from tuples
        return
    yield from _parts(inner, lambda part: _ITEM.fullmatch(part) is not None)


def _parts(body: str, is_item: Callable[[str], bool]) -> list[str]:
    for end in _ENDS:
        parts = [part.removeprefix("and ").removeprefix("và ") for part in end.split(body) if part.strip()]
        if len(parts) > 1 and all(map(is_item, parts)):
            return parts
    return [body]


# ---- cells of one line ----

_SEPARATORS = tuple(
    re.compile(mark)
    for mark in (
        r"\s*\|\s*",
        r"\s*::\s*",
        r"\s*(?:->|=>|[→⇒⟶➔➜])\s*",
        r"\t+",
        r"\s*=\s*",
        r"\s*:[*_]*\s+",
        r"\s+[-–—]\s+",
        r"\s*[,;]\s*",
        r"\s+(?=(?:[BIESLU]-\w+|O)\Z)",
    )
)
_BRACKET = re.compile(r"(.*\S)\s*[(\[（{<]([^()\[\]（）{}<>]+)[)\]）}>]\W*")
_LEADING_BRACKET = re.compile(r"\W*[(\[（{<]([^()\[\]（）{}<>]+)[)\]）}>][\s:*-]*(\S.*)", re.DOTALL)
_FIRST_BRACKET = re.compile(
    r"([^()\[\]]*[^()\[\]\s])[\s*_]*[(\[（]([^()\[\]（）]+)[)\]）][\s*_]*(?:[-–—:|,.=>](.*))?", re.DOTALL
)
_SENTENCE = re.compile(r"[.;:]\s+|\s+[-–—]\s+")
_OPENING = re.compile(r"[(\[（{<]")
_LONG_GAP = re.compile(r"\s{3,}")
MAX_CELLS = 6


def cells(line: str) -> list[tuple[str, ...]]:
    """Return every way to cut ``line`` into cells, two or more, without marks and quotes; fewest doubts first."""
    line = line.strip().rstrip(".,;")
    found: list[tuple[str, ...]] = []
    line = _LONG_GAP.sub(lambda gap: gap[0][:2], line)
    brackets = (
        [read.fullmatch(line) for read in (_BRACKET, _FIRST_BRACKET, _LEADING_BRACKET)] if _OPENING.search(line) else []
    )
    if "|" not in line:
        found += [_clean([cell or "" for cell in bracket.groups()]) for bracket in brackets if bracket]
    for separator in _SEPARATORS:
        marks = list(separator.finditer(line))[:MAX_CELLS]
        if not marks:
            continue
        parts = separator.split(line, MAX_CELLS)
        spread: list[str] = parts[:1]
        for part in parts[1:]:
            inner = _BRACKET.fullmatch(part)
            spread += [inner[1], inner[2]] if inner else [part]
        found.append(_clean(spread))
        found.append(_clean([*parts[:1], *(cell for part in parts[1:] for cell in _SENTENCE.split(part))]))
        if len(marks) > 1:
            found.append(_clean([line[: marks[-1].start()], line[marks[-1].end() :]]))
            found.append(_clean([line[: marks[0].start()], line[marks[0].end() :]]))
    return [way for way in dict.fromkeys(found) if len(way) > 1]


def _clean(parts: Sequence[str]) -> tuple[str, ...]:
    stripped = (part.strip(_MARKS + ".-–:") if at else part.strip(_MARKS + ":") for at, part in enumerate(parts))
    return tuple(part for part in stripped if part and not part.isspace())
