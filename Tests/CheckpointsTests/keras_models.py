"""Makes keras-head-base.h5 and keras-head-tuned.h5, whole models in Keras' HDF5 format: the second has
another head, with a layer without weights before it. With two more paths: checks that what diffkit
made of one of them predicts what the other does.

    KERAS_BACKEND=torch keras_models.py FOLDER [RESULT EXPECTED]    # keras, torch, h5py

Written with Keras 3.15.1 and h5py 3.16.
"""

import pathlib
import sys

import keras
import numpy as np

layers = keras.layers


def body():
    tokens = keras.Input((6,), name="input")
    states = layers.Embedding(24, 4, name="embedding")(tokens)
    return tokens, layers.GRU(4, name="rnn")(states)


def check(result, expected):
    inputs = np.random.default_rng(1).integers(0, 24, (16, 6))
    made, wanted = (keras.models.load_model(path, compile=False) for path in (result, expected))
    np.testing.assert_array_equal(made.predict(inputs, verbose=0), wanted.predict(inputs, verbose=0))
    assert [layer.name for layer in made.layers] == [layer.name for layer in wanted.layers]
    print("equal predictions")


def make(folder):
    keras.utils.set_random_seed(17)
    tokens, states = body()
    base = keras.Model(tokens, layers.Dense(3, activation="softmax", name="output")(states))
    base.save(folder / "keras-head-base.h5")
    tokens, states = body()
    states = layers.Dropout(0.5, name="rest")(states)
    states = layers.Dense(4, activation="relu", name="hidden")(states)
    tuned = keras.Model(tokens, layers.Dense(5, activation="softmax", name="head")(states))
    for name in ("embedding", "rnn"):
        tuned.get_layer(name).set_weights(base.get_layer(name).get_weights())
    tuned.save(folder / "keras-head-tuned.h5")


if len(sys.argv) > 2:
    check(sys.argv[2], sys.argv[3])
else:
    make(pathlib.Path(sys.argv[1]))
