"""Functions of libraries whose own take no images as they are, under their names and with their defaults.

A module here is imported with its library, when one of its functions is first called. `__all__` names what it offers.
"""
