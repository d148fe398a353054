"""Options, parsed as pflag parses them."""

import pytest

from fairway.cli.flags import Flag, HelpWanted, Options, Parser, UsageError
from fairway.cli.kinds import BOOL, CPUS, DURATION, FILTER, INT, LIST, MAP, SIZE, STRING, STRINGS, UINT16

FLAGS = (
    Flag("interactive", BOOL, short="i"),
    Flag("tty", BOOL, short="t"),
    Flag("ipv4", BOOL, default=True),
    Flag("name", STRING),
    Flag("publish", LIST, short="p"),
    Flag("alias", STRINGS),
    Flag("opt", MAP, short="o"),
    Flag("last", INT, short="n", default=-1),
    Flag("memory", SIZE, short="m"),
    Flag("cpus", CPUS),
    Flag("weight", UINT16),
    Flag("every", DURATION),
    Flag("filter", FILTER, short="f"),
    Flag("net", STRING, alias_of="name"),
    Flag("old", STRING, alias_of="name", deprecated="use --name instead"),
)


def parse(*argv: str, interspersed: bool = True) -> tuple[Options, list[str]]:
    return Parser(FLAGS, interspersed, lambda _text: None).parse(argv)


def test_values_come_behind_a_blank_an_equals_sign_or_nothing() -> None:
    options, rest = parse("--name", "a", "-p80:80", "-p=81:81", "-p", "82", "--publish=83", "x")
    assert options.text("name") == "a"
    assert options.items("publish") == ["80:80", "81:81", "82", "83"]
    assert rest == ["x"]


def test_short_options_cluster() -> None:
    options, rest = parse("-itp", "80", "c")
    assert options.flag("interactive") and options.flag("tty")
    assert (options.items("publish"), rest) == (["80"], ["c"])


def test_booleans_take_a_value_only_with_an_equals_sign() -> None:
    options, rest = parse("--ipv4=false", "--tty", "false")
    assert not options.flag("ipv4") and options.flag("tty")
    assert rest == ["false"]
    assert options.given("ipv4") and not options.given("interactive")


def test_the_first_positional_may_end_the_options() -> None:
    assert parse("a", "-t", interspersed=False)[1] == ["a", "-t"]
    assert parse("a", "-t")[1] == ["a"]
    assert parse("--", "-t")[1] == ["-t"]
    assert parse("-", "x")[1] == ["-", "x"]


def test_repeated_options_add_up() -> None:
    options, _ = parse("--alias", "a,b", "--alias", '"c,d",e', "-o", "k=v", "-o", "e", "-o", "k=w")
    assert options.items("alias") == ["a", "b", "c,d", "e"]
    assert options.pairs("opt") == {"k": "w", "e": ""}
    assert parse("--name", "a", "--name", "b")[0].text("name") == "b"


def test_aliases_and_deprecated_spellings() -> None:
    notices: list[str] = []
    options, _ = Parser(FLAGS, True, notices.append).parse(["--net", "a", "--old", "b"])
    assert options.text("name") == "b"
    assert notices == ["Flag --old has been deprecated, use --name instead"]


def test_values_are_converted() -> None:
    options, _ = parse(
        "-n", "0x10", "-m", "1.5g", "--cpus", "1/2", "--every", "1m30s", "-f", " Driver = x=y "
    )
    assert options.number("last") == 16
    assert options.number("memory") == 1610612736
    assert options.number("cpus") == 500_000_000
    assert options.number("every") == 90_000_000_000
    assert options.values("filter") == [("driver", "x=y")]


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["--foo"], "unknown flag: --foo"),
        (["-ix"], "unknown shorthand flag: 'x' in -ix"),
        (["--name"], "flag needs an argument: --name"),
        (["-p"], "flag needs an argument: 'p' in -p"),
        (["--=x"], "bad flag syntax: --=x"),
        (
            ["--tty=zz"],
            'invalid argument "zz" for "-t, --tty" flag: strconv.ParseBool: parsing "zz": invalid syntax',
        ),
        (["-n", "z"], 'for "-n, --last" flag: strconv.ParseInt: parsing "z": invalid syntax'),
        (["-n", "9223372036854775808"], "value out of range"),
        (["--weight", "70000"], 'strconv.ParseUint: parsing "70000": value out of range'),
        (["--weight", "-1"], 'strconv.ParseUint: parsing "-1": invalid syntax'),
        (["-m", "zz"], "invalid size: 'zz'"),
        (["-m", "1z"], "invalid suffix: 'z'"),
        (["--cpus", "x"], "failed to parse x as a rational number"),
        (["--cpus", "0.0000000001"], "value is too precise"),
        (["--every", "5"], 'time: missing unit in duration "5"'),
        (["-f", "x"], "bad format of filter (expected name=value)"),
    ],
)
def test_wrong_command_lines(argv: list[str], problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(*argv)
    assert problem in caught.value.message


@pytest.mark.parametrize("argv", [["--help"], ["-h"], ["-ih"]])
def test_help_is_wanted(argv: list[str]) -> None:
    with pytest.raises(HelpWanted):
        parse(*argv)
