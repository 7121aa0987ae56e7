"""Methods of reconstruction: each a package of its own, blind to the others."""
