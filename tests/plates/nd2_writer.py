"""ND2 files (version 3.0) for tests, chunk by chunk as NIS-Elements lays them out."""

import struct

import numpy as np

MAGIC = 0x0ABECEDA
IMAGE_NAME = 4072
"""Bytes of the name of an image's chunk: with the head before and the time stamp behind it, pixels begin at 4096."""


class Bytes(bytes):
    """A value that is written as an array of bytes."""


def record(name, value):
    """Return one record of the binary metadata ("CLX lite"): type, name, value."""
    named = (name + "\0").encode("utf-16-le")
    head = bytes([len(named) // 2]) + named
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else (("", item) for item in value)
        inner = b"".join(record(*item) for item in items)
        length = 1 + len(head) + 12 + len(inner)
        return bytes([11]) + head + struct.pack("<IQ", len(value), length) + inner + bytes(8 * len(value))
    if isinstance(value, Bytes):
        return bytes([9]) + head + struct.pack("<Q", len(value)) + value
    if isinstance(value, bool):
        return bytes([1]) + head + struct.pack("<B", value)
    if isinstance(value, int):
        return bytes([3]) + head + struct.pack("<I", value)
    if isinstance(value, float):
        return bytes([6]) + head + struct.pack("<d", value)
    return bytes([8]) + head + (value + "\0").encode("utf-16-le")


def spectrum(wavelength):
    return {"uiCount": 1, "pPoint": {"Point0": {"eType": 4, "dWavelength": wavelength, "dTValue": 1.0}}}


def loops(points, times, depth, step, start_um):
    """Return the experiment: time points, positions, z-planes, one within the other."""
    levels = []
    if times:
        pars = {"uiCount": times, "dStart": 0.0, "dPeriod": 1000.0, "dDuration": 1000.0 * times}
        levels.append({"eType": 1, "uLoopPars": pars})
    if points is not None:
        places = [{"dPosX": x, "dPosY": y, "dPosZ": start_um, "dPosName": name} for name, x, y in points]
        levels.append(
            {"eType": 2, "uLoopPars": {"bUseZ": True, "Points": places}, "pItemValid": Bytes([1] * len(points))}
        )
    if depth:
        pars = {"uiCount": depth, "dZLow": 0.0, "dZHigh": step * (depth - 1), "dZStep": step, "dZHome": 0.0, "iType": 2}
        levels.append({"eType": 4, "uLoopPars": pars})
    experiment = {}
    for level in reversed(levels):
        experiment = {**level, "ppNextLevelEx": [experiment]} if experiment else level
    return experiment


def write_nd2(
    path, frames, channels, *, points=None, times=0, depth=0, step=1.0, start_um=0.0, pixel=0.5, stamps=(),
    components=None, turned=False,
):  # fmt: skip
    """Write frames by number, each (channel, y, x), in the order time, position, z; a number may be absent.

    `channels` are (name, emission, excitation); `points` are (name, x, y); `stamps` the milliseconds of each frame;
    `turned` writes a camera whose axes run against those of the stage.
    """
    chunks = {}
    data = bytearray()

    def chunk(name, content, name_length=None):
        name_length = name_length or -(-len(name) // 16) * 16 + 16
        chunks[name] = (len(data), len(content))
        data.extend(struct.pack("<IIQ", MAGIC, name_length, len(content)) + name.ljust(name_length, b"\0") + content)

    chunk(b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0".ljust(64, b"\0"), 32)
    del chunks[b"ND2 FILE SIGNATURE CHUNK NAME01!"]
    first = next(iter(frames.values()))
    count, rows, columns = first.shape
    for number, pixels in frames.items():
        stored = np.ascontiguousarray(np.moveaxis(pixels, 0, -1))
        chunk(f"ImageDataSeq|{number}!".encode(), struct.pack("<d", 0) + stored.tobytes(), IMAGE_NAME)
    attributes = {
        "uiWidth": columns, "uiWidthBytes": columns * count * first.itemsize, "uiHeight": rows, "uiComp": count,
        "uiBpcInMemory": 8 * first.itemsize, "uiBpcSignificant": 8 * first.itemsize, "uiSequenceCount": len(frames),
        "eCompression": 2,
    }  # fmt: skip
    chunk(b"ImageAttributesLV!", record("SLxImageAttributes", attributes))
    planes = {
        f"a{n}": {
            "uiSampleIndex": n, "sDescription": name, "uiColor": 0x0000FF00, "uiCompCount": components or 1,
            "pFluorescentProbe": {
                "m_EmissionSpectrum": spectrum(emission), "m_ExcitationSpectrum": spectrum(excitation),
            },
        }
        for n, (name, emission, excitation) in enumerate(channels)
    }  # fmt: skip
    picture = {
        "bCalibrated": True, "dCalibration": pixel, "dXPos": 0.0, "dYPos": 0.0, "dZPos": start_um,
        "dTimeAbsolute": 2461042.5, "sPicturePlanes": {"uiCount": len(channels), "sPlaneNew": planes},
    }  # fmt: skip
    if turned:
        settings = {"m_iXYUse0": 1, "m_iXOrientation0": 1, "m_iYOrientation0": 1}
        picture["sPicturePlanes"]["sSampleSetting"] = {
            f"a{n}": {"pDeviceSetting": settings} for n in range(len(channels))
        }
        picture |= {"dStgLgCT11": -1.0, "dStgLgCT12": 0.0, "dStgLgCT21": 0.0, "dStgLgCT22": -1.0}
    chunk(b"ImageMetadataSeqLV|0!", record("SLxPictureMetadata", picture))
    if experiment := loops(points, times, depth, step, start_um):
        chunk(b"ImageMetadataLV!", record("SLxExperiment", experiment))
    chunk(b"CustomData|AcqTimesCache!", np.asarray(stamps, np.float64).tobytes())
    place = len(data)
    entries = b"".join(name + struct.pack("<QQ", *where) for name, where in chunks.items())
    end = b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", place)
    chunk(b"ND2 FILEMAP SIGNATURE NAME 0001!", entries + end, 32)
    path.write_bytes(data)
