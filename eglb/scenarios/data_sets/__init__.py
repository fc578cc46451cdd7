"""What lies in the data directory: which sets, whose they are, that they are whole, and how they are fetched.

`sets` describes each set; `manifest` holds size and hash of every file and of every public source file,
which is pinned at a commit; `inspection` compares a folder with it; `fetching` downloads the sources and
builds the files from them, each set by the module that knows its sources. No data are kept here, and no
scenario is read.
"""

__all__ = [
    "builders",
    "download",
    "fetching",
    "inspection",
    "manifest",
    "sets",
    "text_tables",
]
