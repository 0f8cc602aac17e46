"""Where attempts run: in processes here, on Dask, on Spark; `registry` knows each by its name.

A new engine is a file here, written against `mapreduce.engine`, and a line in `registry`. The one
over SSH is a house of its own: `mapreduce.cluster`.
"""
