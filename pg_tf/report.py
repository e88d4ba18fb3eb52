"""A report as one HTML file that needs nothing else: no network, no other file."""

import dataclasses
import html
import os
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from pg_tf._files import write_whole
from pg_tf.plot import FONT, INK, MUTED, RULE

# A figure is drawn while the page is still being laid out; this fits it to its place.
_FIT = 'addEventListener("load", () => document.querySelectorAll(".js-plotly-plot").forEach(Plotly.Plots.resize))'

# The browser itself refuses whatever would come from elsewhere. Plotly compiles its 3D shaders' drivers with eval.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; img-src data: blob:"

_STYLE = f"""
body {{ font: 16px/1.55 {FONT}; color: {INK}; margin: 0; background: #f6f8fa; }}
main {{ max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }}
h1 {{ font-size: 30px; line-height: 1.2; margin: 0 0 8px; }}
h2 {{ font-size: 20px; margin: 0 0 8px; }}
section {{ background: #fff; border: 1px solid {RULE}; border-radius: 10px; padding: 20px 24px; margin-top: 20px; }}
p {{ margin: 0 0 12px; max-width: 75ch; }}
.muted {{ color: {MUTED}; }}
.figures {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); gap: 16px; }}
figure {{ margin: 0; min-width: 0; }}
figcaption {{ color: {MUTED}; font-size: 14px; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; margin: 4px 0 12px; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: right; padding: 6px 18px 6px 0; border-bottom: 1px solid {RULE}; }}
th {{ color: {MUTED}; font-weight: 600; font-size: 14px; }}
th:first-child, td:first-child {{ text-align: left; min-width: 14ch; overflow-wrap: anywhere; }}
tr:last-child td {{ border-bottom: 0; }}
figcaption {{ overflow-wrap: anywhere; }}
@media print {{ body {{ background: #fff; }} section {{ break-inside: avoid; }} }}
"""


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a report.

    Attributes:
      title: heading.
      text: paragraphs of plain text.
      table: rows of cells, the first row the header.
      figures: pairs of caption and plotly figure, side by side where there is room.
    """

    title: str
    text: Sequence[str] = ()
    table: Sequence[Sequence[Any]] = ()
    figures: Sequence[tuple[str, go.Figure]] = ()


def write_report(path: str | os.PathLike[str], title: str, summary: str, sections: Sequence[Section]) -> None:
    """Writes a report; an existing one is replaced in one step.

    All text is escaped, and the figures' program is put into the file: 4.5 MB.

    Args:
      path: the HTML file; its folder must exist.
      title: of the page.
      summary: a paragraph below the title.
      sections: in their order.
    """
    body = "\n".join(_section(section) for section in sections)
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n<script>{get_plotlyjs()}</script>\n</head>\n"
        f'<body><main><h1>{html.escape(title)}</h1><p class="muted">{html.escape(summary)}</p>\n{body}\n'
        f"</main><script>{_FIT}</script></body></html>\n"
    )
    write_whole(path, page)


def _section(section: Section) -> str:
    parts = [f"<h2>{html.escape(section.title)}</h2>"]
    parts += [f"<p>{html.escape(paragraph)}</p>" for paragraph in section.text]
    if section.table:
        header, *rows = section.table
        lines = ["".join(f"<th>{_cell(cell)}</th>" for cell in header)]
        lines += ["".join(f"<td>{_cell(cell)}</td>" for cell in row) for row in rows]
        parts.append('<div class="scroll"><table>' + "".join(f"<tr>{line}</tr>" for line in lines) + "</table></div>")
    if section.figures:
        figures = "".join(
            f"<figure>{_figure(figure)}<figcaption>{html.escape(caption)}</figcaption></figure>"
            for caption, figure in section.figures
        )
        parts.append(f'<div class="figures">{figures}</div>')
    return "<section>" + "\n".join(parts) + "</section>"


def _figure(figure: go.Figure) -> str:
    return figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        default_height=420,
        # The mouse wheel scrolls the page and does not zoom a figure.
        config={"responsive": True, "displaylogo": False, "scrollZoom": False},
    )


def _cell(value: Any) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return html.escape(text)
