"""facewright: photographs of a face into a 3D head that can be measured, relit, edited and animated."""

__version__ = "0.1.0"
