"""Pixels classified by a model that was trained elsewhere: logistic regression on filters at several scales."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs_lib.core.declare import image_function
from hcs_lib.functions.checks import require_plane

FILTERS = ("gaussian", "gradient", "laplacian")
"""Smoothed intensity, the magnitude of its slope, and its curvature (times the square of the scale)."""

_KEYS = ("features", "mean", "scale", "classes", "weights", "bias")


def pixel_features(image: NDArray[Any], features: Sequence[Sequence[Any]]) -> NDArray[np.float32]:
    """Compute what a model looks at; train with the same.

    Parameters
    ----------
    image
        Plane (y, x), integer or float, any unit.
    features
        Filter (one of `FILTERS`) and scale, the sigma of its Gaussian in pixels, of each feature.

    Returns
    -------
    ndarray
        (features, y, x) of float32, in units of the image.

    Raises
    ------
    ValueError
        For an image that is no plane of finite values, an unknown filter, or a scale that is not above 0.
    """
    from scipy import ndimage

    require_plane("pixel_features", image)
    filters: dict[str, Callable[..., Any]] = {
        "gaussian": ndimage.gaussian_filter,
        "gradient": ndimage.gaussian_gradient_magnitude,
        "laplacian": lambda pixels, sigma: sigma**2 * ndimage.gaussian_laplace(pixels, sigma),
    }
    pixels = image.astype(np.float32)
    found = np.empty((len(features), *image.shape), np.float32)
    for number, (name, sigma) in enumerate(features):
        if name not in filters or not sigma > 0:
            raise ValueError(f"a feature is one of {', '.join(FILTERS)} and a scale above 0, not {name!r}, {sigma!r}")
        found[number] = filters[name](pixels, sigma)
    return found


@image_function(dtypes="float32", tags=("classifier", "machine learning", "probability", "segmentation"))
def classify_pixels(image: NDArray[Any], *, model: Mapping[str, Any], target: str) -> NDArray[np.float32]:
    """Give each pixel the probability that a trained model assigns to one class.

    Multinomial logistic regression on filters at several scales, in the manner of ilastik (Berg et al., Nat. Methods
    16, 1226 (2019), doi:10.1038/s41592-019-0582-9).

    Parameters
    ----------
    image
        Plane (y, x), integer or float, in the unit of the images that the model was trained on.
    model
        What was learned, as `{file: models/nuclei.json}`: `features` (filter and scale of each, `pixel_features`),
        their `mean` and `scale` (k each), `classes` (n names), `weights` (n × k) and `bias` (n). For a
        `LogisticRegression` of scikit-learn with `multinomial` loss these are `coef_` and `intercept_`.
    target
        The class.

    Returns
    -------
    ndarray
        Plane of float32, 0 to 1.

    Raises
    ------
    ValueError
        For an image that is no plane of finite values, or a model that is not complete or has no such class.
    """
    absent = [key for key in _KEYS if key not in model]
    if absent:
        raise ValueError(f"the model has no {', '.join(absent)}")
    classes = [str(name) for name in model["classes"]]
    if target not in classes:
        raise ValueError(f"the model knows the classes {', '.join(classes)}, not {target!r}")
    mean, scale, weights, bias = (np.asarray(model[key], np.float32) for key in ("mean", "scale", "weights", "bias"))
    count = len(model["features"])
    if (mean.shape, scale.shape, weights.shape, bias.shape) != (
        (count,), (count,), (len(classes), count), (len(classes),)
    ):  # fmt: skip
        raise ValueError(
            f"mean, scale, weights and bias of the model do not fit its {count} features and {len(classes)} classes"
        )
    features = pixel_features(image, model["features"])
    features -= mean[:, None, None]
    features /= scale[:, None, None]
    score = np.tensordot(weights, features, axes=1) + bias[:, None, None]
    score -= score.max(axis=0)
    np.exp(score, out=score)
    probability: NDArray[np.float32] = score[classes.index(target)] / score.sum(axis=0)
    return probability
