"""One run, from listing to receipt: what is done, what is on disk, what can be gone on with.

`driver` is the run. It lists (`lister`), keeps what is done (`journal`), adds up (`aggregator`)
and accounts for it (`receipt`, `report`). It calls an engine by its name and knows none.
"""
