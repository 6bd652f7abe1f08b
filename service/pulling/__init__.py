"""Brings what a stage holds to a folder of this machine. Standard library only, Python 3.9 or newer; imports nothing
of the rest of the service, so that it also runs as one file (`pull.pyz`)."""
