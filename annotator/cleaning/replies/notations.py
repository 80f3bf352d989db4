"""Read answers that name what is what, in a notation other than JSON: tags, tuples, tables, ``key: value``, CSV."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise, zip_longest

from annotator.cleaning.replies.cells import BULLET, MARKS, indent, parts_of, without_bullet
from annotator.cleaning.replies.names import LABEL_KEYS, TEXT_KEYS, fold, is_field, names
from annotator.cleaning.replies.tree import Heading, Line, Node, Table

_TAG = re.compile(
    r"""<(?P<tag>[^\W\d][\w:.-]{0,40}+)(?P<attributes>(?:\s++[\w:-]{1,40}+\s*+=\s*+(?:"[^"<>]*+"|'[^'<>]*+'))*+)\s*+
    (?:/>|>(?P<body>[^<>]{0,300}+)</(?P=tag)\s*+>)""",
    re.VERBOSE,
)
_ATTRIBUTE = re.compile(r"""(?:data-)?([\w:-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_HTML = names("a b i u p em strong code span div li ul ol td tr th br h1 h2 h3 h4 mark small sup sub pre")
_LINK = re.compile(r"\[([^\[\]\n]{1,200}+)\](?:\(([^()\n:/.]{2,60}+)\)|\{([^{}\n:/.]{2,60}+)\})")
_INLINE = re.compile(r"[\[{]([^\[\]{}\n|:]{1,200}+)[|:]([^\[\]{}\n|:]{1,200}+)[\]}]")
_BOLD = re.compile(r"\*\*([^*\n]{1,200}+)\*\* ?\(([^()\n]{2,60}+)\)")
_TABLE_TAG = re.compile(r"<(/?[a-z]{2,6})(?:\s[^<>]{0,200}+)?>", re.IGNORECASE)
_DELIMITER = re.compile(r"<\|#?\|?>")
_FIELD = re.compile(r"[\s*_\"'“]*([^\W\d][\w _-]{0,30}?)[\s*_\"'”]*[:=][\s*_]*+(.+)", re.DOTALL)


# ---- tags ----


def tags(text: str) -> list[Node]:
    """Read ``<person>Lê An</person>``, ``<entity type="person">Lê An</entity>``, or tags that name fields."""
    fields: list[tuple[str, Node]] = []
    nodes: list[Node] = []
    for tag in _TAG.finditer(text):
        name, body = tag["tag"], (tag["body"] or "").strip()
        attributes = [(key, double or single) for key, double, single in _ATTRIBUTE.findall(tag["attributes"])]
        if any(fold(key) in LABEL_KEYS for key, _ in attributes):
            nodes.append([*([("text", body)] if body else []), *attributes])
        elif is_field(name):
            fields.append((name, body))
        elif body and name.lower() not in _HTML:
            nodes.append([(Heading(name), [Line(body)])])
    return [*nodes, *_records(fields)]


def links(text: str) -> list[Node]:
    """Read ``[Lê An](person) sống ở [Hà Nội](city)``."""
    found: list[Node] = [[(Heading(one or other), [Line(body)])] for body, one, other in _LINK.findall(text)]
    inline = _INLINE.findall(text)
    if any(len(_BOLD.findall(line)) > 1 for line in text.split("\n")):
        inline += _BOLD.findall(text)  # **Lê An** (person) sống ở **Hà Nội** (city)
    return found or [Line(f"{first} | {second}") for first, second in inline]


def without_table_tags(text: str) -> str:
    """Return ``text`` with its HTML tables as tables of Markdown."""
    if "<td" not in text:
        return text
    marks = {"tr": "\n", "td": " | ", "th": " | "}
    return _TABLE_TAG.sub(lambda tag: marks.get(tag[1].lower(), ""), text)


def _records(fields: Sequence[tuple[str, Node]]) -> list[Node]:
    """Divide a sequence of fields into records: a new one begins where a name comes again."""
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


def delimited(text: str) -> list[Node]:
    """Read ``("entity"<|>"Hà Nội"<|>"city"<|>"thủ đô")##``, as prompts for knowledge graphs ask for."""
    nodes: list[Node] = []
    for record in re.split(r"##|\n", text):
        head, *fields = (field.strip(MARKS + "()") for field in _DELIMITER.split(record))
        if head.lower().endswith("entity") and len(fields) > 1:
            nodes.append([("text", fields[0]), ("type", fields[1])])
    return nodes


# ---- tables ----


def tables(lines: Sequence[str]) -> list[Node]:
    """Read Markdown tables: records under a header that names its columns, else lines of cells."""
    rows = [[cell.strip("* `") for cell in line.strip().strip("|").split("|")] for line in lines if "|" in line]
    if len(rows) < 2:
        return []
    header, *body = rows
    names = [fold(cell) for cell in header]
    body = [row for row in body if not all(set(cell) <= set("-: ") for cell in row)]
    is_ruled = len(body) < len(rows) - 1
    of_types = [at for at, name in enumerate(names) if _is(name, LABEL_KEYS)]
    if of_types and any(_is(name, TEXT_KEYS) for name in names):
        for above, row in pairwise(body):
            if len(above) == len(row) == len(names):  # a type written once stands for the rows under it
                for at in of_types:
                    row[at] = row[at] or above[at]
        return _under(names, body, "texts")
    if not is_ruled:
        return []
    if len(header) < 2:
        return [[Line(" | ".join(row))] for row in body]
    columns: list[tuple[Heading, list[Node]]] = [
        (Heading(name), [Line(row[at]) for row in body if at < len(row) and row[at]]) for at, name in enumerate(header)
    ]
    return [Table(body, columns)]


def _under(names: Sequence[str], rows: Sequence[Sequence[str]], text: str) -> list[Node]:
    """Read rows under a header; ``text`` is the key of the mention in the records."""
    keys = ["type" if _is(name, LABEL_KEYS) else text if _is(name, TEXT_KEYS) else name for name in names]
    return [[*zip(keys, row, strict=True)] if len(row) == len(keys) else [Line(" | ".join(row))] for row in rows]


def _is(name: str, keys: Mapping[str, int]) -> bool:
    """Whether a column is called by one of ``keys``, alone or with a word before it."""
    return name in keys or name.removesuffix("s") in keys or (name not in TEXT_KEYS and name.rpartition("_")[2] in keys)


# ---- records of key: value, CSV ----


def yaml_fields(lines: Sequence[str]) -> list[Node]:
    """Read YAML and its like: ``- entity: Lê An`` over ``type: person``, on lines of their own or on one.

    Mentions may also be listed under their name, or each stand over what is said about it.
    """
    fields: list[tuple[str, Node]] = []
    values: list[Node] = []
    is_named = any(_name_of(line) in TEXT_KEYS or _begins_list(line) for line in lines)
    for line, after in zip_longest(lines, lines[1:], fillvalue=""):
        body = without_bullet(line)
        parts = [field for part in parts_of(body, _FIELD) if (field := _FIELD.fullmatch(part))]
        known = [field for field in parts if fields or is_field(field[1])]
        fields += [(field[1].strip(), field[2].strip(MARKS + ",")) for field in known]
        if _begins_list(line) and BULLET.match(after) and not _name_of(after):
            fields.append((body.strip(MARKS + ":"), values := []))
        elif not parts and fields and fields[-1][1] is values and BULLET.match(line):
            values.append(body.strip(MARKS + ","))
        elif not parts and not is_named and _name_of(after) in LABEL_KEYS and _is_over(line, after):
            fields.append(("text", body.strip(MARKS + "#:")))
    return _records(fields)


def _name_of(line: str) -> str:
    field = _FIELD.fullmatch(without_bullet(line))
    return fold(field[1]) if field else ""


def _is_over(line: str, after: str) -> bool:
    is_marked = line.startswith(("#", "**")) and BULLET.match(after) is not None
    return is_marked or indent(after) > indent(line)


def _begins_list(line: str) -> bool:
    return line.rstrip().endswith(":") and fold(without_bullet(line).strip(MARKS + ":")) in TEXT_KEYS


def csv_rows(lines: Sequence[str]) -> list[Node]:
    """Read CSV, TSV or semicolons under a header that names its columns."""
    rows = [line.strip() for line in lines if line.strip()]
    for at, row in enumerate(rows[:5]):
        for mark in (",", "\t", ";"):
            names = [fold(cell.strip(MARKS)) for cell in row.split(mark)]
            if len(names) < 2 or set(names).isdisjoint(TEXT_KEYS) or set(names).isdisjoint(LABEL_KEYS):
                continue
            try:
                cells = list(csv.reader(rows[at + 1 :], delimiter=mark, skipinitialspace=True))
            except csv.Error:
                return []
            full = [[cell.strip() for cell in one] for one in cells if len(one) == len(names)]
            return _under(names, full, "text")
    return []
