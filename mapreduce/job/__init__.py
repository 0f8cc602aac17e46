"""What a user writes, and how it travels: the job, its name, its source files, its side files.

A process that is told a job's name finds it here (`loader`), and refuses one whose files differ
from those of the run (`code_files`, `code_guard`).
"""
