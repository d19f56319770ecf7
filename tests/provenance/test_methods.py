"""The methods of real runs: every number is one that was planned, and every well stands where it belongs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from hcs_lib.cli.main import cli
from hcs_lib.core.canonical import digest_file
from hcs_lib.core.errors import UserError
from hcs_lib.provenance.calls import parse_references
from hcs_lib.provenance.citations import LIBRARIES, REFERENCES, SOFTWARE, Bibliography
from hcs_lib.provenance.descriptions import DESCRIPTIONS, Call
from hcs_lib.provenance.methods import methods_of
from hcs_lib.provenance.runs import load_run
from hcs_lib.provenance.values import wells
from hcs_lib.provenance.verify import verify_plate
from hcs_lib.provenance.versions import versions_of
from hcs_lib.registry.service import RegistryService


def section(text: str, title: str) -> str:
    return text.partition(f"## {title}\n\n")[2].partition("\n\n## ")[0]


@pytest.fixture(scope="session")
def text(finished: Path) -> str:
    return methods_of(load_run(finished), "9.27.0")


def test_images_are_counted_with_their_denominators(text: str) -> None:
    images = section(text, "Images")
    assert "Plate demo was analysed in 3 of 3 imaged wells (B02–B04)." in images
    assert "2 sites, 2 channels (DNA and GFP), 2 z-planes, 2 µm apart and 1 time point" in images
    assert "24 of 24 planes were read, of 256 × 256 pixels (uint16), with pixels of 0.65 µm." in images


def test_steps_have_the_values_that_were_compiled(text: str) -> None:
    analysis = section(text, "Analysis")
    steps = [line for line in analysis.splitlines() if line[:2] in ("1.", "2.", "3.", "4.")]
    assert [step.split("**")[1] for step in steps] == ["projection", "nuclei", "cytoplasm", "measure"]
    assert "the 2 z-planes of each raw plane of channels DNA and GFP, stacked" in steps[0]
    assert "by the maximum of each pixel" in steps[0]
    # 8 µm at 0.65 µm a pixel; the Gaussian's default is a tenth of it, the background's half-width four times.
    for number in ("12.31 px (8 µm)", "σ = 1.231 px (0.8 µm)", "49.23 px (32 µm)", "9.231 px (6 µm) apart"):
        assert number in steps[1], number
    assert "farther than 2 px (1.3 µm) and at most 8 px (5.2 µm)" in steps[2]
    assert "intensities in DNA and GFP" in steps[3]
    assert "*nuclear_fraction* = `Nuclei_Intensity_MeanIntensity_GFP / (" in analysis


def test_objects_are_those_of_the_receipts(finished: Path, text: str) -> None:
    found = {"nuclei": 0, "cytoplasm": 0}
    for path in finished.glob("receipts/s01-cpu/*.json"):
        for site in json.loads(path.read_text())["sites"]:
            for label in found:
                found[label] += site["counts"][label]
    assert found["nuclei"] > 50
    assert (
        f"In 6 of 6 sites of 3 of 3 wells, {found['nuclei']:,} nuclei and {found['cytoplasm']:,} cytoplasm were found."
        in text
    )


def test_parameters_say_where_each_value_comes_from(text: str) -> None:
    table = section(text, "Parameters")
    assert "| nuclei | hcs.segment_nuclei | min_diameter | 12.31 px (8 µm) | pipeline |" in table
    assert "| nuclei | hcs.segment_nuclei | threshold | li | default |" in table
    assert "| measure | hcs.measure_objects | channel_names | DNA, GFP | metadata of the plate |" in table
    assert "| measure | hcs.measure_objects | labels | nuclei, cytoplasm | earlier step |" in table


def test_each_reference_is_cited_and_each_citation_has_one(text: str) -> None:
    import re

    body, _, references = text.partition("## References\n\n")
    numbers = [int(line.partition(".")[0]) for line in references.splitlines()]
    cited = [int(number) for mark in re.findall(r" \[([\d, ]+)\]", body) for number in mark.split(", ")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert sorted(set(cited)) == numbers
    assert list(dict.fromkeys(cited)) == numbers  # in the order of the text
    assert "Minimum cross entropy thresholding" in references
    assert "A threshold selection method" not in references  # Otsu's was not used


def test_the_same_receipts_give_the_same_text(finished: Path, text: str) -> None:
    assert methods_of(load_run(finished), "9.27.0") == text


def test_nothing_of_the_machine_is_said(finished: Path, text: str) -> None:
    assert str(finished) not in text
    assert "/tmp" not in text


def test_wells_that_were_done_otherwise_are_told_apart(rerun: Callable[..., Path]) -> None:
    def override(folder: Path) -> None:
        path = folder / "pipeline.yaml"
        path.write_text(
            path.read_text() + "overrides:\n  - wells: [B03]\n    step: nuclei\n"
            "    args: {hcs.segment_nuclei: {min_diameter: 10 um, threshold: otsu}}\n"
        )

    text = methods_of(load_run(rerun(override)))
    exceptions = section(text, "Exceptions")
    assert "- B02, B04 (2 of 3 wells executed) were analysed as said above." in exceptions
    assert (
        "- In B03 (1 of 3), in step *nuclei*, `min_diameter` was 15.38 px (10 µm) instead of 12.31 px (8 µm); "
        "in step *nuclei*, `threshold` was otsu instead of li." in exceptions
    )


def test_failures_and_sites_left_out_have_their_reasons(rerun: Callable[..., Path]) -> None:
    def remove(folder: Path) -> None:
        next(path for path in sorted((folder / "demo/plate").rglob("*.tif*")) if "B03_s2" in path.name).unlink()

    run = load_run(rerun(remove, bad_planes="skip_site"))
    text = methods_of(run)
    assert "23 of 24 planes were read" not in text  # the site that lacks one is not read at all
    assert "20 of 24 planes were read" in text
    assert "In 5 of 6 sites of 3 of 3 wells" in text
    exceptions = section(text, "Exceptions")
    assert "- 0 of 3 wells failed." in exceptions
    assert "- 1 of 6 sites were left out of wells that were analysed:\n  - B03, site 2: " in exceptions


def test_a_failed_well_is_named_with_its_reason(rerun: Callable[..., Path]) -> None:
    def truncate(folder: Path) -> None:
        file = next(path for path in sorted((folder / "demo/plate").rglob("*.tif*")) if "B03" in path.name)
        file.write_bytes(file.read_bytes()[:400])

    results = rerun(truncate)
    run = load_run(results)
    text = methods_of(run)
    assert "- 1 of 3 wells failed:\n  - B03: " in section(text, "Exceptions")
    assert "of 2 of 3 wells" in text
    assert "were analysed alike" in text
    assert versions_of(run)["wells"] == {"planned": 3, "executed": 3, "done": 2}


def test_functions_of_libraries_are_cited_from_their_own_documentation(rerun: Callable[..., Path]) -> None:
    def other(folder: Path) -> None:
        (folder / "pipeline.yaml").write_text(
            "name: filters\nsteps:\n"
            "  - {name: smooth, channels: [DNA], func: {call: skimage.filters.gaussian, args: {sigma: 2 px}}}\n"
            "  - {name: edges, func: skimage.filters.scharr, may_rescale: true}\n"
            "  - {name: peak, func: {call: scipy.ndimage.maximum_filter, args: {size: 3}}, keep: true}\n"
        )

    text = methods_of(load_run(rerun(other)))
    assert "with sigma = 2 px (1.3 µm), preserve_range = yes" in text
    assert "| smooth | skimage.filters.gaussian | preserve_range | yes | " in text
    assert "scikit-image 0." in text
    assert "SciPy 1." in text
    assert "D. Kroon, 2009" in section(text, "References")


def test_versions_hold_what_verify_needs(results: Path) -> None:
    command = CliRunner().invoke(cli, ["provenance", str(results), "--snakemake", "9.27.0"])
    assert command.exit_code == 0, command.output
    value = json.loads((results / "provenance/versions.json").read_text())
    assert value["wells"] == {"planned": 3, "executed": 3, "done": 3}
    assert value["workflow"]["snakemake"] == "9.27.0"
    assert set(value["contexts"]["s01-cpu"]) == {"B02", "B03", "B04"}
    assert {function["id"]: function["wells"] for function in value["functions"]} == dict.fromkeys(
        ("hcs.project", "hcs.segment_nuclei", "hcs.expand_ring", "hcs.measure_objects"), 3
    )
    assert value["tables"]["tables/wells.csv"]["sha256"] == digest_file(results / "tables/wells.csv")
    found = []
    verify_plate(results, found.append)
    assert found == []
    with (results / "tables/wells.csv").open("a") as file:
        file.write("\n")
    verify_plate(results, found.append)
    assert [(difference.kind, difference.path) for difference in found] == [("changed", "tables/wells.csv")]


def test_a_plate_that_nobody_executed_is_refused(results: Path) -> None:
    for path in results.glob("receipts/s01-cpu/*.json"):
        path.unlink()
    with pytest.raises(UserError, match="no well was executed"):
        load_run(results)


def test_all_our_functions_are_described() -> None:
    assert set(DESCRIPTIONS) == {name for name in RegistryService().entries() if name.startswith("hcs.")}


@pytest.mark.parametrize(
    ("function", "args", "special_inputs", "said"),
    [
        ("estimate_flat_field", {"sigma": 20.0}, {}, "a Gaussian (σ = 20 px (10 µm)) and divided by its mean [1]."),
        ("estimate_flat_field", {"sigma": None}, {}, "(σ = a tenth of the longer side)"),
        ("apply_flat_field", {}, {"flat_field": "flat"}, "The plane was divided by flat; integers were rounded"),
        ("classify_pixels", {"target": "nucleus"}, {}, "the probability of class “nucleus”"),
        ("stage_tile_positions", {"overlap": None, "order": "rows"}, {}, "placed where the stage had been."),
        (
            "stage_tile_positions",
            {"overlap": 0.1, "order": "snake"},
            {},
            "each second one backwards, each sharing 0.1 of",
        ),
        ("assemble", {}, {}, "the farther its edge was [1], and integers were rounded."),
        (
            "measure_image_quality",
            {"channel_names": ["DNA", "GFP"]},
            {},
            "of DNA and GFP were measured, with the names",
        ),
    ],
)
def test_values_stand_in_descriptions(
    function: str, args: dict[str, object], special_inputs: dict[str, str], said: str
) -> None:
    assert said in DESCRIPTIONS[f"hcs.{function}"](Call(args, special_inputs, Bibliography(), 0.5))


def test_every_key_that_is_cited_has_a_reference_with_an_identifier() -> None:
    assert {software.key for software in SOFTWARE.values() if software.key} <= set(REFERENCES)
    assert set(LIBRARIES.values()) <= set(SOFTWARE)
    assert all("doi:10." in text or "ISBN" in text for text in REFERENCES.values())


def test_references_of_a_docstring() -> None:
    doc = """Sum.

    Returns
    -------
    int

    References
    ----------
    .. [1] A. One, "Title
           of it", 1999. :DOI:`10.1/2`
    .. [2] https://example.org

    Examples
    --------
    >>> 1
    """
    import inspect

    assert parse_references(inspect.cleandoc(doc)) == ('A. One, "Title of it", 1999. doi:10.1/2', "https://example.org")
    assert parse_references("Sum.\n\nReturns\n-------\nint") == ()


def test_marks_number_references_as_they_come() -> None:
    bibliography = Bibliography()
    assert bibliography.cite("otsu") == " [1]"
    assert bibliography.cite("li", "otsu") == " [2, 1]"
    assert bibliography.cite() == ""
    assert [line[:2] for line in bibliography.lines()] == ["1.", "2."]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["B02"], "B02"),
        (["B03", "B02"], "B02, B03"),
        (["A01", "A02", "A03", "A05", "B05"], "A01–A03, A05, B05"),
    ],
)
def test_wells_are_written_as_ranges(names: list[str], said: str) -> None:
    assert wells(names) == said
