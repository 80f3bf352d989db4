"""Find the final answer of a reply: without thoughts and drafts, and without what the model makes up after it.

Models mark their thoughts in many ways. The template of a prompt may already have opened them, so that the reply has
only the closing mark. Thoughts that never end have no answer after them.
"""

from __future__ import annotations

import re

_THOUGHT = r"think(?:ing)?|thoughts?|reasoning|reflection|analysis|scratchpad|seed:think|suy_nghĩ|suy_luận"
_OPENING = re.compile(
    rf"""<(?:{_THOUGHT})> | ◁think▷ | \[THINK\] | <\|begin_of_thought\|> | <\|START_THINKING\|> | <unused94>
    | <\|channel\|>\s*+(?:analysis|commentary|thought)[^<]*+<\|message\|> | <\|channel>\s*+(?:thought|analysis)""",
    re.VERBOSE | re.IGNORECASE,
)
_CLOSING = re.compile(
    rf"""</(?:{_THOUGHT})> | ◁/think▷ | \[/THINK\] | <\|end_of_thought\|> | <\|END_THINKING\|> | <unused95>
    | <channel\|> | <\|channel\|>\s*+final[^<]*+<\|message\|> | \b(?<=[\W_])assistantfinal | ^assistantfinal""",
    re.VERBOSE | re.IGNORECASE,
)
_SPECIAL = re.compile(
    r"<\|(?:begin|end)_of_(?:solution|text)\|>|<\|(?:START|END)_(?:RESPONSE|ACTION)\|>|<\|(?:end|return|im_end|eot_id)\|>"
    r"|<(?:end_of_turn|start_of_turn|eos|bos|pad|/?s)>|<\|start\|>assistant"
)
_ANSWER = re.compile(
    r"<(?P<tag>answer|final_answer|final|output|result|response|json)>(?P<body>.*?)(?:</(?P=tag)>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_FINAL = re.compile(  # a line that announces the answer which replaces the text before it
    r"""(?:^|(?<=[.!?]\ ))[^\w\n]*+(?:[^\W\d_]++[,' ]++){0,6}?
    (?:(?:final|corrected|revised|updated|improved)\s(?:\w++\s){0,2}?
            (?:answer|list|output|result|results|json|version|response|entities|extraction)
     | final(?=\s*:)
     | (?:đáp\sán|câu\strả\slời|kết\squả|danh\ssách|trả\slời)\s(?:\w++\s){0,3}?
            (?:cuối(?:\scùng)?|chính\sthức|hoàn\schỉnh|đã\ssửa|đã\schỉnh\ssửa|sau\skhi\ssửa|cập\snhật))
    [^\n:\[({<]{0,30}+(?::|\*\*|$|(?=[\[({]))""",
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_PASSAGE = re.compile(
    r"^[ \t]*+<(passage|text|document|đoạn_văn)>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE | re.MULTILINE
)
_OTHERS_TURN = re.compile(
    r"<\|im_start\|>(?!\s*+assistant)|<start_of_turn>(?!\s*+model)|<\|start_header_id\|>(?!\s*+assistant)"
)
_ASSISTANT = re.compile(
    r"<\|im_(?:start|end)\|>(?:assistant)?|<start_of_turn>(?:model)?|<end_of_turn>|<\|[a-z_]{1,20}+\|>"
)
_END_OF_TURN = re.compile(r"<\|im_end\|>|<end_of_turn>|<\|eot_id\|>")
_NEXT_PASSAGE = re.compile(
    r"(?<=[\]}])(?:\s*+```)?+\s*\n[*#\s]*+(?:passage|document|input|đoạn văn|văn bản)(?: \d{1,3})?[* ]*+:",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]|[\[{]")
_OPEN_FENCE = re.compile(r"\A```[\w+-]*+")
_LISTS = ("[", "{", "(", "```")


def first_turn(reply: str) -> str:
    """Return ``reply`` up to the end of the model's turn: before the turn of another, or a passage after a list."""
    if found := _OTHERS_TURN.search(reply):
        reply = reply[: found.start()]
    begin = 0
    for found in _END_OF_TURN.finditer(reply):
        if _WORD.search(_ASSISTANT.sub("", reply[begin : found.start()])):
            reply = reply[: found.start()]
            break
        begin = found.end()
    further = _NEXT_PASSAGE.search(reply)
    return reply[: further.start()] if further else reply


def final_answer(reply: str) -> str:
    """Return the answer in ``reply``; an empty string where there are only thoughts.

    A reply that opens with a list is an answer, whatever tags stand in its strings.
    """
    body = reply.strip().removeprefix("\ufeff").lstrip()
    if not body.startswith(_LISTS) or body[:7].upper() == "[THINK]":
        body = _after_thoughts(body)
        body = _SPECIAL.sub("", body).strip()
    return _last_version(_without_passages(body))


def _after_thoughts(body: str) -> str:
    begin = max((closing.end() for closing in _CLOSING.finditer(body)), default=0)
    opening = _OPENING.search(body, begin)
    return body[begin : opening.start() if opening else None]


def _without_passages(body: str) -> str:
    """Return ``body`` without a repeated passage, or what is before a passage that the model made up after a list."""
    passage = _PASSAGE.search(body)
    if passage is None or (passage[0].startswith("<text>") and "<type>" in body):
        return body
    before = body[: passage.start()].strip()
    return before if "[" in before or "{" in before else body[passage.end() :].strip()


def _last_version(body: str) -> str:
    """Return the text in the last answer tag, or after the last line that announces a final answer."""
    if tagged := [found["body"] for found in _ANSWER.finditer(body) if found["body"].strip()]:
        body = tagged[-1].strip()
    begins = [found.end() for found in _FINAL.finditer(body) if body[found.end() :].strip(" \n*`:#")]
    return body[begins[-1] :].strip() if begins else body


def unfenced(body: str) -> str:
    """Return the text in a code fence if ``body`` opens with one, closed or not."""
    return _OPEN_FENCE.sub("", body.removesuffix("```"), count=1) if body.startswith("```") else body
