"""The report is one file that loads nothing, and shows what it is given."""

import re

import plotly.graph_objects as go
import pytest

from pg_tf.report import Section, write_report


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "report.html"
    hostile = '<script>alert("&")</script>'
    sections = [
        Section("Numbers", ["first", hostile], [["what", "value"], [hostile, 0.12345]], []),
        Section("Picture", figures=[(hostile, go.Figure(go.Scatter(x=[1, 2], y=[3, 4], name="a curve")))]),
    ]
    write_report(path, "A title", hostile, sections)
    return path.read_text(encoding="utf-8")


def test_numbers_and_figures_are_in_the_page(page):
    assert "<h1>A title</h1>" in page
    assert "<td>0.123</td>" in page
    assert '"a curve"' in page
    assert page.count("Plotly.newPlot(") >= 1


def test_text_is_escaped(page):
    assert "<script>alert(" not in page
    assert page.count("&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;") == 4


def test_nothing_is_loaded_from_elsewhere(page):
    assert not re.search(r"<(script|img|iframe)[^>]*\ssrc=", page)
    assert not re.search(r"<link[^>]*\shref=", page)
    assert not re.search(r"@import|url\(http", page[: page.index("</style>")])


def test_the_browser_is_told_to_refuse_other_sources(page):
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)[1]
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_an_interrupted_write_leaves_the_old_report(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, "old", "", [])
    with pytest.raises(AttributeError):
        write_report(path, "new", "", [Section("broken", figures=[("", None)])])
    assert "<h1>old</h1>" in path.read_text(encoding="utf-8")
