"""Batch prediction on Spark: `mapInPandas` with a `BatchPredictor`, which each Python worker loads once.

    python examples/batch_spark.py MODEL INPUT OUTPUT

Input and output are Parquet, a file or a folder; all nodes must see the model's folder, and have seqkit. On a cluster,
`spark-submit` runs the same file, and PYSPARK_PYTHON names the nodes' Python. Let Spark have one task a core, and
TensorFlow one thread: `--conf spark.executorEnv.TF_NUM_INTRAOP_THREADS=1`.
"""

import os
import sys

from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from seqkit.batch import BatchPredictor


def main(model, source, target):
    """Write the rows of `source`, with their answers, to `target`."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    spark = SparkSession.builder.appName("seqkit").getOrCreate()
    rows, predictor = spark.read.parquet(source), BatchPredictor(model)
    schema = from_arrow_schema(predictor(rows.limit(0).toArrow()).schema)  # what no rows are answered with
    answered = rows.mapInPandas(lambda frames: map(predictor, frames), schema)
    answered.write.parquet(target)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
