"""Charts of trainings and of datasets: learning curves, parity plots, shares."""

import html
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from pg_tf.plot.style import FONT, INK, MUTED, PALETTE, RULE

_METRICS = {"loss": "Loss", "mae": "Mean absolute error", "mse": "Mean squared error"}


def learning_curve(
    history: Mapping[str, Sequence[float]],
    metric: str = "loss",
    *,
    unit: str = "",
    references: Mapping[str, float] | None = None,
) -> go.Figure:
    """A metric over the epochs, in training and in validation.

    Args:
      history: `keras.callbacks.History.history`: a list of one number an epoch for `metric` and, if there was
        validation data, for `"val_" + metric`.
      metric: which entry of `history` to show.
      unit: unit of the metric, for the axis.
      references: values to compare with, by name, drawn as horizontal lines.

    Raises:
      ValueError: if `history` has no such metric.
    """
    if metric not in history:
        raise ValueError(f"metric: {metric!r} is not in the history, which has {', '.join(history)}")
    figure = _chart("Epoch", f"{_METRICS.get(metric, metric)}{f' ({unit})' if unit else ''}")
    for key, name, colour in ((metric, "training", PALETTE[1]), ("val_" + metric, "validation", PALETTE[0])):
        if key in history:
            values = np.asarray(history[key], np.float32)
            figure.add_scatter(
                x=np.arange(1, len(values) + 1),
                y=values,
                name=name,
                mode="lines+markers",
                line={"color": colour, "width": 2.5},
                hovertemplate=f"epoch %{{x}}: %{{y:.3f}}<extra>{name}</extra>",
            )
    for name, value in (references or {}).items():
        figure.add_hline(
            value,
            line={"color": MUTED, "width": 1.2, "dash": "dash"},
            annotation={"text": html.escape(name), "font": {"size": 12, "color": MUTED}, "yshift": -1},
            annotation_position="top right",
        )
    figure.update_yaxes(rangemode="tozero")
    return figure


def parity(true: npt.ArrayLike, predicted: npt.ArrayLike, unit: str = "eV", names: Sequence[str] = ()) -> go.Figure:
    """Predicted against true values; a perfect model is on the diagonal.

    Args:
      true, predicted: `[B]`, in `unit`.
      unit: unit of both.
      names: B names to show beside the pointer.

    Raises:
      ValueError: if the shapes do not fit or there is no value.
    """
    x, y = (np.asarray(values, np.float32) for values in (true, predicted))
    if x.ndim != 1 or x.shape != y.shape or not x.size:
        raise ValueError(
            f"true and predicted must have the same shape [B], B > 0; got {list(x.shape)} and {list(y.shape)}"
        )
    if names and len(names) != len(x):
        raise ValueError(f"names: there must be {len(x)}, got {len(names)}")
    figure = _chart(f"True ({unit})", f"Predicted ({unit})")
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    ends = [low - 0.04 * (high - low), high + 0.04 * (high - low)]
    figure.add_scatter(
        x=ends, y=ends, mode="lines", line={"color": MUTED, "width": 1.2, "dash": "dash"}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        marker={"color": PALETTE[0], "size": 7, "opacity": 0.55},
        text=[html.escape(name) for name in names] or None,
        hovertemplate=f"true %{{x:.2f}} {unit}<br>predicted %{{y:.2f}} {unit}<extra>%{{text}}</extra>",
    )
    error = np.abs(x - y).mean()
    figure.add_annotation(
        text=f"mean absolute error {error:.3f} {unit}",
        xref="x domain",
        yref="y domain",
        x=0.03,
        y=0.97,
        showarrow=False,
        font={"size": 13, "color": INK},
        bgcolor="rgba(255,255,255,0.8)",
    )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(range=ends, constrain="domain")
    figure.update_yaxes(range=ends, scaleanchor="x", constrain="domain")
    return figure


def cumulative(values: npt.ArrayLike, title: str) -> go.Figure:
    """The cumulative distribution of some values, such as molecular weights (the paper's Fig. 6).

    Args:
      values: `[B]`.
      title: of the axis, with quantity and unit.

    Raises:
      ValueError: if there is no value.
    """
    x = np.sort(np.asarray(values, np.float32).ravel())
    if not x.size:
        raise ValueError("values: there are none")
    # A thousand points draw the same curve as a million.
    shares = np.linspace(0, 1, min(len(x), 1000))
    figure = _chart(title, "Share of the molecules")
    figure.add_scatter(
        x=np.quantile(x, shares, method="inverted_cdf"),
        y=shares,
        mode="lines",
        line={"color": PALETTE[0], "width": 2.5},
        hovertemplate="%{y:.1%} are at most %{x:.4g}<extra></extra>",
    )
    figure.update_yaxes(range=[0, 1.02], tickformat=".0%")
    return figure


def _chart(x: str, y: str) -> go.Figure:
    """An empty chart with the titles of its axes."""
    axis = {
        "gridcolor": RULE,
        "zeroline": False,
        "linecolor": "#b8c1cb",
        "ticks": "outside",
        "tickcolor": "#b8c1cb",
        "title": {"standoff": 10},
    }
    figure = go.Figure()
    figure.update_layout(
        template="none",
        font={"family": FONT, "size": 14, "color": INK},
        margin={"l": 64, "r": 20, "t": 40, "b": 54},
        height=400,
        hoverlabel={"font": {"family": FONT}},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
    )
    figure.update_xaxes(**axis, title_text=html.escape(x))
    figure.update_yaxes(**axis, title_text=html.escape(y))
    return figure
