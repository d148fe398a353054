"""Column layout as Go's tabwriter has it, and listings through formats."""

import pytest

from fairway.cli.exits import Exit
from fairway.cli.output import rows_text
from fairway.cli.table import align
from fairway.cli.template import Record


def test_columns_are_as_wide_as_their_widest_cell_and_three_more() -> None:
    assert align("ID\tNAME\nabcdefghijkl\tx") == "ID             NAME\nabcdefghijkl   x"


def test_columns_have_a_least_width() -> None:
    assert align("A\tB\tC") == "A         B         C"
    assert align("A\tB", minimum=0, padding=1) == "A B"


def test_the_last_cell_is_not_padded() -> None:
    assert align("A\tlong last cell\nB\tx") == "A         long last cell\nB         x"


def test_a_line_without_the_cell_ends_a_column() -> None:
    text = align("looooooooooooong\tx\nno tabs\na\tb")
    assert text == "looooooooooooong   x\nno tabs\na         b"


def test_wide_characters_count_once() -> None:
    assert align("ab…\tx\nabcdefghij\ty") == "ab…          x\nabcdefghij   y"


ROWS = [Record("T", {"ID": "1", "Name": "a"}), Record("T", {"ID": "2", "Name": "b"})]
TITLES = {"ID": "THE ID", "Name": "NAME"}
DEFAULT = "table {{.ID}}\t{{.Name}}"


@pytest.mark.parametrize("form", ["", "table"])
def test_the_default_table(form: str) -> None:
    assert rows_text(form, DEFAULT, TITLES, ROWS) == "THE ID    NAME\n1         a\n2         b\n"
    assert rows_text(form, DEFAULT, TITLES, []) == "THE ID    NAME\n"


def test_custom_tables_have_their_own_header() -> None:
    form = r"table {{upper .Name}}\t{{json .ID}}"
    assert rows_text(form, DEFAULT, TITLES, ROWS) == 'NAME      THE ID\nA         "1"\nB         "2"\n'


def test_templates_and_json_have_none() -> None:
    assert rows_text("{{.Name}}", DEFAULT, TITLES, ROWS) == "a\nb\n"
    assert rows_text("json", DEFAULT, TITLES, ROWS[:1]) == '{"ID":"1","Name":"a"}\n'
    assert rows_text("{{.Name}}", DEFAULT, TITLES, []) == ""


def test_wrong_formats() -> None:
    with pytest.raises(Exit, match="template parsing error: template: :1: unclosed action"):
        rows_text("{{.ID", DEFAULT, TITLES, ROWS)
    with pytest.raises(Exit, match="can't evaluate field Foo in type T"):
        rows_text("{{.Foo}}", DEFAULT, TITLES, ROWS)
