"""Our functions on published images, against published truths, a peer's wells and CellProfiler's own numbers."""

import csv

import numpy as np
import pytest
import tifffile
from scipy import ndimage
from scipy.optimize import curve_fit
from scipy.spatial import cKDTree
from scipy.stats import spearmanr

from hcs_lib.functions.cells import expand_ring, propagate_cells, subtract_labels
from hcs_lib.functions.measurement import measure_objects
from hcs_lib.functions.nuclei import segment_nuclei


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def translocation(shared_data):
    """Per well of BBBC013: nuclei, median N/C, median N/(N+C), as its example pipeline has them."""
    folder = shared_data / "bbbc013-wortmannin"
    wells = {}
    for row in table(folder / "platemap.csv"):
        name = f"{(ord(row['row']) - 65) * 12 + int(row['column']):02d}-{row['row']}-{int(row['column']):02d}"
        gfp, dna = (tifffile.imread(folder / "images" / f"Channel{channel}-{name}.tif") for channel in (1, 2))
        nuclei = segment_nuclei(dna, min_diameter=10)
        labels = {"nuclei": nuclei, "cytoplasm": expand_ring(nuclei, inner=2, outer=8)}
        objects = measure_objects(np.stack([dna, gfp]), labels=labels, channel_names=("DNA", "GFP"))
        inner = objects["Nuclei_Intensity_MeanIntensity_GFP"]
        outer = objects["Cytoplasm_Intensity_MeanIntensity_GFP"]
        wells[row["well"]] = row | {
            "nuclei": len(inner),
            "ratio": np.nanmedian(inner / outer),
            "fraction": np.nanmedian(inner / (inner + outer)),
        }
    return wells


def test_bbbc013_nuclei(translocation):
    assert sum(well["nuclei"] for well in translocation.values()) == pytest.approx(6201, rel=0.08)


def test_bbbc013_wells_rank_as_the_peers(translocation, shared_data):
    peer = table(shared_data / "bbbc013-wortmannin/truth/peer_openhcs_nuc_cyto_ratio.csv")
    wells = [row for row in peer if row["well"] in translocation]
    assert len(wells) == 19
    ours = [translocation[row["well"]]["ratio"] for row in wells]
    assert spearmanr(ours, [float(row["nuclear_to_cytoplasmic_gfp_ratio_well_mean"]) for row in wells])[0] >= 0.98


def test_bbbc013_assay_quality(translocation):
    negative, positive = (
        np.array([well["fraction"] for well in translocation.values() if well["control"] == control])
        for control in ("neg", "pos")
    )
    assert (len(negative), len(positive)) == (8, 4)
    spread = negative.std(ddof=1) + positive.std(ddof=1)
    assert 1 - 3 * spread / abs(negative.mean() - positive.mean()) >= 0.88


def test_bbbc013_dose_response(translocation):
    wells = [well for well in translocation.values() if float(well["dose"]) > 0]
    dose = np.array([float(well["dose"]) for well in wells])
    fraction = np.array([well["fraction"] for well in wells])

    def hill(log_dose, bottom, top, log_ec50, slope):
        return bottom + (top - bottom) / (1 + 10 ** (slope * (log_ec50 - log_dose)))

    fit = curve_fit(hill, np.log10(dose), fraction, p0=(fraction.min(), fraction.max(), 1, 1))[0]
    assert 5 <= 10 ** fit[2] <= 15


def test_dsb2018_nuclei(shared_data):
    """One set of parameters for three magnifications and all densities."""
    hits, true, found = 0, 0, 0
    for path in sorted((shared_data / "dsb2018-nuclei/plate").glob("*.tif")):
        truth = tifffile.imread(path.parents[1] / "truth" / path.name.replace("_w1", "_nuclei")).astype(np.int64)
        labels = segment_nuclei(tifffile.imread(path), min_diameter=10)
        count = labels.max() + 1
        overlap = np.bincount((truth * count + labels).ravel(), minlength=(truth.max() + 1) * count).reshape(-1, count)
        area = overlap.sum(1)
        union = area[:, None] + overlap.sum(0) - overlap
        hits += (overlap[1:, 1:] > 0.5 * union[1:, 1:]).sum()
        true += (area[1:] > 0).sum()
        found += labels.max()
    assert true == 2686
    assert 2 * hits / (true + found) >= 0.89


@pytest.fixture(scope="module")
def human(shared_data):
    """ExampleHuman: three channels, and CellProfiler's nuclei and cells."""
    folder = shared_data / "cellprofiler-examplehuman"
    image = np.stack([tifffile.imread(path) for path in sorted((folder / "images").glob("*.tif"))])
    nuclei, cells = (table(folder / f"truth/cellprofiler_4.0.6_{name}.csv") for name in ("Nuclei", "Cells"))
    return image, nuclei, cells


def numbers(rows, *names):
    return np.array([[float(row[name]) for name in names] for row in rows])


def test_same_numbers_as_cellprofiler(human):
    """Where the outlines are the same pixels, every value is CellProfiler's, to the six digits it wrote.

    Its outlines of unclumped nuclei are found again by its own rule: sigma 1, above the threshold it reports.
    """
    image, rows, _ = human
    mask = ndimage.gaussian_filter(image[0] / 255, 1) > 0.09860165
    labels = ndimage.label(ndimage.binary_fill_holes(mask), np.ones((3, 3)))[0].astype(np.int32)
    found = measure_objects(image[:2], labels={"nuclei": labels}, channel_names=("DNA", "PH3"))
    centre = np.stack([found["Nuclei_Location_Center_X"], found["Nuclei_Location_Center_Y"]], 1)
    distance, index = cKDTree(centre).query(numbers(rows, "Location_Center_X", "Location_Center_Y"))
    same = (distance < 1e-5) & (found["Nuclei_AreaShape_Area"][index] == numbers(rows, "AreaShape_Area")[:, 0])
    assert same.sum() >= 180
    shared = [name for name in rows[0] if f"Nuclei_{name}" in found]
    assert len(shared) == 21
    for name in shared:
        ours = found[f"Nuclei_{name}"][index[same]] / (255 if name.startswith("Intensity") else 1)
        np.testing.assert_allclose(ours, numbers(rows, name)[same, 0], rtol=5e-7, atol=2e-6, err_msg=name)


def test_nuclei_like_cellprofilers(human):
    """Count within 5 %; four in five nuclei at the same place. Our outlines lie at half maximum: tighter."""
    image, rows, _ = human
    labels = segment_nuclei(image[0], min_diameter=8, discard_border=True)
    assert labels.max() == pytest.approx(289, rel=0.05)
    centre = np.array(ndimage.center_of_mass(labels > 0, labels, np.arange(1, labels.max() + 1)))
    distance, index = cKDTree(centre).query(numbers(rows, "AreaShape_Center_Y", "AreaShape_Center_X"))
    near = distance < 2
    assert near.mean() > 0.9
    area = np.bincount(labels.ravel())[1:][index[near]]
    assert 0.7 < np.median(area / numbers(rows, "AreaShape_Area")[near, 0]) < 1


def test_cells_like_cellprofilers(human):
    """Propagation from our nuclei, with the threshold CellProfiler reports: nine in ten cells within 25 % in area."""
    image, nuclei_rows, cell_rows = human
    nuclei = segment_nuclei(image[0], min_diameter=8, boundary=0.3)
    cells = propagate_cells(image[2], nuclei=nuclei, threshold=0.09860165 * 255)
    assert (cells[nuclei > 0] == nuclei[nuclei > 0]).all()
    centre = np.array(ndimage.center_of_mass(nuclei > 0, nuclei, np.arange(1, nuclei.max() + 1)))
    distance, index = cKDTree(centre).query(numbers(nuclei_rows, "AreaShape_Center_Y", "AreaShape_Center_X"))
    near = distance < 2.5
    assert near.sum() > 260
    ratio = np.bincount(cells.ravel())[1:][index[near]] / numbers(cell_rows, "AreaShape_Area")[near, 0]
    assert np.median(ratio) == pytest.approx(1, abs=0.03)
    assert (abs(ratio - 1) < 0.25).mean() > 0.9
    cytoplasm = subtract_labels(cells, inner=nuclei)
    assert (
        np.bincount(cytoplasm.ravel(), minlength=nuclei.max() + 1)[1:].sum() == (cells > 0).sum() - (nuclei > 0).sum()
    )
