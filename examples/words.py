"""Word count over text, and over JSON Lines: `mapreduce run examples/words.py:Words texts/ …`.

Both jobs share their `map`; only where the text stands differs. A word of more than 24 bytes is
counted in the receipt as a refused key, never cut. Words are parted by ASCII white space, and only
ASCII letters are made small: text of other alphabets may want `str.lower` and `str.split`.
"""

from __future__ import annotations

from typing import ClassVar

import mapreduce as mr


class Words(mr.Job):
    """How often each word occurs in plain text."""

    records: ClassVar[mr.Format] = mr.Lines("text")
    words = mr.Table(key=mr.Key("word", width=24), count=mr.Sum)

    def map(self, r: mr.Records) -> mr.Rows:
        """`r.text`: an object array of bytes, one a line."""
        return self.words.fold(b" ".join(r.text.tolist()).lower().split(), count=1)


class JsonWords(Words):
    """How often each word occurs in the `text` of JSON Lines."""

    records: ClassVar[mr.Format] = mr.JsonLines(text=mr.Text("text"))
