"""
Tests against other implementations of CoAP, as clients and as servers, over loopback; and a
browser that looks at an example's page.

L{tests.interop.peers} finds and starts them; the scripts that run within them are in C{scripts/}.
"""
