"""A mesh as binary PLY with colours at the vertices."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from torch import Tensor

from facewright.core.errors import InputError
from facewright.core.files import atomic_file
from facewright.geometry.mesh import Mesh, check_faces


def write_ply(path: Path, mesh: Mesh, colours: UInt8[Tensor, "V 3"] | None = None) -> None:
    """Write a mesh as little-endian PLY; units and frame are the mesh's, vertices keep their order.

    Args:
        path: the .ply file.
        mesh: positions and topology (PLY has no place for texture coordinates that split at seams).
        colours: sRGB at the vertices.

    Raises:
        InputError: indices point outside or positions are not finite.
        OutputError: the file cannot be written.
    """
    with atomic_file(path) as partial:
        partial.write_bytes(ply_bytes(mesh, colours))


def ply_bytes(mesh: Mesh, colours: UInt8[Tensor, "V 3"] | None = None) -> bytes:
    """Return the bytes of a PLY file.

    Raises:
        InputError: indices point outside or positions are not finite.
    """
    check_faces(mesh.topology.faces, mesh.vertices.shape[0])
    positions = mesh.vertices.float().cpu().numpy()
    if not np.isfinite(positions).all():
        raise InputError("the mesh holds positions that are not finite: nothing was written.")
    fields: list[tuple] = [("position", "<f4", (3,))]
    properties = "".join(f"property float {axis}\n" for axis in "xyz")
    if colours is not None:
        fields.append(("colour", "u1", (3,)))
        properties += "".join(f"property uchar {name}\n" for name in ("red", "green", "blue"))
    vertices = np.zeros(len(positions), dtype=fields)
    vertices["position"] = positions
    if colours is not None:
        vertices["colour"] = colours.cpu().numpy()
    faces = np.zeros(len(mesh.topology.faces), dtype=[("count", "u1"), ("corners", "<i4", (3,))])
    faces["count"] = 3
    faces["corners"] = mesh.topology.faces.cpu().numpy()
    header = (
        "ply\nformat binary_little_endian 1.0\ncomment facewright\n"
        f"element vertex {len(vertices)}\n{properties}"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    )
    return header.encode() + vertices.tobytes() + faces.tobytes()
