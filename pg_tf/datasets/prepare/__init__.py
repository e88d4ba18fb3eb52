"""From files of molecules to a folder of shards: `prepare(reader, root)`, with a reader of `pg_tf.datasets.readers`."""

from pg_tf.datasets.prepare.run import prepare

__all__ = ["prepare"]
