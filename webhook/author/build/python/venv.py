"""What kind of Python this is, in one line; fails with advice if no virtual environment can be made with it."""

import sys

if sys.version_info < (3, 10):
    sys.exit(f"this is Python {sys.version.split()[0]} ({sys.executable}), and 3.10 or later is needed")
try:
    import ensurepip  # noqa: F401
    import venv  # noqa: F401
except ImportError as error:
    sys.exit(f"{sys.executable} has no {error.name}, which makes virtual environments: on Debian and Ubuntu, apt install python3-venv")
print(sys.executable, sys.version.replace("\n", " "))
