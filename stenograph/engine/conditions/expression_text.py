"""A condition's text: its limits and tokens are checked before Python's own parser sees it.

The scan knows every token of the language, so what is left for the parser is order alone: it can
meet no unknown escape, odd number or prefix to warn of, and no nesting that costs it time.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from keyword import iskeyword
from typing import Final, NamedTuple
from unicodedata import name as character_name
from unicodedata import normalize

DEPTH_MAX: Final = 40
"""Most brackets open at once, and most levels of the parsed tree."""
NODES_MAX: Final = 256
"""Most values, operations and look-ups in one condition."""


class ExpressionFault(ValueError):
    """A text that is no condition; ``position`` is the column where, counted from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message, position)
        self.message, self.position = message, position

    def __str__(self) -> str:
        return f"at column {self.position}: {self.message}"


class Source(NamedTuple):
    """A parsed condition: the line that was parsed, its column in the text as given, the tree."""

    line: str
    indent: int
    tree: ast.expr

    def position(self, node: ast.expr) -> int:
        """Return the node's column in the text as given."""
        return self.indent + self.chars(node.col_offset)

    def written(self, node: ast.expr) -> str:
        """Return the node as its author wrote it, without brackets around it."""
        assert node.end_col_offset is not None
        return self.line[self.chars(node.col_offset) : self.chars(node.end_col_offset)]

    def chars(self, column: int) -> int:
        """Return a column of Python's tree, which counts bytes of UTF-8, in characters."""
        return len(self.line.encode()[:column].decode())


class Token(NamedTuple):
    """A piece of a condition; ``kind`` is a group of TOKEN, or ``operator`` for words as ``and``."""

    kind: str
    text: str
    start: int


def parse(text: str, most: int | None = None) -> Source:
    """Return the text as a bounded tree, of Python's grammar but of known tokens only.

    ``most``: how many characters it may have, where that is not known of it.

    Raises ExpressionFault, and nothing else for any text.
    """
    if most is not None and len(text) > most:
        raise ExpressionFault(f"a condition has at most {most} characters, not {len(text)}", most)
    tokens = list(scan(text))
    check_order(tokens)
    # Outside of texts a line break is a space, and inside none is left: columns stay as they are.
    line = text.translate(BLANKS).rstrip(" ")
    indent = tokens[0].start
    try:
        tree = ast.parse(line[indent:], mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise unreadable(line, indent, getattr(error, "offset", 0) or 0) from None
    source = Source(line[indent:], indent, tree)
    check_size(source)
    return source


NUMBER: Final = r"[0-9](?:_?[0-9])*"

REFUSED_SIGNS: Final = {
    "===": "; write ==",
    "!==": "; write !=",
    "...": "",
    "**": "; write x * x",
    "<<": "",
    ">>": "",
    "<>": "; write !=",
    ":=": ": a condition assigns nothing",
    "&&": "; write and",
    "||": "; write or",
    "=": "; write == to compare",
    "!": "; write not",
    "?": "; write a if condition else b",
    ":": ": it has no slices, dicts and lambdas",
    "{": ": it has no sets, and of dicts only the empty {}; write a list",
    "#": ": a condition has no comments",
    ";": ": a condition is one expression",
}
"""Signs of Python and of its neighbours, longest first, and what to say after the refusal."""

TOKEN: Final = re.compile(
    rf"""(?P<space>[ \t\r\n]+)
    |(?P<text>"(?:[^"\\\x00-\x1f]|\\[^\x00-\x1f])*"|'(?:[^'\\\x00-\x1f]|\\[^\x00-\x1f])*')
    |(?P<number>0[xXoObB](?:_?[0-9a-fA-F])+
        |(?:{NUMBER}(?:\.(?:{NUMBER})?)?|\.{NUMBER})(?:[eE][+-]?{NUMBER})?)
    |(?P<name>[A-Za-z_\u0080-\U0010ffff][0-9A-Za-z_\u0080-\U0010ffff]*)
    |(?P<empty>\{{[ \t\r\n]*\}})
    |(?P<refused>{"|".join(re.escape(sign) for sign in REFUSED_SIGNS if sign not in "=!")}
        |=(?!=)|!(?!=))
    |(?P<sign>==|!=|<=|>=|//|[-+*/%<>.,])
    |(?P<open>[(\[])
    |(?P<close>[)\]])
    |(?P<strange>.)""",
    re.VERBOSE | re.DOTALL,
)

HIDDEN: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]"
)
"""Control characters, halves of surrogate pairs, and those that reorder what a reader sees."""

HEX: Final = r"[0-9a-fA-F]"
ESCAPE: Final = re.compile(rf"""\\(?:[\\'"abfnrtv]|x{HEX}{{2}}|u{HEX}{{4}}|U{HEX}{{8}})""")

OPERANDS: Final = frozenset({"name", "number", "text", "empty"})
OPERATORS: Final = frozenset({"and", "or", "not", "in", "is", "if", "else"})
CONSTANTS: Final = frozenset({"None", "True", "False"})
JSON_CONSTANTS: Final = {"null": "None", "true": "True", "false": "False"}
BLANKS: Final = str.maketrans("\t\r\n", "   ")


def scan(text: str) -> Iterator[Token]:
    """Yield the tokens of a text without its blanks, refusing what the language does not have."""
    if hidden := HIDDEN.search(text):
        message = f"{describe(hidden[0])} may not stand in a condition; inside a text, escape it"
        raise ExpressionFault(message, hidden.start())
    previous = ""
    for match in TOKEN.finditer(text):
        kind, word, start = match.lastgroup or "", match[0], match.start()
        if kind == "space":
            continue
        if kind in {"refused", "strange"}:
            raise refused(word, start)
        if kind == "text":
            check_escapes(word, start)
        elif kind == "number" and text[match.end() : match.end() + 1].isalnum():
            raise ExpressionFault(
                f"`{clip(word)}` runs into what follows; write a space", match.end()
            )
        elif kind == "name":
            check_name(word, start, after_dot=previous == ".")
            kind = "operator" if word in OPERATORS else kind
        previous = word
        yield Token(kind, word, start)


def refused(sign: str, start: int) -> ExpressionFault:
    """Return the fault of a sign that the language does not have."""
    if sign in {'"', "'"}:
        message = f"{sign} opens a text that is not closed on its line; a line break is written \\n"
        return ExpressionFault(message, start)
    hint = REFUSED_SIGNS.get(sign, "")
    return ExpressionFault(f"`{sign}` is not in the language of conditions{hint}", start)


def check_escapes(literal: str, start: int) -> None:
    """Refuse an escape that Python does not know or warns of, and one of no character."""
    for match in re.finditer(r"\\.", literal):
        at = match.start()
        if not (escape := ESCAPE.match(literal, at)):
            message = f"{match[0]} is not an escape; write \\\\ for a backslash"
            raise ExpressionFault(message, start + at)
        code = int(escape[0][2:] or "0", 16)
        if 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
            raise ExpressionFault(f"{escape[0]} is not a character", start + at)


def check_name(word: str, start: int, *, after_dot: bool) -> None:
    """Refuse a word that is no name, is another name to Python, or has a meaning of its own."""
    # Joiners, which show nothing, are of identifiers in some versions of Unicode only.
    if not (word.isidentifier() and word.isprintable()):
        seen = (c.isprintable() and f"_{c}".isidentifier() for c in word)
        bad = next((i for i, fits in enumerate(seen) if not fits), 0)
        message = f"{describe(word[bad])} may stand only inside a text"
        raise ExpressionFault(message, start + bad)
    if (plain := normalize("NFKC", word)) != word:
        where = f'["{clip(word)}"]' if after_dot else f'state["{clip(word)}"]'
        message = f"Python reads `{clip(word)}` as `{clip(plain)}`; write that, or {where}"
        raise ExpressionFault(message, start)
    if after_dot:
        if iskeyword(word):
            message = f'`{word}` is a word of the language; write ["{word}"] without the dot'
            raise ExpressionFault(message, start)
    elif word in JSON_CONSTANTS:
        message = f'write {JSON_CONSTANTS[word]}, or state["{word}"] for a key of that name'
        raise ExpressionFault(message, start)
    elif iskeyword(word) and word not in OPERATORS | CONSTANTS:
        message = f'`{word}` is not in the language; a key of that name is written state["{word}"]'
        raise ExpressionFault(message, start)


def check_order(tokens: list[Token]) -> None:
    """Refuse an empty text, open brackets, and two values with nothing between them."""
    if not tokens:
        raise ExpressionFault("the condition is empty; write one such as issues_open == 0", 0)
    brackets: list[Token] = []
    before: Token | None = None
    for token in tokens:
        if token.kind in OPERANDS and before is not None:
            raise side_by_side(before, token)
        if token.kind == "open":
            brackets.append(token)
            if len(brackets) > DEPTH_MAX:
                raise ExpressionFault(f"more than {DEPTH_MAX} brackets are open", token.start)
        elif token.kind == "close":
            if not brackets or brackets.pop().text + token.text not in {"()", "[]"}:
                raise ExpressionFault(f"`{token.text}` closes no bracket", token.start)
        elif token.text == "," and not brackets:
            message = "a `,` outside of brackets makes a list, which is always true; write and"
            raise ExpressionFault(message, token.start)
        before = token if token.kind in OPERANDS or token.kind == "close" else None
    if brackets:
        raise ExpressionFault(f"`{brackets[-1].text}` is never closed", brackets[-1].start)
    ifs = [token.start for token in tokens if token.text == "if"]
    if len(ifs) > sum(token.text == "else" for token in tokens):
        raise ExpressionFault("an `if` needs an `else`: a if condition else b", ifs[-1])


def side_by_side(before: Token, token: Token) -> ExpressionFault:
    """Return the fault of a value that follows another at once."""
    adjacent = before.start + len(before.text) == token.start
    if adjacent and before.kind == "name" and token.kind == "text":
        message = f"a text has no prefix such as `{before.text}`; write the quotes alone"
        return ExpressionFault(message, before.start)
    message = f"an operator or a comma is missing before `{clip(token.text)}`"
    return ExpressionFault(message, token.start)


def unreadable(line: str, indent: int, offset: int) -> ExpressionFault:
    """Return the fault of known tokens in an order that means nothing.

    ``offset`` is the parser's: the column counted from 1, or 0 when all of the line was read.
    """
    if not offset:
        return ExpressionFault("the condition ends too early; a value is missing", len(line))
    at = indent + offset - 1
    return ExpressionFault(f"the condition cannot be read from `{clip(line[at:])}` on", at)


def check_size(source: Source) -> None:
    """Refuse a tree of too many nodes or levels, without recursion."""
    count, level = 0, [source.tree]
    for _ in range(DEPTH_MAX):
        count += len(level)
        if count > NODES_MAX:
            raise ExpressionFault(f"more than {NODES_MAX} values and operations", source.indent)
        level = [
            child
            for node in level
            for child in ast.iter_child_nodes(node)
            if isinstance(child, ast.expr)
        ]
        if not level:
            return
    raise ExpressionFault(f"more than {DEPTH_MAX} levels deep", source.position(level[0]))


def describe(character: str) -> str:
    """Return a character's code and name, for one that cannot be shown."""
    code = f"U+{ord(character):04X}"
    return f"{code} {character_name(character, '')}".rstrip()


def clip(text: str, size: int = 40) -> str:
    """Return the text, or its beginning and … when it is longer than ``size`` characters."""
    return text if len(text) <= size else f"{text[: size - 1]}…"
