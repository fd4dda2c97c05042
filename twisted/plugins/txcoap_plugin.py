"""
The C{twistd coap} plugin.

Every start of C{twistd} and C{trial} imports this module, so it names L{txcoap.tap} and imports
nothing of txcoap. Neither C{twisted/} nor C{twisted/plugins/} may ever hold an C{__init__.py}:
it would take the place of Twisted's own. The variable must keep its name, which installed plugin
caches remember.
"""

from twisted.application.service import ServiceMaker

txcoap = ServiceMaker("txcoap", "txcoap.tap", "A CoAP server.", "coap")
