"""edgekd makes a trained vision model small and fast enough for a device, and proves it.

Each verb is imported from its room, as in `from edgekd.compress import compress`; this module holds the version only,
so that `import edgekd` costs nothing.
"""

__version__ = "0.1.0"
