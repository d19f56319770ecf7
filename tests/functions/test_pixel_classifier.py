"""A model trained on one image finds the same kind of pixels in another."""

import json

import numpy as np
import pytest

from hcs_lib.functions.pixel_classifier import classify_pixels, pixel_features

FEATURES = [["gaussian", 1.0], ["gradient", 1.5], ["laplacian", 2.0], ["gaussian", 4.0]]


def scene(seed):
    """Discs that differ from their background by their texture, not by their mean."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:120, :120]
    inside = np.zeros((120, 120), bool)
    for row, column in rng.uniform(15, 105, (6, 2)):
        inside |= np.hypot(y - row, x - column) < 12
    coarse = np.repeat(np.repeat(rng.normal(0, 60, (40, 40)), 3, axis=0), 3, axis=1)
    return np.rint(1000 + np.where(inside, coarse, rng.normal(0, 60, (120, 120)))).astype(np.uint16), inside


@pytest.fixture(scope="module")
def model():
    """Trained by gradient descent on the cross-entropy."""
    image, inside = scene(1)
    features = pixel_features(image, FEATURES).reshape(len(FEATURES), -1).astype(float)
    mean, scale = features.mean(axis=1), features.std(axis=1)
    given = np.vstack([(features - mean[:, None]) / scale[:, None], np.ones(features.shape[1])])
    weights = np.zeros((2, 5))
    truth = np.stack([~inside.ravel(), inside.ravel()]).astype(float)
    for _ in range(400):
        score = np.exp(weights @ given)
        weights += 0.5 * (truth - score / score.sum(axis=0)) @ given.T / given.shape[1]
    return {
        "features": FEATURES, "mean": mean.tolist(), "scale": scale.tolist(), "classes": ["background", "cell"],
        "weights": weights[:, :4].tolist(), "bias": weights[:, 4].tolist(),
    }  # fmt: skip


def test_texture_that_was_learned_is_found(model):
    image, inside = scene(2)
    probability = classify_pixels(image, model=model, target="cell")
    assert (probability.dtype, probability.shape) == (np.float32, image.shape)
    assert 0 <= probability.min() <= probability.max() <= 1
    # What only the gradient tells apart, it tells for most pixels; the mean of the image tells nothing.
    order = np.argsort(probability, axis=None)
    rank = np.empty(order.size)
    rank[order] = np.arange(order.size)
    hits = inside.ravel()
    area_under_curve = (rank[hits].mean() - (hits.sum() - 1) / 2) / (~hits).sum()
    assert area_under_curve > 0.75


def test_probabilities_of_all_classes_add_up_to_one(model):
    image, _ = scene(3)
    both = [classify_pixels(image, model=model, target=name) for name in model["classes"]]
    np.testing.assert_allclose(sum(both), 1, atol=1e-6)


def test_a_pixel_by_hand():
    """One feature, two classes: a logistic curve of the smoothed intensity."""
    model = {"features": [["gaussian", 1.0]], "mean": [10], "scale": [2], "classes": ["no", "yes"],
             "weights": [[0], [1.5]], "bias": [0, -0.5]}  # fmt: skip
    probability = classify_pixels(np.full((9, 9), 14.0), model=json.loads(json.dumps(model)), target="yes")
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-(1.5 * 2 - 0.5))), rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": [[0.0]]}, "do not fit its 4 features and 2 classes"),
        ({"classes": ["a", "b"]}, "knows the classes a, b, not 'cell'"),
        ({"features": [["sobel", 1.0]] * 4}, "a feature is one of gaussian, gradient, laplacian"),
        ({"features": [["gaussian", 0]] * 4}, "a scale above 0, not 'gaussian', 0"),
    ],
)
def test_models_that_are_none(model, change, message):
    with pytest.raises(ValueError, match=message):
        classify_pixels(scene(2)[0], model={**model, **change}, target="cell")
    with pytest.raises(ValueError, match="the model has no mean, bias"):
        classify_pixels(scene(2)[0], model={k: v for k, v in model.items() if k not in ("mean", "bias")}, target="cell")
