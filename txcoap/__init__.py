"""
CoAP for Twisted: the Constrained Application Protocol (RFC 7252), server and client.
"""

__version__ = "0.1.0.dev0"
