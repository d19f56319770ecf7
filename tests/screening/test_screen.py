"""From wells.csv to the four tables, by the command as by Snakemake's rule."""

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hcs_lib.cli.screen import replicates, screen
from hcs_lib.contexts.manifests import PlatePlan, Stage
from hcs_lib.core.errors import UserError
from hcs_lib.report.tables import load_plate
from hcs_lib.screening.verdict import verdict
from hcs_lib.screening.welltable import read_wells

TABLES = ("assay_quality", "dose_response", "normalised", "hits")
OWN = ["plate", "well", "status", "reason", "control", "compound", "dose", "unit", "sites", "sites_left_out"]


def write_plate(folder: Path, rows: list[dict], features: list[str], derived: tuple[str, ...] = ()) -> Path:
    plate = folder.name
    wells = [row["well"] for row in rows]
    PlatePlan(
        plate=plate, pipeline="test", raw_folder="/raw", wells=wells,
        stages=(Stage(name="s01-cpu", gpu=0, steps=("measure",), batches={"b001": wells}, mem_mb=500),),
        labels=("nuclei",), table=None, derived=dict.fromkeys(derived, "x"), channel_names=("GFP",), platemap=None,
        allowed_failures=0, store=None,
    ).save(folder / "plan.json")  # fmt: skip
    (folder / "tables").mkdir()
    with (folder / "tables" / "wells.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*OWN, *features], lineterminator="\n")
        writer.writeheader()
        writer.writerows({"plate": plate, "status": "done", "sites": 1, "sites_left_out": 0} | row for row in rows)
    return folder


def small(folder: Path, seed: int = 0, shift: float = 0.0) -> Path:
    """A plate of four negative and four positive controls and two compounds twice, one of which acts."""
    rng = np.random.default_rng(seed)
    kinds = [("neg", "DMSO", 1)] * 4 + [("pos", "P", 10)] * 4 + [("", "active", 9)] * 2 + [("", "idle", 1)] * 2
    rows = [
        {"well": f"A{index + 1:02d}", "control": control, "compound": compound, "dose": "5" * (not control),
         "unit": "uM" * (not control), "count_nuclei": int(rng.integers(90, 110)),
         "fraction": mean + shift + rng.normal(0, 0.1)}
        for index, (control, compound, mean) in enumerate(kinds)
    ]  # fmt: skip
    return write_plate(folder, rows, ["count_nuclei", "fraction"], derived=("fraction",))


def run(*arguments: object):
    command = replicates if "--output" in arguments else screen
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


RULE = "{hits: {feature: fraction, threshold: 5, direction: up, min_replicates: 2}}"


def test_tables_of_a_small_plate(tmp_path: Path) -> None:
    folder = small(tmp_path / "p")
    result = run(folder, "--settings", RULE)
    z_prime = float(read(folder / "tables/assay_quality.csv")[0]["z_prime"])
    assert z_prime > 0.8
    assert result.output.splitlines() == [
        f"p: best Z′ {z_prime:.3f}, of fraction (4 positive and 4 negative controls)",
        "p: 0 of 2 dose-response curves hold",
        "p: 2 of 4 wells are hits by fraction",
    ]
    assert [row["feature"] for row in read(folder / "tables/assay_quality.csv")] == ["fraction", "count_nuclei"]
    normalised, wells = read(folder / "tables/normalised.csv"), read(folder / "tables/wells.csv")
    assert list(normalised[0]) == list(wells[0])
    assert [row["well"] for row in normalised] == [row["well"] for row in wells]
    hits = read(folder / "tables/hits.csv")
    assert [(row["well"], row["hit"]) for row in hits[:2]] in (
        [("A09", "yes"), ("A10", "yes")],
        [("A10", "yes"), ("A09", "yes")],
    )
    assert {row["well"]: row["score"] for row in hits} == {row["well"]: row["fraction"] for row in normalised}


def test_same_wells_same_bytes(tmp_path: Path) -> None:
    one, other = small(tmp_path / "a" / "p"), small(tmp_path / "b" / "p")
    for folder in (one, other):
        run(folder, "--settings", RULE)
    for table in TABLES:
        assert (one / f"tables/{table}.csv").read_bytes() == (other / f"tables/{table}.csv").read_bytes()


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ([], ["no well is a negative control", "without negative controls", "no well is a positive control"]),
        ([{"well": "A01", "f": 1.0}],
         ["no well is a negative control", "without negative controls", "no well is a positive control"]),
        ([{"well": "A01", "control": "neg"}, {"well": "A02", "control": "pos"}],
         ["0 of 1 negative controls have values", "without negative controls", "0 of 1 positive controls have"]),
        ([{"well": "A01", "control": "neg", "f": 1.0, "dose": "0"}, {"well": "A02", "control": "pos", "f": 2.0}],
         ["1 of 1 negative controls have values, 2 are", "1 of 1 positive controls", "no dose-response: screen.f"]),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_said_in_one_line_each(tmp_path: Path, rows: list, lines: list) -> None:
    folder = write_plate(tmp_path / "p", rows, ["f"])
    output = run(folder).output.splitlines()
    assert len(output) == len(lines)
    assert all(line in said for line, said in zip(lines, output, strict=True)), output
    (quality,) = read(folder / "tables/assay_quality.csv")
    assert (quality["feature"], quality["z_prime"]) == ("f", "")
    assert [row["f"] for row in read(folder / "tables/normalised.csv")] == [""] * len(rows)
    assert read(folder / "tables/hits.csv") == read(folder / "tables/dose_response.csv") == []


def test_features_without_finite_values_and_names_of_any_kind(tmp_path: Path) -> None:
    name = '<script>alert(1)</script>, "x"'
    rows = [
        {
            "well": f"A{index + 1:02d}",
            "control": "neg" if index < 3 else "pos",
            name: index,
            "inf": "inf",
            "nan": "nan",
            "one": 1,
        }
        for index in range(6)
    ]
    folder = write_plate(tmp_path / "p", rows, [name, "inf", "nan", "one"])
    run(folder, "--settings", f"{{features: ['{name}']}}")
    quality = read(folder / "tables/assay_quality.csv")
    assert [row["feature"] for row in quality] == [name, "inf", "nan", "one"]
    assert [row["n_pos"] for row in quality] == ["3", "0", "0", "3"]
    assert [row["z_prime"] == "" for row in quality] == [False, True, True, True]


def test_ten_thousand_features(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    features = [f"f{index}" for index in range(10_000)]
    rows = [
        {"well": f"{row}{column:02d}", "control": "neg" if column == 1 else "pos" if column == 12 else ""}
        | dict(zip(features, (rng.normal(size=10_000) + (column == 12)).tolist(), strict=True))
        for row in "ABCDEFGH" for column in range(1, 13)
    ]  # fmt: skip
    folder = write_plate(tmp_path / "p", rows, features)
    run(folder, "--settings", "{normalise: {method: b_score}}")
    assert len(read(folder / "tables/assay_quality.csv")) == 10_000


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("{features: [fractoin]}", r"screen.features: 'fractoin' is no feature of .*csv. Did you mean fraction\?"),
        ("{hits: {feature: x, threshold: 1}}", r"screen.hits.feature: 'x' is no feature of"),
        ("{hits: {feature: fraction}}", r"--settings:1: hits: the key 'threshold' is missing"),
        ("{hits: {feature: fraction, threshold: 0}}", r"hits.threshold: should be greater than 0; found 0"),
        ("{normalise: {methd: b_score}}", r"Unknown key 'methd'. Did you mean method\?"),
        ("{normalise: {method: z}}", r"normalise.method: should be 'robust_z', 'percent_of_control' or 'b_score'"),
        ("{", r"This is no YAML"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named(tmp_path: Path, settings: str, problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        run(small(tmp_path / "p"), "--settings", settings)


def test_a_plate_that_was_not_collected(tmp_path: Path) -> None:
    folder = small(tmp_path / "p")
    (folder / "tables/wells.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="this is no table of wells"):
        run(folder)
    (folder / "tables/wells.csv").unlink()
    with pytest.raises(UserError, match=r"the plate was not collected\. Run `hcs collect` first"):
        run(folder)


def test_what_is_said_of_sites_is_no_feature(tmp_path: Path) -> None:
    path = tmp_path / "wells.csv"
    path.write_text("plate,well,sites_x,sites,sites_left_out,sites_flagged,count_nuclei,f\np,A01,x,2,0,1,30,0.5\n")
    found = read_wells(path)
    assert found.features == ("count_nuclei", "f")
    assert found.text["sites_flagged"] == ["1"]


def test_infinite_values_count_as_none(tmp_path: Path) -> None:
    folder = write_plate(tmp_path / "p", [{"well": "A01", "f": "-inf"}, {"well": "A02", "f": "2"}], ["f"])
    assert np.array_equal(read_wells(folder / "tables/wells.csv").values, [[math.nan], [2.0]], equal_nan=True)


@pytest.mark.parametrize("method", ["robust_z", "percent_of_control", "b_score"])
def test_values_that_overflow_count_as_none(tmp_path: Path, method: str) -> None:
    huge = 1.7e308
    rows = [
        {"well": f"A{index + 1:02d}", "control": ("neg", "pos", "")[index // 4], "compound": "c" * (index >= 8),
         "dose": 10**index, "all": huge * (-1) ** index, "one": huge if index == 0 else index}
        for index in range(12)
    ]  # fmt: skip
    folder = write_plate(tmp_path / "p", rows, ["all", "one"])
    run(folder, "--settings", f"{{features: [all, one], normalise: {{method: {method}, reference: plate}}}}")
    quality = {row["feature"]: row for row in read(folder / "tables/assay_quality.csv")}
    assert [(quality["all"][name], quality["one"][name]) for name in ("n_neg", "wells_neg")] == [("0", "3"), ("4", "4")]
    assert (quality["all"]["z_prime"], quality["all"]["mean_neg"]) == ("", "")
    assert float(quality["one"]["mean_neg"]) == 2
    assert float(quality["one"]["z_prime"]) == pytest.approx(1 - 3 * (1 + math.sqrt(5 / 3)) / 3.5)
    assert {row["all"] for row in read(folder / "tables/normalised.csv")} == {""}
    cells = [cell for table in TABLES for row in read(folder / f"tables/{table}.csv") for cell in row.values()]
    assert not {"inf", "-inf", "nan"} & set(cells)


@pytest.mark.parametrize(
    ("table", "command"),
    [("wells", run), ("assay_quality", lambda folder: run(folder, "--output", folder / "screen")),
     ("failures", verdict), ("hits", load_plate)],
)  # fmt: skip
def test_a_row_that_was_cut_is_named(tmp_path: Path, table: str, command: Callable[[Path], object]) -> None:
    folder = small(tmp_path / "p")
    run(folder)
    path = folder / f"tables/{table}.csv"
    path.write_text("plate,well,counts\np,A01,yes\np,A0\n" if table in ("failures", "hits") else path.read_text()[:-20])
    lines = len(path.read_text().splitlines())
    with pytest.raises(UserError, match=rf"{table}\.csv:{lines}: the row has \d+ cells, and the header \d+\."):
        command(folder)


def test_replicate_plates(tmp_path: Path) -> None:
    folders = [small(tmp_path / "p1", seed=1), small(tmp_path / "p2", seed=2, shift=50)]
    rule = "{hits: {feature: fraction, threshold: 5, direction: up, min_replicates: 4}}"
    for folder in folders:
        run(folder, "--settings", rule)
        assert {row["hit"] for row in read(folder / "tables/hits.csv")} == {""}  # two of the four that are needed
    run(*folders, "--settings", rule, "--output", tmp_path / "screen")

    quality = read(tmp_path / "screen/assay_quality.csv")
    each = [{row["feature"]: row for row in read(folder / "tables/assay_quality.csv")} for folder in folders]
    assert [row["feature"] for row in quality] == ["fraction", "count_nuclei"]
    z_primes = [float(plate["fraction"]["z_prime"]) for plate in each]
    assert float(quality[0]["z_prime"]) == pytest.approx(sum(z_primes) / 2)
    assert (float(quality[0]["z_prime_min"]), float(quality[0]["z_prime_max"])) == (min(z_primes), max(z_primes))
    assert quality[0]["worst_plate"] == f"p{z_primes.index(min(z_primes)) + 1}"
    counts = ("n_plates", "plates", "n_pos", "wells_pos", "n_neg", "wells_neg")
    assert [quality[0][name] for name in counts] == ["2", "2", "8", "8", "8", "8"]

    hits = read(tmp_path / "screen/hits.csv")
    assert len(hits) == 24
    assert {(row["compound"], row["replicates_beyond"], row["replicates"]) for row in hits if row["hit"] == "yes"} == {
        ("active", "4", "4")
    }
    assert [row["hit"] for row in hits[:4]] == ["yes"] * 4
    assert [row["hit"] for row in hits].count("no") == 4


def test_a_replicate_without_a_z_prime_is_counted(tmp_path: Path) -> None:
    other = [{"well": "A01", "fraction": 1}, {"well": "A02", "control": "neg"}]
    folders = [small(tmp_path / "p1"), write_plate(tmp_path / "p2", other, ["fraction"])]
    for folder in folders:
        run(folder)
    run(*folders, "--output", tmp_path / "screen")
    rows = {row["feature"]: row for row in read(tmp_path / "screen/assay_quality.csv")}
    assert (rows["fraction"]["n_plates"], rows["fraction"]["plates"], rows["fraction"]["worst_plate"]) == (
        "1",
        "2",
        "p1",
    )
    counts = ("n_pos", "wells_pos", "n_neg", "wells_neg")
    assert [rows["fraction"][name] for name in counts] == ["4", "4", "4", "5"]
    assert [rows["count_nuclei"][name] for name in counts] == ["4", "4", "4", "5"], "a plate without the feature"
    assert read(tmp_path / "screen/hits.csv") == []
    with pytest.raises(UserError, match="the plate was not screened"):
        run(tmp_path / "p3", *folders, "--output", tmp_path / "screen")
