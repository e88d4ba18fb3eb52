"""The compiled ops, one file each: the call and, where there are any, the same function in TensorFlow's own ops
(`pg_tf.dense`) and the gradients. All but PgTf>PersistentPeaks, which `pg_tf.inversion.peaks` calls itself.

Everything here takes checked tensors of flat atoms. The public functions, one package up, make these from what a caller
gives.
"""
