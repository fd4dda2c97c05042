"""
The content formats of CoAP: one line per entry of the IANA registry (RFC 7252 5.10.3, 12.3,
RFC 9876).

A content format is a number that stands for a media type with its parameters and, for a few, a
content coding. Written out, the coding follows an C{@}, as RFC 9193 3 has it:
C{application/json@deflate}.

Temporary entries of the registry are left out: they lapse, change their names and may be given to
others.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import NamedTuple

from .registration import Registration

__all__ = [
    "CBOR",
    "FORMATS",
    "JSON",
    "LINK_FORMAT",
    "OCTET_STREAM",
    "SENML_JSON",
    "TEXT",
    "Format",
    "contentFormat",
    "formatName",
    "registerFormat",
]

TEXT = 0
LINK_FORMAT = 40
OCTET_STREAM = 42
JSON = 50
CBOR = 60
SENML_JSON = 110

MAXIMUM = 0xFFFF


class Format(NamedTuple):
    """
    One content format.

    @ivar number: 0 to 65535, as Content-Format and Accept carry it.
    @ivar mediaType: The media type with its parameters.
    @ivar coding: The content coding, such as C{"deflate"}; C{""} for none.
    """

    number: int
    mediaType: str
    coding: str = ""

    @property
    def name(self) -> str:
        """Media type and coding in one: C{"application/json@deflate"}."""
        return f"{self.mediaType}@{self.coding}" if self.coding else self.mediaType


FORMATS: dict[int, Format] = {}
"""Every content format that is known, by number; L{registerFormat} adds to it."""

_REGISTRY = (
    Format(0, "text/plain; charset=utf-8"),
    Format(16, 'application/cose; cose-type="cose-encrypt0"'),
    Format(17, 'application/cose; cose-type="cose-mac0"'),
    Format(18, 'application/cose; cose-type="cose-sign1"'),
    Format(19, "application/ace+cbor"),
    Format(21, "image/gif"),
    Format(22, "image/jpeg"),
    Format(23, "image/png"),
    Format(40, "application/link-format"),
    Format(41, "application/xml"),
    Format(42, "application/octet-stream"),
    Format(47, "application/exi"),
    Format(50, "application/json"),
    Format(51, "application/json-patch+json"),
    Format(52, "application/merge-patch+json"),
    Format(60, "application/cbor"),
    Format(61, "application/cwt"),
    Format(62, "application/multipart-core"),
    Format(63, "application/cbor-seq"),
    Format(64, "application/edhoc+cbor-seq"),
    Format(65, "application/cid-edhoc+cbor-seq"),
    Format(96, 'application/cose; cose-type="cose-encrypt"'),
    Format(97, 'application/cose; cose-type="cose-mac"'),
    Format(98, 'application/cose; cose-type="cose-sign"'),
    Format(101, "application/cose-key"),
    Format(102, "application/cose-key-set"),
    Format(110, "application/senml+json"),
    Format(111, "application/sensml+json"),
    Format(112, "application/senml+cbor"),
    Format(113, "application/sensml+cbor"),
    Format(114, "application/senml-exi"),
    Format(115, "application/sensml-exi"),
    Format(140, "application/yang-data+cbor; id=sid"),
    Format(256, "application/coap-group+json"),
    Format(257, "application/concise-problem-details+cbor"),
    Format(258, "application/swid+cbor"),
    Format(259, "application/pkixcmp"),
    Format(260, "application/yang-sid+json"),
    Format(261, "application/ace-groupcomm+cbor"),
    Format(262, "application/ace-trl+cbor"),
    Format(263, "application/eat+cwt"),
    Format(264, "application/eat+jwt"),
    Format(265, "application/eat-bun+cbor"),
    Format(266, "application/eat-bun+json"),
    Format(267, "application/eat-ucs+cbor"),
    Format(268, "application/eat-ucs+json"),
    Format(269, "application/coap-eap"),
    Format(270, "application/suit-report+cose"),
    Format(271, "application/dots+cbor"),
    Format(272, "application/missing-blocks+cbor-seq"),
    Format(273, "application/cmw+cbor"),
    Format(274, "application/cmw+json"),
    Format(275, "application/cmw+cose"),
    Format(276, "application/cmw+jws"),
    Format(277, "application/scitt-statement+cose"),
    Format(278, "application/scitt-receipt+cose"),
    Format(279, "application/statuslist+cwt"),
    Format(280, "application/pkcs7-mime; smime-type=server-generated-key"),
    Format(281, "application/pkcs7-mime; smime-type=certs-only"),
    Format(284, "application/pkcs8"),
    Format(285, "application/csrattrs"),
    Format(286, "application/pkcs10"),
    Format(287, "application/pkix-cert"),
    Format(290, "application/aif+cbor"),
    Format(291, "application/aif+json"),
    Format(292, "application/aif+cbor; toid=CRI-local-part"),
    Format(295, "application/measured-component+cbor"),
    Format(296, "application/measured-component+json"),
    Format(297, "application/aif+cbor; toid=oscore-gname; tperm=oscore-gperm"),
    Format(298, "application/aif+json; toid=oscore-gname; tperm=oscore-gperm"),
    Format(310, "application/senml+xml"),
    Format(311, "application/sensml+xml"),
    Format(320, "application/senml-etch+json"),
    Format(322, "application/senml-etch+cbor"),
    Format(340, "application/yang-data+cbor"),
    Format(341, "application/yang-data+cbor; id=name"),
    Format(432, "application/td+json"),
    Format(433, "application/tm+json"),
    Format(434, "application/sdf+json"),
    Format(553, "application/dns-message"),
    Format(601, "application/uccs+cbor"),
    Format(10000, "application/vnd.ocf+cbor"),
    Format(10001, "application/oscore"),
    Format(10002, "application/javascript"),
    Format(10003, 'application/eat+cwt; eat_profile="tag:psacertified.org,2023:psa#tfm"'),
    Format(10004, 'application/eat+cwt; eat_profile="tag:psacertified.org,2019:psa#legacy"'),
    Format(10005, "application/eat+cwt; eat_profile=2.16.840.1.113741.1.16.1"),
    Format(10006, "application/vnd.oms.cellular-cose-content+cbor"),
    Format(10007, "application/syslog-msg"),
    Format(10570, "application/toc+cbor"),
    Format(10571, "application/ce+cbor"),
    Format(10572, "application/toc+cbor; profile=2.16.840.1.113741.1.16.1"),
    Format(10573, "application/ce+cbor; profile=2.16.840.1.113741.1.16.1"),
    Format(11050, "application/json", "deflate"),
    Format(11060, "application/cbor", "deflate"),
    Format(11542, "application/vnd.oma.lwm2m+tlv"),
    Format(11543, "application/vnd.oma.lwm2m+json"),
    Format(11544, "application/vnd.oma.lwm2m+cbor"),
    Format(12000, "text/plain; charset=utf-8", "zstd"),
    Format(12041, "application/xml", "zstd"),
    Format(12050, "application/json", "zstd"),
    Format(20000, "text/css"),
    Format(20001, "application/vnd.as207960.vas.config+jer"),
    Format(20002, "application/vnd.as207960.vas.config+uper"),
    Format(20003, "application/vnd.as207960.vas.tap+jer"),
    Format(20004, "application/vnd.as207960.vas.tap+uper"),
    Format(30000, "image/svg+xml"),
)

# CoAP has no number for text in another charset, so the bare media type can mean nothing else.
_SHORT = {"text": TEXT, "text/plain": TEXT, "text/plain@zstd": 12000}

# Content in these charsets is also UTF-8; any other would be mislabelled by a number without one.
_CHARSETS_OF_UTF8 = {"utf-8", "utf8", "us-ascii", "ascii"}

_numbers: dict[str, int] = dict(_SHORT)


def contentFormat(value: int | str) -> int:
    """
    The number of a content format.

    @param value: A number from 0 to 65535, known or not; a media type in any case and spacing
        (C{"application/json"}), with C{@deflate} or the like for a content coding; a number as text
        (C{"60"}); or the part of an C{application/} type after the slash (C{"cbor"}), or C{"text"}.
        Parameters that the registry does not name are passed over, as in
        C{"application/json; charset=utf-8"}.
    @raise ValueError: if it is none of these; the text names what is similar.
    """
    if isinstance(value, int):
        return _checked(value)
    if not isinstance(value, str):
        raise ValueError(f"a content format is a number or a media type, not {value!r}")
    number = _numbers.get(value)
    return _search(value) if number is None else number


def formatName(number: int) -> str:
    """
    The media type of a content format, with its parameters and, after an C{@}, its content coding;
    the number as text where it is not known.
    """
    known = FORMATS.get(number)
    return known.name if known else str(number)


def registerFormat(number: int, mediaType: str, coding: str = "") -> Registration:
    """
    Make a content format known by name in this process.

    @param number: Its number; 65000 to 65535 are for experiments (RFC 7252 12.3).
    @param mediaType: Its media type, with parameters.
    @param coding: Its content coding, if it has one.
    @return: What takes it back. What was known before stays known.
    @raise ValueError: if number or name already stand for something else, or are none.
    """
    keys = _register(Format(_checked(number), mediaType, coding))

    def undo() -> None:
        if keys:
            del FORMATS[number]
        for key in keys:
            del _numbers[key]

    return Registration(undo)


def _register(new: Format) -> set[str]:
    """Enter a content format; the names by which it is now found, none if it was known before."""
    key = _key(new.name)
    if "/" not in key:
        raise ValueError(f"{new.mediaType!r} is no media type; give one such as 'application/json'")
    other = FORMATS.get(new.number)
    if other is not None and _key(other.name) != key:
        raise ValueError(f"content format {new.number} is {other.name} already, so not {new.name}")
    taken = _numbers.get(key, new.number)
    if taken != new.number:
        raise ValueError(f"{new.name} is content format {taken} already, so not {new.number}")
    if other is not None:
        return set()
    FORMATS[new.number] = new
    keys = {new.name, key}
    _numbers.update(dict.fromkeys(keys, new.number))
    return keys


def _checked(number: int) -> int:
    if not 0 <= number <= MAXIMUM:
        raise ValueError(f"a content format is a number from 0 to {MAXIMUM}, not {number}")
    return number


def _key(name: str) -> str:
    """A name without what does not tell formats apart: case, quotes and spaces around C{;=@}."""
    return re.sub(r"\s*([;=@])\s*", r"\1", name.strip()).replace('"', "").lower()


def _search(value: str) -> int:
    key = _key(value)
    if key.isascii() and key.isdigit() and len(key) <= len(str(MAXIMUM)):
        return _checked(int(key))
    if key and "/" not in key:
        key = f"application/{key}" if key not in _SHORT else key
    number = _numbers.get(key)
    if number is None:
        number = _numbers.get(_withoutParameters(key))
    if number is None:
        near = get_close_matches(key, _numbers, n=3)
        hint = f"; near are {', '.join(near)}" if near else ""
        raise ValueError(f"no content format is called {value!r}{hint}; a number will do as well")
    return number


def _withoutParameters(key: str) -> str:
    """The key less its parameters; C{""} if that would say something untrue of the content."""
    whole, at, coding = key.partition("@")
    mediaType, *parameters = whole.split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "charset" and value not in _CHARSETS_OF_UTF8:
            return ""
    return mediaType + at + coding


for _format in _REGISTRY:
    _register(_format)
