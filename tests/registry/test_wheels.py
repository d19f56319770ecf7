"""What is read from a wheel: as much as importing it would tell, and nothing of it runs."""

import inspect
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from hcs_lib.core.errors import UserError
from hcs_lib.registry.base import LibraryRegistryBase
from hcs_lib.registry.discover import candidates, first_line, first_parameter, parameters_of
from hcs_lib.registry.libraries import get_library
from hcs_lib.registry.wheels import Signature, Wheel

METADATA = "Metadata-Version: 2.1\nName: lib-cu12\nVersion: 3.1.4\n\nAbout.\n"
SOURCES = {
    "lib/__init__.py": "raise SystemExit('imported')\n",
    "lib/plain/__init__.py": (
        "from ._home import blur, _hidden  # noqa\n"
        "from lib.plain._home import blur as smooth, Kernel\n"
        "from ._more import *\n"
        "from .gone import nowhere\n"
        "VALUE = 3\n"
        "def local(image, /, *, size): pass\n"
    ),
    "lib/plain/_home.py": (
        "import math\n"
        "class Kernel: pass\n"
        "def _hidden(image): pass\n"
        "if True:\n"
        "    def blur(image, sigma: float = 1, mode='reflect', *, axes=(0, -1), origin=math.pi, dtype=None, **other):\n"
        "        '''Blur an image,\n        softly.\n\n        More.'''\n"
        "else:\n"
        "    def unused(image): pass\n"
    ),
    "lib/plain/_more.py": (
        "__all__ = ['far', 'also']\ndef far(labels, index): pass\nalso = far\ndef other(image): pass\n"
    ),
    "lib/lazy/__init__.py": "raise SystemExit('imported')\n",
    "lib/lazy/__init__.pyi": (
        "__all__ = ['edge', 'blur', 'rank']\nfrom . import rank\nfrom .edges import edge\nfrom ..plain import blur\n"
    ),
    "lib/lazy/edges.py": "raise SystemExit('imported')\ndef edge(image, *more, hidden=1, low=-2.5): pass\n",
}


class LibRegistry(LibraryRegistryBase):
    library_name = "lib"
    MODULES_TO_SCAN = ("lib.plain", "lib.lazy", "lib.absent")
    MEMORY_TYPE = "cupy"
    FLOAT_DTYPE = "float32"
    HIDDEN_PARAMETERS = frozenset({"hidden"})

    def get_library_version(self) -> str:
        return "3.1.4"


def make_wheel(path: Path, sources: dict[str, str], metadata: str = METADATA) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in sources.items():
            archive.writestr(name, text)
        archive.writestr("lib_cu12-3.1.4.dist-info/METADATA", metadata)
    return path


@pytest.fixture
def found(tmp_path):
    return {
        signature.id: signature
        for signature in Wheel(make_wheel(tmp_path / "a.whl", SOURCES)).signatures(LibRegistry())
    }


def test_name_and_version(tmp_path):
    wheel = Wheel(make_wheel(tmp_path / "a.whl", SOURCES))
    assert (wheel.name, wheel.version) == ("lib-cu12", "3.1.4")


def test_public_functions_each_under_its_shortest_path(found):
    assert {name: signature.target for name, signature in found.items()} == {
        "lib.lazy.blur": "lib.lazy:blur", "lib.lazy.edge": "lib.lazy:edge", "lib.plain.far": "lib.plain:far",
        "lib.plain.local": "lib.plain:local",
    }  # fmt: skip


def test_parameters(found):
    said = [(p.name, p.kind, p.required, p.default, p.annotation) for p in found["lib.lazy.blur"].parameters]
    assert said == [
        ("sigma", "keyword", False, 1, "float"), ("mode", "keyword", False, "reflect", ""),
        ("axes", "keyword", False, [0, -1], ""), ("origin", "keyword", False, None, ""),
        ("dtype", "keyword", False, None, ""), ("other", "any", False, None, ""),
    ]  # fmt: skip
    assert [(p.name, p.default) for p in found["lib.lazy.edge"].parameters] == [("low", -2.5)]
    assert [(p.name, p.required) for p in found["lib.plain.local"].parameters] == [("size", True)]


def test_image_and_docstring(found):
    assert {name: signature.image for name, signature in found.items()} == {
        "lib.lazy.blur": "image", "lib.lazy.edge": "image", "lib.plain.far": "labels", "lib.plain.local": "image",
    }  # fmt: skip
    assert found["lib.lazy.blur"].doc == "Blur an image, softly."


def test_imports_in_a_circle_end(tmp_path):
    sources = {"lib/plain/__init__.py": "from ..lazy import a\n", "lib/lazy/__init__.py": "from ..plain import a\n"}
    assert Wheel(make_wheel(tmp_path / "a.whl", sources)).signatures(LibRegistry()) == []


@pytest.mark.parametrize("content", [b"", b"no archive", None])
def test_what_is_no_wheel(tmp_path, content):
    path = tmp_path / "a.whl"
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("lib/__init__.py", "")
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.whl: this is no wheel"):
        Wheel(path)


def test_a_source_that_cannot_be_read(tmp_path):
    path = make_wheel(tmp_path / "a.whl", SOURCES | {"lib/plain/_home.py": "def blur(image:\n"})
    with pytest.raises(UserError, match=r"a\.whl: lib/plain/_home\.py cannot be read"):
        Wheel(path).signatures(LibRegistry())


def test_as_much_is_read_as_an_import_tells(tmp_path):
    """scikit-image, packed as a wheel: what is read is what the imported functions say of themselves."""
    import skimage

    registry = get_library("skimage")
    root = Path(inspect.getfile(skimage)).parent
    files = [path for path in root.rglob("*.py*") if path.suffix in (".py", ".pyi")]
    sources = {f"skimage/{path.relative_to(root).as_posix()}": path.read_text() for path in files}
    read = Wheel(make_wheel(tmp_path / "a.whl", sources)).signatures(registry)
    functions = {module: registry.public_functions(module) for module in registry.MODULES_TO_SCAN}
    imported = []
    for function_id, target in candidates(registry):
        module, _, name = target.partition(":")
        function = functions[module][name]
        told = first_parameter(function), parameters_of(function), first_line(function)
        imported.append(Signature(function_id, target, *told))
    assert len(read) > 300
    assert [_bare(signature) for signature in read] == [_bare(signature) for signature in imported]


def _bare(signature):
    """Leave out annotations, which differ in their quotes."""
    parameters = tuple(replace(parameter, annotation="", shown="") for parameter in signature.parameters)
    return signature._replace(parameters=parameters)
