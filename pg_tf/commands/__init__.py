"""The subcommands of `pg-tf`, one a module: its `app` reads the options and calls one function of the package.

`scripts/pg-tf` imports only the module of the subcommand that is run, and for `pg-tf --help` none. The help of a
subcommand loads this package, and with it TensorFlow, which takes seconds. What a command calls is imported inside it,
so that its help and its complaints about options wait for no more than that.
"""
