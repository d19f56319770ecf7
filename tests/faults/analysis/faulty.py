"""A function that returns what it is given, and does on the way what the environment variable FAULT says."""

import ctypes
import os
import time
from pathlib import Path

import numpy as np

from hcs_lib.core.declare import image_function


@image_function(accepts=(2,), returns="image")
def steady(image):
    """Return the image."""
    match os.environ.get("FAULT"):
        case "memory":
            np.empty(8 << 30, np.uint8)
        case "hang":
            time.sleep(3600)
        case "hang in C":
            ctypes.PyDLL(None).pause()  # which keeps the interpreter for itself
        case "wait":
            while not Path("go").exists():
                time.sleep(0.05)
    return image
