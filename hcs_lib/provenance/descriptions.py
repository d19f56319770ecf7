"""What our own functions do, in sentences for a methods section, with the values that their arguments had."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hcs_lib.provenance import values
from hcs_lib.provenance.citations import Bibliography


@dataclass(frozen=True, slots=True)
class Call:
    """One call: every argument with the value that it had, given or default, and how to write and cite.

    `special_inputs` maps parameters to the names of what earlier steps gave.
    """

    args: Mapping[str, Any]
    special_inputs: Mapping[str, str]
    bibliography: Bibliography
    pixel_size_um: float | None

    def length(self, value: float) -> str:
        """Write a length."""
        return values.length(value, self.pixel_size_um)

    def area(self, value: float) -> str:
        """Write an area."""
        return values.area(value, self.pixel_size_um)


def _segment_nuclei(call: Call) -> str:
    args, cite = call.args, call.bibliography.cite
    diameter = args["min_diameter"]
    smoothing = args["smoothing"] if args["smoothing"] is not None else diameter / 10
    radius = args["background_radius"] or 4 * diameter
    text = (
        f"The plane was smoothed with a Gaussian (σ = {call.length(smoothing)}), and its background, estimated by a "
        f"grey-scale opening (half-width of the window {call.length(radius)}){cite('gonzalez')}, was subtracted. "
        f"Pixels brighter than {_threshold(call)}"
    )
    if isinstance(args["threshold"], str):
        text += f", and than the background by at least three standard deviations of the noise{cite('immerkaer')},"
    text += (
        f" were foreground. Each object was bounded where its brightness fell to {args['boundary']:.0%} of its plateau "
        f"above the background, and holes of up to {call.area(math.pi / 4 * diameter**2)} were filled."
    )
    sentences = [text]
    if args["declump"] == "none":
        sentences.append("Touching nuclei were not split.")
    else:
        distance = args["min_distance"] if args["min_distance"] is not None else 0.75 * diameter
        field = (
            f"the smoothed distance to the boundary{cite('malpica')}"
            if args["declump"] == "shape"
            else "the brightness"
        )
        neck = "" if args["neck"] >= 1 else (
            f"; parts between which {'it' if args['declump'] == 'shape' else 'the brightness'} fell to no less than "
            f"{args['neck']:.0%} of the lower maximum were joined again"
        )  # fmt: skip
        sentences.append(
            f"Touching nuclei were split by a watershed from the maxima, at least {call.length(distance)} apart, of "
            f"{field}{neck}."
        )
    above = f" or larger than {call.length(args['max_diameter'])}" if args["max_diameter"] is not None else ""
    border = "discarded as well" if args["discard_border"] else "kept"
    sentences.append(
        f"Objects with an equivalent diameter smaller than {call.length(diameter)}{above} were discarded; objects at "
        f"the border of the image were {border}."
    )
    return " ".join(sentences)


def _threshold(call: Call) -> str:
    threshold = call.args["threshold"]
    if threshold == "li":
        return f"the minimum cross-entropy threshold of the plane{call.bibliography.cite('li')}"
    if threshold == "otsu":
        return f"Otsu's threshold of the plane{call.bibliography.cite('otsu')}"
    return f"{values.plain(threshold)} grey levels"


def _expand_ring(call: Call) -> str:
    return (
        f"Around each object, the pixels farther than {call.length(call.args['inner'])} and at most "
        f"{call.length(call.args['outer'])} (Euclidean distance) from it, and not nearer to another object, were taken "
        "as a ring, as by CellProfiler's IdentifySecondaryObjects (“Distance - N”) less the object "
        f"itself{call.bibliography.cite('cellprofiler')}."
    )


def _propagate_cells(call: Call) -> str:
    args, cite = call.args, call.bibliography.cite
    radius = args["background_radius"]
    background = "" if radius is None else (
        f", its background (grey-scale opening, half-width {call.length(radius)}) subtracted{cite('gonzalez')}"
    )  # fmt: skip
    limit = "" if args["max_distance"] is None else f", up to {call.length(args['max_distance'])} from the nucleus"
    smoothed = (
        f"smoothed with a Gaussian (σ = {call.length(args['smoothing'])})" if args["smoothing"] else "not smoothed"
    )
    return (
        f"Cells were grown from {call.special_inputs.get('nuclei', 'the nuclei')} by propagation over the foreground"
        f"{cite('jones')} (regularisation λ = {args['regularisation']:g}){limit}, as in CellProfiler's "
        f"IdentifySecondaryObjects{cite('cellprofiler')}. The plane was {smoothed}{background}; what was brighter than "
        f"{_threshold(call)} was foreground."
    )


def _subtract_labels(call: Call) -> str:
    return f"{call.special_inputs.get('inner', 'The inner objects')} were taken out of the objects."


def _measure_objects(call: Call) -> str:
    channels = call.args["channel_names"]
    return (
        f"Size, shape, location and intensity of {call.special_inputs.get('labels', 'the objects')} were measured, "
        f"intensities in {values.listed(channels)}, with the names and definitions of CellProfiler's "
        f"MeasureObjectSizeShape and MeasureObjectIntensity{call.bibliography.cite('cellprofiler')}. Intensities are "
        "grey levels of the image, not rescaled; lengths are in pixels; the border of the image counts as an edge of "
        "objects; quantiles are interpolated linearly."
    )


def _project(call: Call) -> str:
    kept = {"max": "maximum", "min": "minimum"}.get(call.args["method"], call.args["method"])
    return f"The stack was projected onto one plane by the {kept} of each pixel."


def _identity(_: Call) -> str:
    return "The image was taken as it was."


def _subtract_background(call: Call) -> str:
    return (
        "The background, estimated by a grey-scale opening (half-width of the window "
        f"{call.length(call.args['radius'])}){call.bibliography.cite('gonzalez')}, was subtracted; values below 0 "
        "became 0."
    )


def _measure_image_quality(call: Call) -> str:
    cite = call.bibliography.cite
    return (
        f"Focus, saturation, background and illumination of {values.listed(call.args['channel_names'])} were measured, "
        "with the names and definitions of CellProfiler's MeasureImageQuality where it has them"
        f"{cite('cellprofiler', 'bray')}: among others the slope of the power spectrum{cite('field')}, the variance of "
        f"the Laplacian{cite('pech')}, the share of pixels at the top of the dtype, and, from 16 × 16 tiles, the "
        f"background, its noise{cite('immerkaer')} and its unevenness. Brightness is in grey levels of the image."
    )


def _estimate_flat_field(call: Call) -> str:
    sigma = call.args["sigma"]
    width = "a tenth of the longer side" if sigma is None else call.length(sigma)
    return (
        "The illumination was estimated by the median of each pixel over all images, smoothed with a Gaussian "
        f"(σ = {width}) and divided by its mean{call.bibliography.cite('singh')}."
    )


def _apply_flat_field(call: Call) -> str:
    return (
        f"The plane was divided by {call.special_inputs.get('flat_field', 'the flat field')}; integers were rounded, "
        "and ended at the bounds of their dtype."
    )


def _classify_pixels(call: Call) -> str:
    return (
        f"Each pixel was given the probability of class “{call.args['target']}” by a model trained before, a "
        f"multinomial logistic regression on filters at several scales{call.bibliography.cite('berg')}."
    )


def _stage_tile_positions(call: Call) -> str:
    overlap = call.args["overlap"]
    if overlap is None:
        return "Tiles were placed where the stage had been."
    runs = {"rows": "row by row", "columns": "column by column", "snake": "row by row, each second one backwards"}
    return (
        f"Tiles were placed on their grid, {runs[call.args['order']]}, each sharing {overlap:.4g} of its height and "
        "width with its neighbour."
    )


def _assemble(call: Call) -> str:
    return (
        "Tiles were put at whole pixels and assembled into one image; where they overlapped, each counted the more the "
        f"farther its edge was{call.bibliography.cite('preibisch')}, and integers were rounded."
    )


DESCRIPTIONS: dict[str, Callable[[Call], str]] = {
    "hcs.apply_flat_field": _apply_flat_field,
    "hcs.assemble": _assemble,
    "hcs.classify_pixels": _classify_pixels,
    "hcs.estimate_flat_field": _estimate_flat_field,
    "hcs.expand_ring": _expand_ring,
    "hcs.identity": _identity,
    "hcs.measure_image_quality": _measure_image_quality,
    "hcs.measure_objects": _measure_objects,
    "hcs.project": _project,
    "hcs.propagate_cells": _propagate_cells,
    "hcs.segment_nuclei": _segment_nuclei,
    "hcs.stage_tile_positions": _stage_tile_positions,
    "hcs.subtract_background": _subtract_background,
    "hcs.subtract_labels": _subtract_labels,
}
"""Function → what it did: all our own. Those of others are described by the first line of their documentation."""
