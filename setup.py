"""What pyproject.toml can't say yet but as an experiment: the compiled parts, each an option.

Without a C compiler, or Python's headers, the install goes on without them: see
mapreduce/formats/scanner and mapreduce/tables/grouping.
"""

from setuptools import Extension, setup

PARTS = {  # folder -> module, and what is included there
    "mapreduce/formats/scanner": ("_scan", ("grammar", "columns", "scan", "lines")),
    "mapreduce/tables/grouping": ("_group", ("groups", "sums", "order", "scale")),
}

setup(
    ext_modules=[
        Extension(
            f"{folder.replace('/', '.')}.{module}",
            [f"{folder}/module.c"],
            depends=[f"{folder}/{name}.h" for name in included],
            extra_compile_args=["-O3"],
            optional=True,
        )
        for folder, (module, included) in PARTS.items()
    ]
)
