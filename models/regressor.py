"""From a network with outputs of order one to a property in its unit."""

import keras


def regressor(network: keras.Model, mean: float = 0.0, std: float = 1.0) -> keras.Model:
    """A network whose output is in the unit of the labels, so that the saved model predicts in it.

    Args:
        network: Model with outputs of order one, `(batch, 1)`.
        mean: Mean of the training labels.
        std: Their standard deviation; 0, of equal labels, counts as 1.

    Returns:
        A `keras.Model` with output `(batch, 1)`, at least float32 also under a mixed precision policy.
    """
    dtype = keras.backend.result_type(keras.config.dtype_policy().compute_dtype, "float32")
    scaled = keras.layers.Rescaling(std or 1.0, mean, name="property", dtype=dtype)(network.outputs[0])
    return keras.Model(network.inputs[0], scaled, name=network.name)
