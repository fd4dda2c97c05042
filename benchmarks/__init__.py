"""
How fast txcoap is, and how to know: see README.rst beside this file.
"""
