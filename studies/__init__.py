"""Does it learn? Recipes, their measured errors, and the tables of docs/results.md."""
