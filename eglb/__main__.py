"""``python -m eglb`` is the ``eglb`` command."""

from eglb.cli import main

if __name__ == "__main__":
    main()
