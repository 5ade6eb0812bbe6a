"""Reading GoogleSQL text: tokens, table paths, literals.

Small on purpose: the overlay has to see what the user wrote (types, options, paths), which is lost once the SQL has
been through a parser that normalizes it.  Nothing here knows the emulator, except the error it raises.
"""
import re
from collections import namedtuple
from functools import lru_cache

from bqemulator.domain.errors import InvalidQueryError

Tok = namedtuple("Tok", "kind text start end")  # kind: word, id (backticks), str, num, param, op

_TOKEN = re.compile(r"""
    (?P<skip> \s+ | --[^\n]* | \#[^\n]* | /\*.*?\*/ )
  | (?P<str>  (?:[rR][bB]?|[bB][rR]?)? (?: '''(?:\\.|[^\\])*?''' | \"\"\"(?:\\.|[^\\])*?\"\"\"
                                         | '(?:\\.|[^'\\\n])*'   | "(?:\\.|[^"\\\n])*" ) )
  | (?P<id>   `(?:\\.|[^`\\])*` )
  | (?P<num>  \d+(?:\.\d+)?(?:[eE][+-]?\d+)? | \.\d+(?:[eE][+-]?\d+)? )
  | (?P<word> [A-Za-z_]\w* )
  | (?P<param> @@?\w+ | \? )
  | (?P<op>   . )""", re.X | re.S)

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}

# Reserved words cannot be an alias, and need backticks where they are a name.
RESERVED = frozenset("""ALL AND ANY ARRAY AS ASC ASSERT_ROWS_MODIFIED AT BETWEEN BY CASE CAST COLLATE CONTAINS CREATE
    CROSS CUBE CURRENT DEFAULT DEFINE DESC DISTINCT ELSE END ENUM ESCAPE EXCEPT EXCLUDE EXISTS EXTRACT FALSE FETCH
    FOLLOWING FOR FROM FULL GROUP GROUPING GROUPS HASH HAVING IF IGNORE IN INNER INTERSECT INTERVAL INTO IS JOIN
    LATERAL LEFT LIKE LIMIT LOOKUP MERGE NATURAL NEW NO NOT NULL NULLS OF ON OR ORDER OUTER OVER PARTITION PRECEDING
    PROTO QUALIFY RANGE RECURSIVE RESPECT RIGHT ROLLUP ROWS SELECT SET SOME STRUCT TABLESAMPLE THEN TO TREAT TRUE
    UNBOUNDED UNION UNNEST USING WHEN WHERE WINDOW WITH WITHIN""".split())


def tokens(sql):
    """The tokens of sql without blanks and comments."""
    return list(_tokens(sql))


@lru_cache(500)
def _tokens(sql):
    return [Tok(m.lastgroup, m.group(), m.start(), m.end()) for m in _TOKEN.finditer(sql) if m.lastgroup != "skip"]


def unquote(text):
    """The value of a string literal or a backticked name."""
    if text[0] == "`":
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    prefix = re.match(r"[rRbB]*", text).group()
    body = text[len(prefix):]
    body = body[3:-3] if body[:3] in ("'''", '"""') else body[1:-1]
    if "r" in prefix.lower() or "\\" not in body:
        return body

    def one(m):
        e = m.group(1)
        if e[0] in "xXuU":
            return chr(int(e[1:], 16))
        return chr(int(e, 8)) if e[0].isdigit() else _ESCAPES.get(e, e)

    return re.sub(r"\\(x[0-9a-fA-F]{2}|X[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", one, body, flags=re.S)


def quote_name(name):
    """name as it has to be written in SQL: backticks only where they are needed."""
    if re.fullmatch(r"[A-Za-z_]\w*", name) and name.upper() not in RESERVED:
        return name
    return f"`{name}`"


def quote_string(s):
    return '"' + s.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def read_path(toks, i):
    """(parts, next index) of the dotted path that starts at toks[i], or None.

    `a.b`.c and a.b.c are the same path; a part without backticks may have dashes (my-project.d.t, region-us.X) if no
    blank comes between.
    """
    parts = []
    while i < len(toks):
        t = toks[i]
        if t.kind == "id":
            parts += unquote(t.text).split(".")
            i += 1
        elif t.kind == "word" or (t.kind == "num" and parts):
            text = t.text
            i += 1
            while i < len(toks) and toks[i].start == toks[i - 1].end and (toks[i].text == "-" or toks[i].kind in ("word", "num")):
                text += toks[i].text
                i += 1
            if text.endswith("-"):
                return None
            parts += text.split(".")        # proj-1.2024_d.t: "1.2024" was read as one number
        else:
            return None
        if i + 1 < len(toks) and toks[i].text == "." and toks[i + 1].kind in ("word", "id", "num"):
            i += 1
            continue
        return parts, i
    return None


class Reader:
    """Reads one statement word by word."""

    def __init__(self, sql):
        self.sql, self.toks, self.i = sql, tokens(sql), 0

    def peek(self, k=0):
        return self.toks[self.i + k] if self.i + k < len(self.toks) else Tok("end", "", len(self.sql), len(self.sql))

    def at_end(self):
        return self.peek().kind == "end" or (self.peek().text == ";" and self.peek(1).kind == "end")

    def sees(self, *words):
        """True if these keywords (or single characters) come next."""
        return all(self.peek(k).kind in ("word", "op") and self.peek(k).text.upper() == w for k, w in enumerate(words))

    def takes(self, *words):
        if not self.sees(*words):
            return False
        self.i += len(words)
        return True

    def needs(self, *words):
        if not self.takes(*words):
            got = self.peek().text
            self.fail(f"Syntax error: Expected {' '.join(words)} but got {repr(got) if got else 'end of statement'}")

    def fail(self, message, tok=None):
        pos = (tok or self.peek()).start
        line, col = self.sql.count("\n", 0, pos) + 1, pos - self.sql.rfind("\n", 0, pos)
        raise InvalidQueryError(f"{message} at [{line}:{col}]", location="query")

    def name(self, keyword=False):
        """An identifier; with keyword, a reserved word too."""
        t = self.peek()
        if t.kind not in ("word", "id"):
            self.fail(f"Syntax error: Expected a name but got {t.text!r}" if t.text else "Syntax error: Unexpected end of statement")
        if t.kind == "word" and t.text.upper() in RESERVED and not keyword:
            self.fail(f"Syntax error: Unexpected keyword {t.text.upper()}")
        self.i += 1
        return unquote(t.text) if t.kind == "id" else t.text

    def path(self):
        found = read_path(self.toks, self.i)
        if found is None:
            self.fail(f"Syntax error: Expected a name but got {self.peek().text!r}")
        self.i = found[1]
        return found[0]

    def names(self):
        """( name, name, ... )"""
        self.needs("(")
        out = [self.name()]
        while self.takes(","):
            out.append(self.name())
        self.needs(")")
        return out

    def text_until(self, stop):
        """Source text up to the first token outside brackets for which stop(self) holds."""
        depth, start, end = 0, self.peek().start, self.peek().start
        while self.peek().kind != "end":
            t = self.peek()
            if depth == 0 and (t.text in (",", ")", ";") or stop(self)):
                break
            depth += (t.text in ("(", "[")) - (t.text in (")", "]"))
            end = t.end
            self.i += 1
        return self.sql[start:end]

    def options(self, known, what):
        """OPTIONS ( name = value, ... ) -> {name: (value or None, source text of the value)}.

        value is filled in for literals; for any other constant expression it is None and the text has to be evaluated.
        """
        self.needs("(")
        out = {}
        while not self.takes(")"):
            at = self.peek()
            key = self.name().lower()
            if key not in known:
                self.fail(f"Unknown option: {key}", at)
            if key in out:
                self.fail(f"Duplicate option specified for '{key}'", at)
            self.needs("=")
            first = self.i
            text = self.text_until(lambda r: False)
            if not text:
                self.fail(f"Syntax error: Unexpected {self.peek().text!r} in the {what} options")
            for a, b in zip(self.toks[first:self.i], self.toks[first + 1:self.i]):
                if a.kind == b.kind == "str":
                    self.fail(f'Syntax error: Expected ")" or "," but got string literal {b.text}', b)
            out[key] = (literal(text), text)
            if not self.sees(")"):
                self.needs(",")
        return out


NOT_LITERAL = object()


def literal(text):
    """The Python value of a literal (string, number, TRUE, FALSE, NULL, [..], (..), STRUCT(..)) or NOT_LITERAL."""
    toks = tokens(text)

    def value(i):
        t = toks[i]
        if t.kind == "str":
            return unquote(t.text), i + 1
        if t.kind == "num":
            return (float(t.text) if re.search(r"[.eE]", t.text) else int(t.text)), i + 1
        if t.text == "-" and toks[i + 1].kind == "num":
            v, i = value(i + 1)
            return -v, i
        u = t.text.upper()
        if u in ("TRUE", "FALSE", "NULL"):
            return {"TRUE": True, "FALSE": False, "NULL": None}[u], i + 1
        if u == "STRUCT" and toks[i + 1].text == "(":
            t, i = toks[i + 1], i + 1
        if t.text in ("[", "("):
            close, out = {"[": "]", "(": ")"}[t.text], []
            i += 1
            while toks[i].text != close:
                v, i = value(i)
                out.append(v)
                if toks[i].text == ",":
                    i += 1
                elif toks[i].text != close:
                    raise ValueError
            return out, i + 1
        raise ValueError

    try:
        v, i = value(0)
    except (ValueError, IndexError):
        return NOT_LITERAL
    return v if i == len(toks) else NOT_LITERAL
