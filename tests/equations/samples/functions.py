"""The module under test in these tests: plain functions, forward and backward."""

import numpy as np


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def cross_entropy(p, y):
    return -np.sum(y * np.log(p)) / len(p)


def softmax_cross_entropy_backward(z, y):
    return (softmax(z) - y) / len(z)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_slope(z):
    return sigmoid(z) * (1 - sigmoid(z))


def bce_logits(s, t):
    return np.mean(np.log1p(np.exp(s)) - t * s)


def bce_logits_backward(s, t):
    return (sigmoid(s) - t) / len(s)


def relu(x):
    return np.maximum(x, 0)


def mse(prediction, target):
    return np.mean((prediction - target) ** 2)


def dropout_forward(x, mask, q):
    return x * mask / (1 - q)


def dropout_backward(dh, mask, q):
    return dh * mask / (1 - q)


def bn_mean(x):
    return x.mean(axis=0)


def bn_var(x):
    return x.var(axis=0)


def bn_normalise(x, eps):
    return (x - bn_mean(x)) / np.sqrt(bn_var(x) + eps)


def bn_forward(x, gamma, beta, eps):
    return gamma * bn_normalise(x, eps) + beta


def bn_backward(dy, x, gamma, eps):
    hat = bn_normalise(x, eps)
    centred = len(x) * dy - dy.sum(axis=0) - hat * np.sum(dy * hat, axis=0)
    return gamma * centred / (len(x) * np.sqrt(bn_var(x) + eps)), np.sum(dy * hat, axis=0), dy.sum(axis=0)


def convolve(x, w):
    rows, columns = x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1
    found = np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            found[i, j] = np.sum(x[i : i + w.shape[0], j : j + w.shape[1]] * w)
    return found


def convolve_backward(dy, x, w):
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i, j in np.ndindex(dy.shape):
        dx[i : i + w.shape[0], j : j + w.shape[1]] += dy[i, j] * w
        dw += dy[i, j] * x[i : i + w.shape[0], j : j + w.shape[1]]
    return dx, dw


def recurrent(x, start, w, u):
    states = [start]
    for row in x:
        states.append(np.tanh(row @ w + states[-1] @ u))
    return np.array(states)


def deep(x, weights):
    """Every layer's output, the input first."""
    found = [x]
    for weight in weights:
        found.append(np.tanh(found[-1] @ weight))
    return found


def adam_step(theta, m, v, g, t, lr, beta1, beta2, eps):
    m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2
    return theta - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps), m, v


class Linear:
    def __init__(self, rows, columns):
        self.weight, self.bias = np.zeros((rows, columns)), np.zeros(columns)

    def forward(self, x):
        self.x = x
        return x @ self.weight + self.bias

    def backward(self, dy):
        self.dw, self.db = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.weight.T
