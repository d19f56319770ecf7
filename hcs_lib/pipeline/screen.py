"""The key `screen` of `config.yaml`: which statistics are made of a plate's wells, and what is a hit."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from hcs_lib.pipeline.located import parse_yaml
from hcs_lib.pipeline.models import Model
from hcs_lib.pipeline.validation import validate


class Normalise(Model):
    """How the features of wells are normalised."""

    method: Literal["robust_z", "percent_of_control", "b_score"] = "robust_z"
    """`robust_z`: distance from the median of the reference, in its robust standard deviations; `percent_of_control`:
    percent of the median of the reference; `b_score`: what a median polish over rows and columns of the plate leaves,
    in robust standard deviations."""
    reference: Literal["neg", "plate"] = "neg"
    """`neg`: the negative controls; `plate`: all wells that are no controls. The B-score needs none."""


class Hits(Model):
    """When a treatment, which is a compound at a dose, is a hit."""

    feature: Annotated[str, Field(min_length=1)]
    """The feature whose normalised value is the score: a column of `wells.csv`."""
    threshold: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """How far the score must be from that of a well without effect (0; 100 with `percent_of_control`)."""
    direction: Literal["up", "down", "both"] = "both"
    """Which way counts. With `both`, replicates must go the same way."""
    min_replicates: Annotated[int, Field(ge=1)] = 1
    """How many wells of the treatment must pass the threshold."""


class Screen(Model):
    """What is computed from the wells of a plate."""

    features: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Features whose dose-response is fitted. By default the derived features of the pipeline; where it has none, the
    feature with the highest Z′."""
    normalise: Normalise = Normalise()
    """How features are [normalised](#normalised-features)."""
    hits: Hits | None = None
    """The rule for [hits](#hits). By default none are called."""

    def named_features(self) -> list[tuple[str, str]]:
        """Return pairs of a key that names a feature and the name."""
        hits = [("screen.hits.feature", self.hits.feature)] if self.hits else []
        return [*(("screen.features", name) for name in self.features), *hits]


PARTS: Mapping[str, type[BaseModel]] = MappingProxyType({"normalise": Normalise, "hits": Hits})
"""The models inside, by the key under which they stand."""


def read_screen(text: str, source: str) -> Screen:
    """Read what stands under the key `screen`, as YAML or JSON.

    Raises
    ------
    UserError
        With everything that is wrong; `source` names the text.
    """
    return validate(Screen, parse_yaml(text, source), PARTS)
