"""Colours and font of all figures."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
INK, MUTED, RULE = "#1f2933", "#66727f", "#e4e8ec"
# Okabe and Ito's colours, which the colour-blind can tell apart: https://jfly.uni-koeln.de/color
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d1f")
# After Corey, Pauling and Koltun, a little muted; the rest of the elements are pink, as is the custom.
ELEMENT_COLOURS = {
    "H": "#d9dde1", "B": "#f2a58e", "C": "#4a4f57", "N": "#3657d6", "O": "#d8322b", "F": "#6fb944",
    "Si": "#c9a86a", "P": "#e8862e", "S": "#e3c02c", "Cl": "#22a33a", "Br": "#9b3524", "I": "#7b2fa0",
}  # fmt: skip
OTHER_COLOUR = "#d67ab1"
