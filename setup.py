"""What pyproject.toml can't say yet but as an experiment: the one compiled part, an option.

Without a C compiler, or Python's headers, the install goes on without it: see
mapreduce/formats/scanner.
"""

from setuptools import Extension, setup

FOLDER = "mapreduce/formats/scanner"

setup(
    ext_modules=[
        Extension(
            "mapreduce.formats.scanner._scan",
            [f"{FOLDER}/module.c"],
            depends=[f"{FOLDER}/{name}.h" for name in ("grammar", "columns", "scan")],
            extra_compile_args=["-O3"],
            optional=True,
        )
    ]
)
