"""OME-Zarr and tables: the only code that writes results."""
