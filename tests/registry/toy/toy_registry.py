"""A library of a third party, whole."""

from hcs_lib.registry.base import LibraryRegistryBase


class ToyRegistry(LibraryRegistryBase):
    library_name = "toy"
    MODULES_TO_SCAN = ("toy_functions",)
    MEMORY_TYPE = "numpy"
    FLOAT_DTYPE = "float32"
    IMAGE_PARAMETERS = frozenset({"image", "labels"})
    UNCOUPLE = ({"axes": [-2, -1]},)

    def identify(self, module, name):
        return f"toy.{name}"

    def get_library_version(self):
        return "1.0"
