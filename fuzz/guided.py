"""
The same invariants under a fuzzer that is guided by coverage, U{atheris<https://github.com/google/atheris>}
(C{pip install txcoap[fuzz]}; Linux and macOS)::

    python -m fuzz.guided server -max_total_time=600
    python -m fuzz.guided decoder|client|server|proxy|group|guarded [options of libFuzzer]

It begins with C{fuzz/corpus/TARGET}. What it finds new goes to a directory of its own, C{fuzz/.found/TARGET};
what breaks an invariant to a file C{crash-…} beside it. Once the defect is mended that file goes to the
corpus, which the test suite plays. Without atheris::

    python -m fuzz.guided server FILE...

plays the files given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["CORPUS", "TARGETS", "main", "play"]

TARGETS = ("decoder", "server", "client", "proxy", "group", "guarded")
CORPUS = Path(__file__).with_name("corpus")
FOUND = Path(__file__).with_name(".found")

#: The longest input; a dozen messages.
LONGEST = 1500


def _targetOf(name: str) -> Callable[[bytes], object]:
    """What tries an input: imported when it is needed, for the guide to see how it is."""
    from . import client, decoder, group, guarded, proxy, script, server

    if name == "decoder":
        return decoder.try_
    make: Callable[[int], Any] = {
        "client": client.Client,
        "group": group.GroupClient,
        "guarded": guarded.Guarded,
        "proxy": proxy.Proxy,
        "server": server.Server,
    }[name]

    def play(data: bytes) -> None:
        subject = make(1)
        try:
            script.play(subject, data)
        finally:
            subject.close()

    return play


def play(name: str, data: bytes) -> None:
    """
    Try one input.

    @param name: Of L{TARGETS}.
    @raise Unsound: if an invariant does not hold.
    """
    _targetOf(name)(data)


def _guide(name: str, options: list[str]) -> None:
    """Become the fuzzer."""
    import atheris

    found = FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    words = [
        sys.argv[0],
        str(found),
        str(CORPUS / name),
        f"-max_len={LONGEST}",
        f"-artifact_prefix={found.parent}/{name}-",
        *options,
    ]
    with atheris.instrument_imports(include=["txcoap"]):
        target = _targetOf(name)
    atheris.Setup(words, target)
    atheris.Fuzz()


def main(arguments: list[str] | None = None) -> int:
    """
    Run from the command line.

    @return: The exit code: 0 if all files given were sound.
    """
    words = sys.argv[1:] if arguments is None else arguments
    name, *rest = words or [""]
    if name not in TARGETS:
        print(f"usage: python -m fuzz.guided {'|'.join(TARGETS)} [FILE... | OPTION...]", file=sys.stderr)
        return 2
    files = [Path(word) for word in rest if not word.startswith("-")]
    for file in files:
        try:
            play(name, file.read_bytes())
        except Exception as e:
            print(f"{file}: {e!r}", file=sys.stderr)
            return 1
        print(f"{file}: sound")
    if not files:
        _guide(name, rest)
    return 0


if __name__ == "__main__":
    sys.exit(main())
