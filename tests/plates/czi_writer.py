"""CZI files for tests, segment by segment as the description of the format (ZISRAW) has them."""

import struct
from uuid import UUID

PIXEL_TYPES = {"uint8": 0, "uint16": 1, "float32": 2}


def entry(pixels, place, at, corner, position=0):
    """Return a directory entry: one tile, where it stands and which bytes it is."""
    rows, columns = pixels.shape[:2]
    kind = 3 if pixels.ndim == 3 else PIXEL_TYPES[pixels.dtype.name]
    sizes = {"X": (corner[0], columns), "Y": (corner[1], rows)} | {axis: (start, 1) for axis, start in at.items()}
    head = struct.pack("<2siqiiBB4si", b"DV", kind, position, 0, 0, 0, 0, b"", len(sizes))
    return head + b"".join(
        struct.pack("<4siifi", axis.encode(), start, size, 0.0, size) for axis, (start, size) in sizes.items()
    )


def write_czi(path, tiles, xml, tags=None):
    """Write tiles: (where, corner, pixels), with where as `{"S": 0, "C": 1, "Z": 0, "T": 0, "M": 0}`.

    `corner` is (x, y) of the first pixel; `tags` gives the metadata of a tile by its number.
    """
    data = bytearray()

    def segment(name, content):
        start = len(data)
        size = -(-len(content) // 32) * 32
        data.extend(struct.pack("<16sqq", name.encode(), size, len(content)) + content.ljust(size, b"\0"))
        return start

    segment("ZISRAWFILE", bytes(512))
    entries = []
    for number, (at, corner, pixels) in enumerate(tiles):
        said = (tags(number) if tags else "<METADATA/>").encode()
        own = entry(pixels, number, at, corner, len(data))
        head = struct.pack("<iiq", len(said), 0, pixels.nbytes) + own
        start = segment("ZISRAWSUBBLOCK", head.ljust(max(256, len(head)), b"\0") + said + pixels.tobytes())
        entries.append(entry(pixels, number, at, corner, start))
    directory = segment("ZISRAWDIRECTORY", struct.pack("<i124s", len(entries), b"") + b"".join(entries))
    text = xml.encode()
    text += b" " * (-(256 + len(text)) % 32)  # the last byte of the file is one of the XML
    metadata = segment("ZISRAWMETADATA", struct.pack("<ii248s", len(text), 0, b"") + text)
    header = struct.pack(
        "<iiii16s16siqqiq", 1, 0, 0, 0, UUID(int=1).bytes, UUID(int=1).bytes, 0, directory, metadata, 0, 0
    )
    data[32 : 32 + len(header)] = header
    path.write_bytes(data)
