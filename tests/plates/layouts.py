"""One synthetic plate as different microscopes write it: the same pixels, positions, names and times."""

import csv
import importlib.util
import json
from itertools import product
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import tifffile
import zarr

from hcs_lib.plates.metadata import PlaneMetadata
from hcs_lib.plates.metaseries import write_metaseries


def _beside(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


write_czi, write_nd2 = _beside("czi_writer").write_czi, _beside("nd2_writer").write_nd2

WELLS = ("B02", "C03")
SITES = 2
CHANNELS = (("DAPI", 452.0), ("FITC", 525.0))
EXCITATION = (358.0, 490.0)
DEPTH = 2
SHAPE = (12, 16)
PIXEL = 0.5
STEP = 3.0
X = {1: 100.0, 2: 108.0}
"""Two sites that abut, side by side: 16 pixels of half a micrometre."""
Y = 40.0


def planes():
    """Yield well, site, channel (from 1), z (from 1) and the pixels of every plane: one bright square on noise."""
    for n, (well, site, channel, z) in enumerate(
        product(WELLS, range(1, SITES + 1), range(1, len(CHANNELS) + 1), range(1, DEPTH + 1))
    ):
        pixels = np.random.default_rng(n).integers(0, 5000, SHAPE, np.uint16)
        pixels[2 + n % 3 : 9 + n % 3, 3 + n % 4 : 10 + n % 4] += 40_000
        yield well, site, channel, z, pixels


def time(n):
    return f"2026-01-02T03:04:{n:02d}+00:00"


def row_and_column(well):
    return ord(well[0]) - 64, int(well[1:])


def imagexpress(folder):
    for well, site, channel, z, pixels in planes():
        path = folder / "TimePoint_1" / f"ZStep_{z}" / f"p_{well}_s{site}_w{channel}.TIF"
        path.parent.mkdir(parents=True, exist_ok=True)
        name, wavelength = CHANNELS[channel - 1]
        said = PlaneMetadata(PIXEL, X[site], Y, z * STEP, name, wavelength)
        tifffile.imwrite(path, pixels, description=write_metaseries(said, SHAPE, ""), metadata=None)
    (folder / "p.HTD").write_bytes(
        '"HTSInfoFile", Version 1.0\n"Description", "µm, in Latin 1"\n"TimePoints", 1\n"XWells", 4\n"YWells", 3\n'
        '"WellsSelection2", FALSE, TRUE, FALSE, FALSE\n"WellsSelection3", FALSE, FALSE, TRUE, FALSE\n'
        '"XSites", 2\n"YSites", 1\n"SiteSelection1", TRUE, TRUE\n"NWavelengths", 2\n'
        '"WaveName1", "DAPI"\n"WaveName2", "FITC"\n"EndFile"\n'.encode("cp1252")
    )


def imagexpress_hcsai(folder):
    experiment = folder / "experiment"
    (experiment / "timepoint0").mkdir(parents=True)
    rows = []
    for n, (well, site, channel, z, pixels) in enumerate(planes()):
        name = f"p_t0_{well}_s{site - 1}_w{channel - 1}_z{z - 1}.tif"
        tifffile.imwrite(experiment / "timepoint0" / name, pixels)
        row, column = row_and_column(well)
        rows.append({
            "Row": row, "Column": column, "Field": site - 1, "Wavelength": channel - 1, "Timepoint": 0, "ZIndex": z - 1,
            "ImageSubFolderPath": "timepoint0", "ImageFileName": name, "TimeStampSec": 1767323040 + n,
            "PositionXUm": X[site], "PositionYUm": Y, "PositionZUm": z * STEP,
        })  # fmt: skip
    with (experiment / "image_metadata_1.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    waves = [
        {
            "Index": n,
            "EmissionFilter": {"Name": name, "Wavelength": wavelength},
            "ExcitationFilter": {"Wavelength": EXCITATION[n]},
        }
        for n, (name, wavelength) in enumerate(CHANNELS)
    ]
    calibration = {"Unit": "µm", "PixelWidth": PIXEL, "PixelHeight": PIXEL}
    protocol = {"ObjectiveCalibration": calibration, "Wavelengths": waves}
    stack = {"AutoLeadAcquisitionProtocol": protocol, "ImageMetadataFiles": ["image_metadata_1.csv"]}
    (experiment / "p.jdce").write_text(json.dumps({"ImageStack": stack}))


def harmony(folder, version=5):
    images = folder / "Images"
    images.mkdir(parents=True)
    channel_facts = [
        f'<ChannelName>{name}</ChannelName><ImageResolutionX Unit="m">{PIXEL / 1e6!r}</ImageResolutionX>'
        f'<ImageResolutionY Unit="m">{PIXEL / 1e6!r}</ImageResolutionY>'
        f'<MainEmissionWavelength Unit="nm">{wavelength}</MainEmissionWavelength>'
        f'<MainExcitationWavelength Unit="nm">{excitation}</MainExcitationWavelength>'
        for (name, wavelength), excitation in zip(CHANNELS, EXCITATION, strict=True)
    ]
    records = []
    for n, (well, site, channel, z, pixels) in enumerate(planes()):
        row, column = row_and_column(well)
        name = f"r{row:02d}c{column:02d}f{site:02d}p{z:02d}-ch{channel}sk1fk1fl1.tiff"
        tifffile.imwrite(images / name, pixels, compression="lzw")
        records.append(
            f"<Image><id>{n}</id><State>Ok</State><URL>{name}</URL><Row>{row}</Row><Col>{column}</Col>"
            f"<FieldID>{site}</FieldID><PlaneID>{z}</PlaneID><TimepointID>0</TimepointID><ChannelID>{channel}</ChannelID>"
            + (channel_facts[channel - 1] if version < 6 else "")
            + f'<PositionX Unit="m">{X[site] / 1e6!r}</PositionX><PositionY Unit="m">{-Y / 1e6!r}</PositionY>'
            f'<PositionZ Unit="m">{z * STEP / 1e6!r}</PositionZ><AbsTime>{time(n)}</AbsTime></Image>'
        )
    facts = "".join(
        f'<Entry ChannelID="{n}">{text if version > 5 else "<FlatfieldProfile>{}</FlatfieldProfile>"}</Entry>'
        for n, text in enumerate(channel_facts, start=1)
    )
    (images / ("Index.idx.xml" if version < 6 else "Index.xml")).write_text(
        f'<?xml version="1.0" encoding="utf-8"?><EvaluationInputData xmlns="http://www.perkinelmer.com/PEHH/HarmonyV{version}">'
        "<Plates><Plate><Name>p</Name></Plate></Plates>"
        f"<Maps><Map>{facts}</Map></Maps><Images>{''.join(records)}</Images></EvaluationInputData>",
        encoding="utf-8-sig",
    )


def cellvoyager(folder):
    folder.mkdir(parents=True, exist_ok=True)
    schema = 'xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0"'
    records = []
    for n, (well, site, channel, z, pixels) in enumerate(planes()):
        row, column = row_and_column(well)
        name = f"p #1_{well}_T0001F{site:03d}L01A{channel:02d}Z{z:02d}C{channel:02d}.tif"
        tifffile.imwrite(folder / name, pixels, compression="zlib")
        records.append(
            f'<bts:MeasurementRecord bts:Type="IMG" bts:Time="{time(n)}" bts:Column="{column}" bts:Row="{row}"'
            f' bts:TimePoint="1" bts:FieldIndex="{site}" bts:ZIndex="{z}" bts:X="{X[site]}" bts:Y="{-Y}"'
            f' bts:Z="{z * STEP}" bts:Ch="{channel}">{escape(name)}</bts:MeasurementRecord>'
        )
    (folder / "MeasurementData.mlf").write_text(
        f"<bts:MeasurementData {schema}>{''.join(records)}</bts:MeasurementData>"
    )
    channels = "".join(
        f'<bts:MeasurementChannel bts:Ch="{n}" bts:HorizontalPixelDimension="{PIXEL}"'
        f' bts:VerticalPixelDimension="{PIXEL}" bts:CameraNumber="1" bts:ShadingCorrectionSource="SC_{n}.tif"/>'
        for n in (1, 2)
    )
    (folder / "MeasurementDetail.mrf").write_text(
        f'<bts:MeasurementDetail bts:TimePointCount="1" {schema}>{channels}</bts:MeasurementDetail>'
    )
    channels = "".join(
        f'<bts:Channel bts:Ch="{n}" bts:Acquisition="BP{wavelength:g}/45" bts:Fluorophore="{name}">'
        f"<bts:LightSourceName>{EXCITATION[n - 1]:g}nm</bts:LightSourceName></bts:Channel>"
        for n, (name, wavelength) in enumerate(CHANNELS, start=1)
    )
    lights = "".join(f'<bts:LightSource bts:Name="{nm:g}nm" bts:WaveLength="{nm:g}"/>' for nm in EXCITATION)
    (folder / "p.mes").write_text(
        f"<bts:MeasurementSetting {schema}><bts:LightSourceList>{lights}</bts:LightSourceList>"
        f"<bts:ChannelList>{channels}</bts:ChannelList></bts:MeasurementSetting>"
    )


def ome_zarr(folder, version="0.5"):
    v3 = version == "0.5"
    root = folder / "p.zarr"

    def group(path, ome):
        zarr.create_group(
            path, zarr_format=3 if v3 else 2, attributes={"ome": {"version": version, **ome}} if v3 else ome
        )

    plate = {
        "rows": [{"name": name} for name in "ABC"],
        "columns": [{"name": str(n)} for n in (1, 2, 3)],
        "wells": [
            {"path": f"{well[0]}/{int(well[1:])}", "rowIndex": ord(well[0]) - 65, "columnIndex": int(well[1:]) - 1}
            for well in WELLS
        ],
    }
    group(root, {"plate": plate})
    arrays = {}
    for well, site, channel, z, pixels in planes():
        array = arrays.setdefault((well, site), np.zeros((len(CHANNELS), DEPTH, *SHAPE), np.uint16))
        array[channel - 1, z - 1] = pixels
    for well in WELLS:
        path = root / well[0] / str(int(well[1:]))
        group(path, {"well": {"images": [{"path": str(site)} for site in range(1, SITES + 1)]}})
        for site in range(1, SITES + 1):
            corner = [X[site] - PIXEL * (SHAPE[1] - 1) / 2, Y - PIXEL * (SHAPE[0] - 1) / 2]
            steps = [
                {"type": "scale", "scale": [1, STEP, PIXEL, PIXEL]},
                {"type": "translation", "translation": [0, 0, corner[1], corner[0]]},
            ]
            axes = [{"name": "c", "type": "channel"}] + [
                {"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"
            ]
            scales = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}]
            labels = {"channels": [{"label": name, "color": "FFFFFF"} for name, _ in CHANNELS]}
            group(path / str(site), {"multiscales": scales, "omero": labels})
            zarr.create_array(
                path / str(site) / "0", data=arrays[well, site], chunks=(1, 1, 8, 8), zarr_format=3 if v3 else 2,
                shards=(1, 2, 16, 16) if v3 else None,
                chunk_key_encoding=None if v3 else {"name": "v2", "separator": "/"},
            )  # fmt: skip


def ome_xml(file_of):
    """Return the OME-XML of the plate; `file_of` tells file and page by (well, site, channel, z)."""
    images, wells, number = [], [], 0
    for well in WELLS:
        samples = []
        for site in range(1, SITES + 1):
            tiffs, at = [], []
            for c, z in product(range(len(CHANNELS)), range(DEPTH)):
                name, page = file_of(well, site, c + 1, z + 1)
                tiffs.append(
                    f'<TiffData FirstC="{c}" FirstZ="{z}" FirstT="0" IFD="{page}" PlaneCount="1">'
                    f'<UUID FileName="{escape(name)}">urn:uuid:{name}</UUID></TiffData>'
                )
                at.append(
                    f'<Plane TheC="{c}" TheZ="{z}" TheT="0" PositionX="{X[site] / 1000}" PositionXUnit="mm"'
                    f' PositionY="{Y}" PositionZ="{(z + 1) * STEP}"/>'
                )
            channels = "".join(
                f'<Channel ID="Channel:{number}:{n}" Name="{name}" EmissionWavelength="{wavelength}"'
                f' ExcitationWavelength="{EXCITATION[n]}"/>'
                for n, (name, wavelength) in enumerate(CHANNELS)
            )
            images.append(
                f'<Image ID="Image:{number}"><Pixels ID="Pixels:{number}" DimensionOrder="XYZCT" Type="uint16"'
                f' SizeX="{SHAPE[1]}" SizeY="{SHAPE[0]}" SizeC="{len(CHANNELS)}" SizeZ="{DEPTH}" SizeT="1"'
                f' PhysicalSizeX="{PIXEL}" PhysicalSizeY="{PIXEL}" PhysicalSizeZ="{STEP}">'
                f"{channels}{''.join(tiffs)}{''.join(at)}</Pixels></Image>"
            )
            samples.append(
                f'<WellSample ID="WellSample:{number}" Index="{number}"><ImageRef ID="Image:{number}"/></WellSample>'
            )
            number += 1
        row, column = row_and_column(well)
        wells.append(f'<Well ID="Well:{well}" Row="{row - 1}" Column="{column - 1}">{"".join(samples)}</Well>')
    schema = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    plate = f'<Plate ID="Plate:0">{"".join(wells)}</Plate>'
    return f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{schema}">{plate}{"".join(images)}</OME>'


def ome_tiff(folder, companion=False):
    """Write one stack for each site; the XML stands in the first, or in a companion."""
    folder.mkdir(parents=True, exist_ok=True)
    stacks = {}
    for well, site, channel, z, pixels in planes():
        stacks.setdefault((well, site), {})[channel, z] = pixels
    text = ome_xml(
        lambda well, site, channel, z: (f"{well} field {site}.ome.tif", list(stacks[well, site]).index((channel, z)))
    )
    for n, ((well, site), stack) in enumerate(stacks.items()):
        with tifffile.TiffWriter(folder / f"{well} field {site}.ome.tif", ome=False) as writer:
            for page, pixels in enumerate(stack.values()):
                said = text.encode() if not (companion or n or page) else None
                writer.write(pixels, description=said, metadata=None, contiguous=False)
    if companion:
        (folder / "p.companion.ome").write_text(text, encoding="utf-8")


def nd2(folder):
    """Write one file for each well, with its sites as named positions."""
    folder.mkdir(parents=True, exist_ok=True)
    wells = {}
    for well, site, channel, z, pixels in planes():
        wells.setdefault(well, {}).setdefault((site, z), {})[channel] = pixels
    for n, (well, frames) in enumerate(wells.items()):
        write_nd2(
            folder / f"p_Well{well}_Seq{n:04d}.nd2",
            {number: np.stack([*frame.values()]) for number, frame in enumerate(frames.values())},
            [(name, emission, nm) for (name, emission), nm in zip(CHANNELS, EXCITATION, strict=True)],
            points=[(f"{well}_{site:04d}", X[site], Y) for site in range(1, SITES + 1)],
            depth=DEPTH, step=STEP, start_um=STEP, pixel=PIXEL, stamps=[1000.0 * frame for frame in range(len(frames))],
        )  # fmt: skip


def czi_xml(scenes="", times=1):
    channels = "".join(
        f'<Channel Id="Channel:{n}" Name="{name}"><EmissionWavelength>{emission}</EmissionWavelength>'
        f"<ExcitationWavelength>{EXCITATION[n]}</ExcitationWavelength><Color>#FF00FF00</Color></Channel>"
        for n, (name, emission) in enumerate(CHANNELS)
    )
    scaling = "".join(
        f'<Distance Id="{axis}"><Value>{size / 1e6!r}</Value></Distance>'
        for axis, size in zip("XYZ", (PIXEL, PIXEL, STEP), strict=True)
    )
    return (
        f"<ImageDocument><Metadata><Information><Image><SizeT>{times}</SizeT><Dimensions><S><Scenes>{scenes}</Scenes>"
        f"</S><Channels>{channels}</Channels></Dimensions></Image></Information>"
        f"<Scaling><Items>{scaling}</Items></Scaling></Metadata></ImageDocument>"
    )


def czi(folder):
    """Write one file for each well, whose name tells the well, with a tile for each site."""
    folder.mkdir(parents=True, exist_ok=True)
    wells = {}
    for well, site, channel, z, pixels in planes():
        corner = [round(centre / PIXEL - size / 2) for centre, size in zip((X[site], Y), SHAPE[::-1], strict=True)]
        at = {"C": channel - 1, "Z": z - 1, "T": 0, "M": site - 1}
        wells.setdefault(well, []).append((at, corner, pixels))
    tags = "<METADATA><Tags><AcquisitionTime>{}</AcquisitionTime></Tags></METADATA>"
    for well, tiles in wells.items():
        write_czi(folder / f"p_{well}.czi", tiles, czi_xml(), lambda n: tags.format(time(n)))


LAYOUTS = {
    "imagexpress": imagexpress,
    "imagexpress-hcsai": imagexpress_hcsai,
    "harmony": harmony,
    "harmony V6": lambda folder: harmony(folder, 6),
    "harmony V7": lambda folder: harmony(folder, 7),
    "cellvoyager": cellvoyager,
    "ome-tiff": ome_tiff,
    "ome-tiff companion": lambda folder: ome_tiff(folder, companion=True),
    "ome-zarr": ome_zarr,
    "ome-zarr 0.4": lambda folder: ome_zarr(folder, "0.4"),
    "nd2": nd2,
    "czi": czi,
}
"""By name of the format, and its version."""
