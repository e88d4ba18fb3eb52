"""What is measured, one case a module. Each has a function `run(settings)` that returns tables by name.

A new case is a module here and its name in CASES.
"""

# In the order they are run and shown in.
CASES = (
    "floor",
    "study",
    "packages",
    "gradient",
    "layouts",
    "batches",
    "protein",
    "threads",
    "levels",
    "pipeline",
    "scaling",
    "formats",
    "crystals",
    "inversion",
)

# Other names of cases that the command line takes.
ALIASES = {"rivals": "packages"}

# Those that --quick leaves out unless they are named: they take as long as all others.
LONG = ("scaling", "formats", "crystals")
