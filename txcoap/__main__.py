"""
C{python -m txcoap}: the command C{txcoap}; see L{txcoap.cli}.
"""

from .cli import main

if __name__ == "__main__":  # pragma: no branch - to be imported is not what it is for
    main()
