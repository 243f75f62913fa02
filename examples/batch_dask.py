"""Batch prediction on Dask: `map_partitions` with a `BatchPredictor`, which each process loads once.

    python examples/batch_dask.py MODEL INPUT OUTPUT [SCHEDULER]

Input and output are Parquet, a file or a folder. Without the address of a scheduler (`dask scheduler`), Dask takes
processes of this machine; with one, all nodes must see the model's folder, and have seqkit. TensorFlow should have one
thread in each: `TF_NUM_INTRAOP_THREADS=1`.
"""

import sys

import dask
import dask.dataframe
import pyarrow

from seqkit.batch import BatchPredictor


def main(model, source, target, scheduler=None):
    """Write the rows of `source`, with their answers, to `target`."""
    if scheduler is None:
        dask.config.set(scheduler="processes")
    else:
        from dask.distributed import Client

        Client(scheduler)
    dask.config.set({"dataframe.convert-string": False})  # lists and structs stay what they are
    rows, predictor = dask.dataframe.read_parquet(source), BatchPredictor(model)
    schema = predictor(pyarrow.Table.from_pandas(rows.head(1), preserve_index=False)).schema
    answered = rows.map_partitions(predictor, meta=predictor(rows.head(0)))
    answered.to_parquet(target, schema=schema, write_index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
