"""Looking into fitted models."""

from __future__ import annotations

from seqkit.inspection.alignment import draw_alignment, format_alignment
from seqkit.inspection.explain import leave_one_out

__all__ = ["draw_alignment", "format_alignment", "leave_one_out"]
