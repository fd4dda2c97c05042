"""
How datagrams leave and enter the process: each transport is a port that implements
L{txcoap.interfaces.ITransport} and delivers to a L{txcoap.interfaces.IDatagramReceiver}.
"""
