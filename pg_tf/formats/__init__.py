"""Formats of files: from text to atoms, one module a format, for `pg_tf.structures` and `pg_tf.datasets` alike."""
