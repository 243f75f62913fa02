"""Looking into fitted models."""

from __future__ import annotations

from seqkit.inspection.explain import leave_one_out

__all__ = ["leave_one_out"]
