"""Train a small neural network to read handwritten digits.

It was written for Cloud ML Engine: the hyperparameters are command-line flags, and the metric is
reported through cloudml-hypertune. It knows nothing of Tunesmith.
"""

import argparse
import importlib.util
from pathlib import Path

import hypertune
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Labels = NDArray[np.int64]


def load_digits() -> tuple[Array, Labels]:
    """Return 1797 images of 8 by 8 pixels, ``(n, 64)`` from 0 to 1, and the digit of each, ``(n,)``."""
    # The data comes with scikit-learn. Only the file is wanted, and importing the whole package
    # takes longer than the training.
    spec = importlib.util.find_spec("sklearn")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("The data comes with scikit-learn: pip install scikit-learn")
    path = Path(spec.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    table = np.loadtxt(path, delimiter=",")
    return table[:, :-1] / 16.0, table[:, -1].astype(np.int64)


class Network:
    """One hidden layer with rectifiers, and a softmax."""

    def __init__(self, units: int, rng: np.random.Generator) -> None:
        self.weights = [
            rng.normal(0.0, np.sqrt(2.0 / 64), (64, units)),
            np.zeros(units),
            rng.normal(0.0, np.sqrt(1.0 / units), (units, 10)),
            np.zeros(10),
        ]

    def gradients(self, x: Array, y: Labels) -> list[Array]:
        """Return the gradient of the loss for each array of weights."""
        w1, b1, w2, b2 = self.weights
        hidden = np.maximum(x @ w1 + b1, 0.0)
        scores = hidden @ w2 + b2
        error = np.exp(scores - scores.max(axis=1, keepdims=True))
        error /= error.sum(axis=1, keepdims=True)
        error[np.arange(len(y)), y] -= 1.0
        error /= len(y)
        back = (error @ w2.T) * (hidden > 0.0)
        return [x.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)]

    def accuracy(self, x: Array, y: Labels) -> float:
        """Return the share of images that are read right."""
        w1, b1, w2, b2 = self.weights
        scores = np.maximum(x @ w1 + b1, 0.0) @ w2 + b2
        return float((scores.argmax(axis=1) == y).mean())


class Sgd:
    """Gradient descent with momentum."""

    def __init__(self, weights: list[Array], learning_rate: float, momentum: float) -> None:
        self.learning_rate, self.momentum = learning_rate, momentum
        self.velocity = [np.zeros_like(w) for w in weights]

    def update(self, weights: list[Array], gradients: list[Array]) -> None:
        """Take one step, in place."""
        for i, g in enumerate(gradients):
            self.velocity[i] = self.momentum * self.velocity[i] - self.learning_rate * g
            weights[i] += self.velocity[i]


class Adam:
    """Adam, by Kingma and Ba (2015)."""

    def __init__(self, weights: list[Array], learning_rate: float) -> None:
        self.learning_rate, self.steps = learning_rate, 0
        self.mean = [np.zeros_like(w) for w in weights]
        self.square = [np.zeros_like(w) for w in weights]

    def update(self, weights: list[Array], gradients: list[Array]) -> None:
        """Take one step, in place."""
        self.steps += 1
        rate = self.learning_rate * np.sqrt(1 - 0.999**self.steps) / (1 - 0.9**self.steps)
        for i, g in enumerate(gradients):
            self.mean[i] += 0.1 * (g - self.mean[i])
            self.square[i] += 0.001 * (g * g - self.square[i])
            weights[i] -= rate * self.mean[i] / (np.sqrt(self.square[i]) + 1e-8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--learning_rate", type=float, default=0.01)
    parser.add_argument("--units", type=int, default=32, help="units of the hidden layer")
    parser.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd")
    parser.add_argument("--momentum", type=float, default=0.0, help="only for sgd")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    # 1000 images to learn from, 400 to compare hyperparameters by, and 397 that neither sees.
    images, digits = load_digits()
    order = np.random.default_rng(0).permutation(len(images))
    train, validation, test = np.split(order, [1000, 1400])

    rng = np.random.default_rng(args.seed)
    network = Network(args.units, rng)
    optimizer: Sgd | Adam
    if args.optimizer == "sgd":
        optimizer = Sgd(network.weights, args.learning_rate, args.momentum)
    else:
        optimizer = Adam(network.weights, args.learning_rate)

    hpt = hypertune.HyperTune()
    for epoch in range(1, args.epochs + 1):
        shuffled = rng.permutation(train)
        for start in range(0, len(shuffled), args.batch_size):
            batch = shuffled[start : start + args.batch_size]
            optimizer.update(network.weights, network.gradients(images[batch], digits[batch]))
        accuracy = network.accuracy(images[validation], digits[validation])
        print(f"epoch {epoch}/{args.epochs}: validation accuracy {accuracy:.4f}", flush=True)
        hpt.report_hyperparameter_tuning_metric(
            hyperparameter_metric_tag="accuracy", metric_value=accuracy, global_step=epoch
        )

    test_accuracy = network.accuracy(images[test], digits[test])
    print(f"test accuracy {test_accuracy:.4f}")
    hpt.report_hyperparameter_tuning_metric(
        hyperparameter_metric_tag="test_accuracy",
        metric_value=test_accuracy,
        global_step=args.epochs,
    )


if __name__ == "__main__":
    main()
