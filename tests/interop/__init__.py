"""
Tests against other implementations of CoAP, as clients and as servers, over loopback.

L{tests.interop.peers} finds and starts them; the scripts that run within them are in C{peers/}.
"""
