"""The table of objects in a plate's store, for ngio, AnnData and SpatialData: the same file as the table for people."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from hcs_lib.core.files import update_atomic
from hcs_lib.storage import metadata
from hcs_lib.storage.spec import OmeZarr

GROUP = "tables"
"""The group of the tables of a plate, beside its rows."""

REGION = "Metadata_Region"
"""The column with the label image on which an object lies, by its path in the store: `B/02/1/labels/nuclei`."""

_NUMBERS = ("_Number_Object_Number", "label")
"""Ends the name of the column with the number of an object in its label image."""


@dataclass(frozen=True)
class PlateTable:
    """A table of the whole plate: a generic table of ngio, in Parquet.

    Source: https://biovisioncenter.github.io/ngio/stable/table_specs/overview/. The columns that tie a row to an object
    go by the names that they have for AnnData and SpatialData.

    Attributes
    ----------
    name
        Of the table.
    columns
        Of the table. Where `REGION` and the number of an object are among them, the metadata say so.
    version
        Of OME-Zarr.
    """

    name: str
    columns: tuple[str, ...]
    version: OmeZarr = "0.5"

    @property
    def path(self) -> str:
        """The Parquet file in the store."""
        return f"{GROUP}/{self.name}/table.parquet"

    def files(self) -> dict[str, bytes]:
        """Return the metadata: the content of each file, by its path in the store."""
        attributes = {"type": "generic_table", "table_version": "1", "backend": "parquet"}
        number = next((name for name in self.columns if name.endswith(_NUMBERS)), None)
        if number is not None and REGION in self.columns:
            attributes |= {"instance_key": number, "region_key": REGION}
        groups = {
            GROUP: metadata.group_files(self.version, attributes={"tables": [self.name]}),
            f"{GROUP}/{self.name}": metadata.group_files(self.version, attributes=attributes),
        }
        return {f"{group}/{file}": content for group, files in groups.items() for file, content in files.items()}

    def link(self, store: Path, source: Path) -> None:
        """Put a Parquet file into the store of its plate without a copy: it is one file under two names.

        It is copied where the file system has no such (hard) links. What else the tables of the store held is removed.
        """
        files = self.files()
        wanted = {*files, self.path}
        for old in sorted((store / GROUP).rglob("*"), reverse=True):
            if old.is_dir():
                if not any(old.iterdir()):
                    old.rmdir()
            elif old.relative_to(store).as_posix() not in wanted:
                old.unlink()
        file = store / self.path
        if not (file.is_file() and file.samefile(source)):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink(missing_ok=True)
            try:
                os.link(source, file)
            except OSError:
                shutil.copyfile(source, file)
        for path, content in files.items():
            update_atomic(store / path, content)

    def holds(self, store: Path, source: Path) -> bool:
        """Tell whether the table in a store is that of a file: the same one, or a copy."""
        file = store / self.path
        return file.is_file() and (file.samefile(source) or file.read_bytes() == source.read_bytes())


def remove_tables(store: Path) -> None:
    """Remove the tables of a plate's store."""
    shutil.rmtree(store / GROUP, ignore_errors=True)
