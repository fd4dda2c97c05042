"""
Programs that look for datagrams that the library cannot take. Each states its invariant first.
"""
