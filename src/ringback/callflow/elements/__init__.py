"""One file per XML element; `registry.py` lists them, `base.py` says how one is written."""
