"""Makes Resources/keras-*.h5 and user-block.h5: small files as Keras and h5py write them.

    KERAS_BACKEND=torch keras_files.py Resources    # keras, torch, h5py

Written with Keras 3.15.1 and h5py 3.16. `keras-weights.h5` has Keras 3's names, `keras-model.h5` is a
whole model with the state of its optimizer. `keras-base.h5` and `keras-tuned.h5` hold the weights of
a network before and after some training under the names of Keras 2; `keras-base-latest.h5` and
`keras-base-gzip.h5` have the values of the first in other layouts.
"""

import pathlib
import sys

import h5py
import keras
import numpy as np

folder = pathlib.Path(sys.argv[1])
keras.utils.set_random_seed(12)
random = np.random.default_rng(12)
inputs = random.integers(0, 24, (32, 6))
labels = inputs.sum(axis=1) % 3


def network():
    layers = keras.layers
    tokens = keras.Input((6,), name="input")
    states = layers.Embedding(24, 8, name="embedding")(tokens)
    states = layers.LSTM(8, name="rnn")(states)
    return keras.Model(tokens, layers.Dense(3, activation="softmax", name="output")(states))


def weights(model):
    """The weights under the names of Keras 2: layer/layer/weight:0."""
    return {f"{layer.name}/{layer.name}/{weight.name}:0": np.array(weight)
            for layer in model.layers for weight in layer.weights if "seed" not in weight.name}


def save(name, tensors, libver=None, packed=False):
    with h5py.File(folder / name, "w", libver=libver) as file:
        file.attrs["backend"] = b"tensorflow"
        layers = list(dict.fromkeys(path.split("/")[0] for path in tensors))
        file.attrs["layer_names"] = [layer.encode() for layer in layers]
        for layer in layers:
            group = file.create_group(layer)
            paths = [path for path in tensors if path.startswith(layer + "/")]
            group.attrs["weight_names"] = [path.split("/", 1)[1].encode() for path in paths]
            for path in paths:
                # Chunks of about half a tensor in each dimension.
                chunks = tuple(extent // 2 + 1 for extent in tensors[path].shape)
                options = dict(chunks=chunks, compression="gzip", shuffle=True) if packed else {}
                file.create_dataset(path, data=tensors[path], **options)


model = network()
base = weights(model)
# Keras wants this ending.
model.save_weights(folder / "keras.weights.h5")
(folder / "keras.weights.h5").rename(folder / "keras-weights.h5")
model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
model.fit(inputs, labels, epochs=2, verbose=0)
model.save(folder / "keras-model.h5")
save("keras-base.h5", base)
# The newest that HDF5 1.10 reads.
latest = ("v110", "v110")
save("keras-tuned.h5", weights(model), libver=latest)
save("keras-base-latest.h5", base, libver=latest)
save("keras-base-gzip.h5", base, libver=latest, packed=True)
# Chunks without filters stand in the file as they are; addresses count from the user block.
with h5py.File(folder / "user-block.h5", "w", userblock_size=512) as file:
    file.create_dataset("chunked", data=np.arange(96, dtype="<f4"), chunks=(32,))
    file["plain"] = np.arange(5, dtype="<f4")
