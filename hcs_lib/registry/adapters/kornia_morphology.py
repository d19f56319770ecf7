"""Morphology of grey values by kornia."""

from __future__ import annotations

import kornia.morphology

from hcs_lib.registry.adapters.kornia_layout import adapt

_FUNCTIONS = ("bottom_hat", "closing", "dilation", "erosion", "gradient", "opening", "top_hat")
__all__ = [*_FUNCTIONS]

_INFINITE = 1e30
"""Stands for infinity where a kernel is zero and beyond the border. kornia's 10,000 lies within 16 bits."""

for _name in _FUNCTIONS:
    globals()[_name] = adapt(getattr(kornia.morphology, _name), lambda kernel: kernel, max_val=_INFINITE)
