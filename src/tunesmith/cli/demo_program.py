"""The program that ``tunesmith demo`` tunes; knows nothing of Tunesmith, as yours need not.

A network of one hidden layer, in numpy, learns which of two spirals a point is on.
"""

import argparse

import numpy as np


def spirals(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ``count`` points ``(n, 2)`` on two spirals, and which one each is on ``(n,)``."""
    label = rng.integers(0, 2, count)
    turn = rng.uniform(0.3, 4.0, count) * np.pi
    angle = turn + label * np.pi
    points = np.column_stack([turn * np.cos(angle), turn * np.sin(angle)]) / (4 * np.pi)
    return points + rng.normal(0, 0.02, points.shape), label


def main() -> None:
    """Train, and print the accuracy after every tenth epoch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--units", type=int, default=8)
    parser.add_argument("--activation", choices=["tanh", "relu"], default="tanh")
    parser.add_argument("--decay", type=float, default=1e-4)
    parser.add_argument("--epochs", type=int, default=60)
    args = parser.parse_args()

    rng = np.random.default_rng(0)
    x, y = spirals(rng, 600)
    x_test, y_test = spirals(rng, 300)
    w1, b1 = rng.normal(0, 4.0, (2, args.units)), rng.normal(0, 1.0, args.units)
    w2, b2 = rng.normal(0, 1 / np.sqrt(args.units), args.units), 0.0
    relu = args.activation == "relu"
    for epoch in range(1, args.epochs + 1):
        for batch in np.array_split(rng.permutation(len(x)), 20):
            before = x[batch] @ w1 + b1
            hidden = np.maximum(before, 0) if relu else np.tanh(before)
            error = 1 / (1 + np.exp(-np.clip(hidden @ w2 + b2, -30, 30))) - y[batch]
            back = np.outer(error, w2) * ((before > 0) if relu else 1 - hidden**2)
            w2 -= args.lr * (hidden.T @ error + args.decay * w2)
            b2 -= args.lr * error.sum()
            w1 -= args.lr * (x[batch].T @ back + args.decay * w1)
            b1 -= args.lr * back.sum(axis=0)
        if epoch % 10 == 0:
            before = x_test @ w1 + b1
            hidden = np.maximum(before, 0) if relu else np.tanh(before)
            accuracy = np.mean((hidden @ w2 + b2 > 0) == y_test)
            print(f"epoch={epoch} accuracy={accuracy:.4f}", flush=True)


if __name__ == "__main__":
    main()
