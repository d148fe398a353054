"""Go's template language, as formats use it."""

from typing import Any

import pytest

from fairway.cli.template import Record, Struct, Template, TemplateFailed, TemplateSyntax
from fairway.cli.template.values import NIL, NilMap, TextMap, show

DEEP = "(" * 5000 + "1" + ")" * 5000

DATA: dict[str, Any] = {
    "Name": "web",
    "N": 3,
    "F": 1.5,
    "Yes": True,
    "List": ["x", "y"],
    "Map": {"b": 2, "a": 1},
    "Deep": {"In": [{"IP": "10.0.0.1"}, {"IP": "10.0.0.2"}]},
    "Null": None,
}


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("plain", "plain"),
        ("{{.Name}}", "web"),
        ("{{ .Deep.In }}", "[map[IP:10.0.0.1] map[IP:10.0.0.2]]"),
        ("{{.Missing}} {{.Null}}", "<no value> <no value>"),
        ("{{(index .Deep.In 1).IP}}", "10.0.0.2"),
        ('{{index .Map "a"}} {{index .Deep "In" 0 "IP"}}', "1 10.0.0.1"),
        ("{{range .List}}[{{.}}]{{end}}", "[x][y]"),
        ("{{range $i, $v := .List}}{{$i}}={{$v}} {{end}}", "0=x 1=y "),
        ("{{range $k, $v := .Map}}{{$k}}{{$v}}{{end}}", "a1b2"),
        ("{{range .Null}}x{{else}}none{{end}}", "none"),
        ("{{range 3}}{{.}}{{end}}", "012"),
        ("{{range .List}}{{if eq . `y`}}{{break}}{{end}}{{.}}{{end}}", "x"),
        ("{{range .List}}{{if eq . `x`}}{{continue}}{{end}}{{.}}{{end}}", "y"),
        ("{{range .List}}{{$.Name}}{{end}}", "webweb"),
        ("{{if .Missing}}a{{else if eq .N 3}}b{{else}}c{{end}}", "b"),
        ("{{if and .Yes (gt .N 2) (lt .F 2.0)}}t{{end}}", "t"),
        ("{{with .Deep}}{{len .In}}{{end}}{{with .Missing}}x{{else}}-{{end}}", "2-"),
        ("{{$n := .N}}{{$n}}{{$n = 5}}{{$n}}", "35"),
        ("{{if true}}{{$x := 1}}{{$x}}{{end}}{{$x := 2}}{{$x}}", "12"),
        ("a {{- .N -}} b", "a3b"),
        ("a{{/* nothing */}}b", "ab"),
        ("a {{- /* nothing */ -}} b", "ab"),
        (r'{{"q\"\n"}}{{`r\n`}}{{' + "'a'" + "}}", 'q"\nr\\n97'),
        ("{{0x10}} {{-5}} {{1.50}} {{1e3}}", "16 -5 1.5 1000"),
        ("{{.Name | upper | printf `%-5s|`}}", "WEB  |"),
        ("{{json .Map}} {{json .List}} {{json .Null}}", '{"a":1,"b":2} ["x","y"] null'),
        ('{{join .List ", "}} {{split "a:b" ":"}}', "x, y [a b]"),
        ('{{lower "AB"}} {{title "ab cd"}} {{pad "x" 1 2}}| {{truncate "abcdef" 3}}', "ab Ab Cd  x  | abc"),
        ('{{println "a" 1}}{{print "a" 1 2 "b"}}', "a 1\na1 2b"),
        ("{{len .Name}} {{len .Map}} {{slice .Name 1}} {{slice .Name 0 2}}", "3 2 eb we"),
        ('{{or .Missing "d"}} {{and .Name ""}}|{{not .Yes}}', "d |false"),
        ('{{eq .N 1 2 3}} {{ne .N 3}} {{le .N 3}} {{ge "b" "a"}}', "true false true true"),
        ("{{html `<a b='c'>`}} {{urlquery `a b/c`}}", "&lt;a b=&#39;c&#39;&gt; a+b%2Fc"),
        ("{{.Yes}} {{.F}} {{.Map}}", "true 1.5 map[a:1 b:2]"),
    ],
)
def test_renders(source: str, text: str) -> None:
    assert Template(source).render(DATA) == text


@pytest.mark.parametrize(
    ("verb", "text"),
    [
        ('"%d|%5d|%-5d|%05d|%+d" 7 7 7 7 7', "7|    7|7    |00007|+7"),
        ('"%x %X %o %b %c %U" 255 255 8 5 65 65', "ff FF 10 101 A U+0041"),
        ('"%s|%6s|%-6s|%.2s|%q" "ab" "ab" "ab" "abc" "a\\"b"', 'ab|    ab|ab    |ab|"a\\"b"'),
        ('"%v %t %%" true false', "true false %"),
        ('"%.2f %6.1f %e" 1.005 2.25 1234.5', "1.00    2.2 1.234500e+03"),
        ('"%d" "x"', "%!d(string=x)"),
        ('"%d"', "%!d(MISSING)"),
        ('"x" 1', "x%!(EXTRA int=1)"),
        ('"%s %v" .List .Map', "[x y] map[a:1 b:2]"),
        ('"%*d" 4 7', "   7"),
    ],
)
def test_printf(verb: str, text: str) -> None:
    assert Template("{{printf " + verb + "}}").render(DATA) == text


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{{.Name", "template: :1: unclosed action"),
        ("a\n{{if .X}}", "template: :2: unexpected EOF"),
        ("{{end}}", "template: :1: unexpected {{end}}"),
        ("{{else}}", "template: :1: unexpected {{else}}"),
        ("{{.A}", "template: :1: bad character U+007D '}'"),
        ("{{nosuch .A}}", 'template: :1: function "nosuch" not defined'),
        ("{{$x}}", 'template: :1: undefined variable "$x"'),
        ('{{"x', "template: :1: unterminated quoted string"),
        ("{{(.A}}", "template: :1: unclosed left paren"),
        ("{{.A)}}", "template: :1: unexpected right paren"),
        ("{{}}", "template: :1: missing value for command"),
        ("{{.A |}}", "template: :1: missing value for command"),
        ("{{/* x", "template: :1: unclosed comment"),
        ("{{break}}", "template: :1: {{break}} outside {{range}}"),
        ("{{'00'}}", "template: :1: malformed character constant: '00'"),
        ("{{" + DEEP + "}}", "template: :1: max expression depth exceeded"),
        ('{{define "x"}}{{end}}', "template: :1: unexpected {{define}}"),
    ],
)
def test_refuses_to_parse(source: str, problem: str) -> None:
    with pytest.raises(TemplateSyntax) as caught:
        Template(source)
    assert caught.value.message == problem


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("{{.Name.X}}", '1:7: executing "" at <.Name.X>: can\'t evaluate field X in type string'),
        ("{{.Null.X}}", '1:7: executing "" at <.Null.X>: nil data; no entry for key "X"'),
        (
            "{{index .List 9}}",
            '1:2: executing "" at <index .List 9>: error calling index: index out of range: 9',
        ),
        (
            "{{range .N}}{{end}}{{range .Yes}}{{end}}",
            '1:27: executing "" at <.Yes>: range can\'t iterate over true',
        ),
        ("{{len .N}}", '1:2: executing "" at <len .N>: error calling len: len of type int'),
        ("{{lt .N `a`}}", "error calling lt: incompatible types for comparison"),
        ("{{nil}}", '1:2: executing "" at <nil>: nil is not a command'),
        ("{{.Name 1}}", "Name is not a method but has arguments"),
        ("{{upper}}", "wrong number or type of args for upper: got 0"),
        ("a\n b{{.Name.X}}", '2:9: executing "" at <.Name.X>'),
    ],
)
def test_fails_to_render(source: str, problem: str) -> None:
    with pytest.raises(TemplateFailed) as caught:
        Template(source).render(DATA)
    assert problem in caught.value.message


def test_missing_keys_are_errors_when_strict() -> None:
    with pytest.raises(TemplateFailed, match=r'<\.X>: map has no entry for key "X"'):
        Template("{{.X}}").render(DATA, strict=True)


def test_records_compute_fields_only_when_asked() -> None:
    asked: list[str] = []

    def costly() -> str:
        asked.append("A")
        return "a"

    row = Record("T", {"A": costly, "B": "<b>"}, {"Label": lambda name: name * 2})
    assert Template('{{.B}} {{.Label "x"}}').render(row) == "<b> xx"
    assert asked == []
    assert Template("{{json .}}").render(row) == '{"A":"a","B":"\\u003cb\\u003e"}'
    with pytest.raises(TemplateFailed, match="can't evaluate field C in type T"):
        Template("{{.C}}").render(row)


def test_structs_have_go_names_and_json_names() -> None:
    value = Struct({"ID": "1", "Tags": [], "P": NIL, "M": NilMap()}, {"ID": "Id"}, frozenset({"Tags"}))
    assert show(value) == "{1 [] <nil> map[]}"
    assert Template("{{.ID}} {{json .}}").render(value) == '1 {"Id":"1","P":null,"M":null}'
    assert Template("{{if .P}}y{{else}}n{{end}}{{if .}}s{{end}}").render(value) == "ns"


def test_index_of_a_text_map_is_empty_text() -> None:
    assert Template('[{{index . "x"}}] {{.x}}').render(TextMap()) == "[] <no value>"


@pytest.mark.parametrize(
    ("number", "text"), [(0.0, "0"), (1e6, "1000000"), (1e21, "1e+21"), (0.00001, "1e-05"), (2.5, "2.5")]
)
def test_floats_print_as_go_prints_them(number: float, text: str) -> None:
    assert show(number) == text
