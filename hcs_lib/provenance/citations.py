"""What is to be cited: for software, and for the methods that our own functions use."""

from __future__ import annotations

from typing import NamedTuple

REFERENCES = {
    "berg": "Berg S et al. ilastik: interactive machine learning for (bio)image analysis. Nature Methods 16, 1226–1232 "
    "(2019). doi:10.1038/s41592-019-0582-9",
    "bray": "Bray MA, Fraser AN, Hasaka TP, Carpenter AE. Workflow and metrics for image quality control in "
    "large-scale high-content screens. Journal of Biomolecular Screening 17, 266–274 (2012). "
    "doi:10.1177/1087057111420292",
    "cellprofiler": "Stirling DR, Swain-Bowden MJ, Lucas AM, Carpenter AE, Cimini BA, Goodman A. CellProfiler 4: "
    "improvements in speed, utility and usability. BMC Bioinformatics 22, 433 (2021). doi:10.1186/s12859-021-04344-9",
    "field": "Field DJ. Relations between the statistics of natural images and the response properties of cortical "
    "cells. Journal of the Optical Society of America A 4, 2379–2394 (1987). doi:10.1364/JOSAA.4.002379",
    "gonzalez": "Gonzalez RC, Woods RE. Digital Image Processing, 4th ed., section 9.6. Pearson (2018). "
    "ISBN 978-0-13-335672-4",
    "immerkaer": "Immerkær J. Fast noise variance estimation. Computer Vision and Image Understanding 64, 300–302 "
    "(1996). doi:10.1006/cviu.1996.0060",
    "jones": "Jones TR, Carpenter A, Golland P. Voronoi-based segmentation of cells on image manifolds. Computer "
    "Vision for Biomedical Image Applications, LNCS 3765, 535–543 (2005). doi:10.1007/11569541_54",
    "li": "Li CH, Lee CK. Minimum cross entropy thresholding. Pattern Recognition 26, 617–625 (1993). "
    "doi:10.1016/0031-3203(93)90115-D",
    "malpica": "Malpica N, Ortiz de Solórzano C, Vaquero JJ, Santos A, Vallcorba I, García-Sagredo JM, del Pozo F. "
    "Applying watershed algorithms to the segmentation of clustered nuclei. Cytometry 28, 289–297 (1997). "
    "doi:10.1002/(SICI)1097-0320(19970801)28:4<289::AID-CYTO3>3.0.CO;2-7",
    "numpy": "Harris CR et al. Array programming with NumPy. Nature 585, 357–362 (2020). doi:10.1038/s41586-020-2649-2",
    "ome-zarr": "Moore J et al. OME-Zarr: a cloud-optimized bioimaging file format with international community "
    "support. Histochemistry and Cell Biology 160, 223–251 (2023). doi:10.1007/s00418-023-02209-1",
    "ome-ngff": "Moore J et al. OME-NGFF: a next-generation file format for expanding bioimaging data-access "
    "strategies. Nature Methods 18, 1496–1498 (2021). doi:10.1038/s41592-021-01326-w",
    "otsu": "Otsu N. A threshold selection method from gray-level histograms. IEEE Transactions on Systems, Man, and "
    "Cybernetics 9, 62–66 (1979). doi:10.1109/TSMC.1979.4310076",
    "pech": "Pech-Pacheco JL, Cristóbal G, Chamorro-Martínez J, Fernández-Valdivia J. Diatom autofocusing in "
    "brightfield microscopy: a comparative study. Proceedings of the 15th International Conference on Pattern "
    "Recognition 3, 314–317 (2000). doi:10.1109/ICPR.2000.903548",
    "preibisch": "Preibisch S, Saalfeld S, Tomancak P. Globally optimal stitching of tiled 3D microscopic image "
    "acquisitions. Bioinformatics 25, 1463–1465 (2009). doi:10.1093/bioinformatics/btp184",
    "scikit-image": "van der Walt S, Schönberger JL, Nunez-Iglesias J, Boulogne F, Warner JD, Yager N, Gouillart E, "
    "Yu T, the scikit-image contributors. scikit-image: image processing in Python. PeerJ 2, e453 (2014). "
    "doi:10.7717/peerj.453",
    "scipy": "Virtanen P et al. SciPy 1.0: fundamental algorithms for scientific computing in Python. Nature Methods "
    "17, 261–272 (2020). doi:10.1038/s41592-019-0686-2",
    "singh": "Singh S, Bray MA, Jones TR, Carpenter AE. Pipeline for illumination correction of images for "
    "high-throughput microscopy. Journal of Microscopy 256, 231–236 (2014). doi:10.1111/jmi.12178",
    "snakemake": "Mölder F et al. Sustainable data analysis with Snakemake. F1000Research 10, 33 (2021). "
    "doi:10.12688/f1000research.29032.2",
}
"""Key → reference, with its DOI."""


class Software(NamedTuple):
    """How software is written, the key of what is cited for it, and its home."""

    name: str
    key: str | None
    url: str


SOFTWARE = {
    "imagecodecs": Software("imagecodecs", None, "https://github.com/cgohlke/imagecodecs"),
    "numcodecs": Software("numcodecs", None, "https://numcodecs.readthedocs.io"),
    "numpy": Software("NumPy", "numpy", "https://numpy.org"),
    "pyarrow": Software("Apache Arrow (pyarrow)", None, "https://arrow.apache.org"),
    "python": Software("Python", None, "https://www.python.org"),
    "scikit-image": Software("scikit-image", "scikit-image", "https://scikit-image.org"),
    "scipy": Software("SciPy", "scipy", "https://scipy.org"),
    "tifffile": Software("tifffile", None, "https://github.com/cgohlke/tifffile"),
    "zarr": Software("zarr-python", None, "https://zarr.dev"),
}
"""Distributions that are written otherwise than they are called, or have something to cite."""


def software(distribution: str) -> Software:
    """Return what is known of a distribution; its own name, where that is nothing."""
    return SOFTWARE.get(distribution, Software(distribution, None, f"#{distribution}"))


LIBRARIES = {"skimage": "scikit-image", "scipy.ndimage": "scipy", "scipy.signal": "scipy"}
"""Library of the registry → its distribution, where the names differ."""


class Bibliography:
    """References in the order in which they are first cited."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def cite(self, *keys: str) -> str:
        """Return the mark of references by their keys in `REFERENCES`, ` [1, 2]`; nothing for no key."""
        return self.cite_texts(*(REFERENCES[key] for key in keys))

    def cite_texts(self, *texts: str) -> str:
        """Return the mark of references that are given in full."""
        for text in texts:
            if text not in self._texts:
                self._texts.append(text)
        return f" [{', '.join(str(self._texts.index(text) + 1) for text in texts)}]" if texts else ""

    def lines(self) -> list[str]:
        """Return the list of references, in Markdown."""
        return [f"{number}. {text}" for number, text in enumerate(self._texts, 1)]
