import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hcs_lib.core.errors import UserError
from hcs_lib.pipeline.settings import Settings, load_settings

CONFIG: dict[str, Any] = {"plates": "tables/plates.tsv", "pipeline": "pipeline.yaml"}


@pytest.fixture
def analysis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration, one pipeline for all, one for a plate, and two raw plates."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tables").mkdir()
    for plate in ("p1", "p2"):
        (tmp_path / "raw" / plate).mkdir(parents=True)
    (tmp_path / "pipeline.yaml").touch()
    (tmp_path / "tables" / "own.yaml").touch()
    (tmp_path / "tables" / "map.csv").touch()
    (tmp_path / "config.yaml").write_text("# comment\nplates: tables/plates.tsv\npipeline: pipeline.yaml\n")
    (tmp_path / "tables" / "plates.tsv").write_text(
        "plate\tpath\tformat\tpattern\tplatemap\tpipeline\tpixel_size_um\n"
        "# later\n"
        "p1\t../raw/p1\t\t\tmap.csv\t\t\n"
        "\n"
        "p2\t../raw/p2\tpattern\tA-{row}.tif\t\town.yaml\t0.65\n"
    )
    return tmp_path


def problems_of(folder: Path, config: dict[str, Any]) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_settings(config, folder, "config.yaml")
    return [str(problem) for problem in caught.value.problems]


def table(folder: Path, text: str) -> None:
    (folder / "tables" / "plates.tsv").write_text(text)


def test_paths_are_relative_to_the_file_that_names_them(analysis: Path) -> None:
    found = load_settings(CONFIG, analysis, "config.yaml")
    first, second = found.plates
    assert (first.name, first.path, first.format, first.pattern) == ("p1", analysis / "raw" / "p1", "auto", None)
    assert (first.platemap, first.pipeline) == (analysis / "tables" / "map.csv", analysis / "pipeline.yaml")
    assert (second.pattern, second.pipeline) == ("A-{row}.tif", analysis / "tables" / "own.yaml")
    assert (first.pixel_size_um, second.pixel_size_um) == (None, 0.65)
    assert (found.device, found.wells_per_batch, found.bad_planes, found.allowed_failures, found.fingerprint) == (
        "cpu", 16, "fail", 0, "stat"
    )  # fmt: skip
    assert found.plate("p2") == second
    with pytest.raises(UserError, match=r"no plate 'p3'\. Plates are p1, p2\."):
        found.plate("p3")


def test_settings_are_json(analysis: Path) -> None:
    found = load_settings(CONFIG, analysis, "config.yaml")
    assert Settings.model_validate(json.loads(json.dumps(found.model_dump(mode="json")))) == found


def test_what_is_wrong_in_the_configuration_has_its_line(analysis: Path) -> None:
    (analysis / "config.yaml").write_text(
        "plates: x\npipeline: y\ndevcie: cpu\nwells_per_batch: 0\nbad_planes: ignore\n"
    )
    config = {"plates": "x", "pipeline": "y", "devcie": "cpu", "wells_per_batch": 0, "bad_planes": "ignore"}
    assert problems_of(analysis, config) == [
        "config.yaml:3: Unknown key 'devcie'. Did you mean device?",
        "config.yaml:4: wells_per_batch: should be greater than or equal to 1; found 0.",
        "config.yaml:5: bad_planes: should be 'fail', 'skip_site' or 'skip_well'; found 'ignore'.",
    ]


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({}, "config.yaml:2: the key 'plates' is missing."),
        ({"plates": "none.tsv"}, "config.yaml:2: plates: the file none.tsv does not exist."),
        (CONFIG | {"pipeline": "none.yaml"}, "config.yaml:3: pipeline: the file none.yaml does not exist."),
        ({"plates": "tables/plates.tsv"},
         "tables/plates.tsv:3: Plate 'p1' has no pipeline. Name one here or in config.yaml."),
    ],
)  # fmt: skip
def test_configurations(analysis: Path, config: dict[str, Any], problem: str) -> None:
    assert problems_of(analysis, config) == [problem]


COLUMNS = "plate, path, format, pattern, platemap, pipeline, pixel_size_um"
NAMING = "A plate's name is the folder of its results: letters, digits, . _ and - only, at most 100."
OWN = "Plates need names of their own."
NO_NUMBER = "should be a valid number, unable to parse string as a number"
HEADER = "plate\tpath\n"


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", [f"tables/plates.tsv: The table is empty. Its columns are {COLUMNS}."]),
        (HEADER, ["tables/plates.tsv: The table has no plate. Write one row for each plate."]),
        ("plate,path\np1,x", ["tables/plates.tsv:1: Unknown column 'plate,path'. Did you mean platemap or plate?"]),
        ("plate\tpth\np1\tx", ["tables/plates.tsv:1: Unknown column 'pth'. Did you mean path?"]),
        ("plate\tpath\tpath\n", ["tables/plates.tsv:1: The column 'path' is there twice."]),
        (HEADER + "p1\t../raw/p1\tx", ["tables/plates.tsv:2: 3 cells, but the table has 2 columns."]),
        (HEADER + "p1", ["tables/plates.tsv:2: the key 'path' is missing."]),
        (HEADER + "p1\t../raw/p9", ["tables/plates.tsv:2: path: the folder raw/p9 does not exist."]),
        (HEADER + "../x\t../raw/p1", [f"tables/plates.tsv:2: plate: '../x' is no name. {NAMING}"]),
        (HEADER + "p1\t../raw/p1\np1\t../raw/p2",
         [f"tables/plates.tsv:3: plate: 'p1' is there already (tables/plates.tsv:2). {OWN}"]),
        (HEADER + "Screen\t../raw/p1",
         [("tables/plates.tsv:2: plate: 'Screen' is the name of other results than those of a plate. "
          "So are registry, report, ro-crate-metadata.json, screen, workflow: take another.")]),
        (HEADER + "p1\t../raw/p1\nP1\t../raw/p2",
         [f"tables/plates.tsv:3: plate: 'P1' differs only in case (tables/plates.tsv:2). {OWN}"]),
        ("plate\tpath\tplatemap\tpipeline\np1\t../raw/p1\tno.csv\tno.yaml",
         ["tables/plates.tsv:2: pipeline: the file tables/no.yaml does not exist.",
          "tables/plates.tsv:2: platemap: the file tables/no.csv does not exist."]),
        ("plate\tpath\tpixel_size_um\np1\t../raw/p1\t-1\np2\t../raw/p2\tx",
         ["tables/plates.tsv:2: pixel_size_um: should be greater than 0; found '-1'.",
          f"tables/plates.tsv:3: pixel_size_um: {NO_NUMBER}; found 'x'."]),
    ],
)  # fmt: skip
def test_tables_of_plates(analysis: Path, text: str, problems: list[str]) -> None:
    table(analysis, text)
    assert problems_of(analysis, CONFIG) == problems


def test_results_are_not_written_into_a_raw_plate(analysis: Path) -> None:
    assert load_settings(CONFIG, analysis, "config.yaml", analysis / "results").plates
    (analysis / "link").symlink_to(analysis / "raw" / "p2")
    for results in (analysis / "raw" / "p2" / "results", analysis / "link" / "results"):
        with pytest.raises(UserError) as caught:
            load_settings(CONFIG, analysis, "config.yaml", results)
        assert [str(problem) for problem in caught.value.problems] == [
            (
                f"tables/plates.tsv:5: path: results would be written into the plate's folder, to {results}. "
                "Run elsewhere: `snakemake --directory WORK`, `hcs compile --results WORK/results`."
            )
        ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.text(max_size=30), st.dictionaries(st.sampled_from(["plates", "pipeline", "device", "x"]), st.text(max_size=5))
)
def test_any_input_is_read_or_refused_in_words(analysis: Path, text: str, config: dict[str, str]) -> None:
    (analysis / "tables" / "plates.tsv").write_bytes(f"plate\tpath\n{text}".encode(errors="surrogatepass"))
    message = ""
    try:
        load_settings(CONFIG | config, analysis, "config.yaml")
    except UserError as error:
        message = str(error)
    assert message
