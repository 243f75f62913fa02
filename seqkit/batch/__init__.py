"""Prediction over files of any size, in shards: nothing lost, doubled or cut."""

from seqkit.batch.job import Report, predict_files
from seqkit.batch.predictor import BatchPredictor

__all__ = ["BatchPredictor", "Report", "predict_files"]
