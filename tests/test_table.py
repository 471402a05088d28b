"""Tables: columns that stand below each other, and HTML that no cell breaks out of."""

from html.parser import HTMLParser

from qtomo.table import Table, as_text

TABLE = Table("Fidelities", ["state", "F", "±"], [["<b>GHZ</b>", "0.5", "0.01"], ["W", "0.875", "0.1"]])


def test_columns_stand_below_each_other():
    title, rule, *lines = str(TABLE).split("\n")
    assert title == "Fidelities"
    assert set(rule) == {"─"}
    assert lines == ["state           F     ±", rule, "<b>GHZ</b>    0.5  0.01", "W           0.875   0.1", rule]


def test_html_shows_the_cells_as_they_are():
    tags, cells = [], []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, _):
            tags.append(tag)

        def handle_data(self, text):
            cells.append(text)

    Reader().feed(TABLE._repr_html_())
    assert cells == ["Fidelities", *TABLE.headings, *TABLE.rows[0], *TABLE.rows[1]]
    assert "b" not in tags
    assert tags.count("tr") == 3


def test_notes_follow_the_tables():
    assert as_text([TABLE, TABLE], ["one", "two"]) == f"{TABLE}\n\n{TABLE}\n\n• one\n• two"
