"""The compiled ops, one file each: calling the op, the same in TensorFlow's own ops (`pg_tf.dense`), and its gradients.

Everything here takes checked tensors of flat atoms. The public functions, one package up, make these from what a caller
gives.
"""
