"""How well networks learn from grids: experiments, their measured errors, and the tables of docs/results.md."""
