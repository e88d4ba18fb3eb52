"""How exactly and how fast grids turn back into atoms, with the failures by cause, beside a baseline.

`targets.py` has the rows to be measured, `methods.py` what inverts the grids, `scoring.py` what is counted, `table.py`
the printed form, `closing.py` the picture of two atoms that close in on each other, and `__main__.py` the command line.
"""
