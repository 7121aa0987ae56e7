"""The fourth primitive: blend pixels across silhouettes by coverage, which gives outlines a gradient."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from facewright.core.errors import InputError
from facewright.core.rows import add_rows, take_rows
from facewright.geometry.adjacency import EdgeTable, edge_table
from facewright.geometry.mesh import check_faces
from facewright.render.backends import BackendName, select_backend
from facewright.render.fragments import Fragments


def antialias(
    image: Float[Tensor, "B H W C"],
    fragments: Fragments,
    pixels: Float[Tensor, "B V 3"],
    faces: Int64[Tensor, "F 3"],
    *,
    edges: EdgeTable | None = None,
    backend: BackendName = "auto",
) -> Float[Tensor, "B H W C"]:
    """Smooth the silhouettes of a drawing.

    Where a silhouette edge passes between the centres of two neighbouring pixels, the one it cuts is blended
    with the other by the part of it that the edge uncovers. Gradients reach the image, and the (x, y) of the
    edge's two ends.

    **Source:** Laine et al. 2020 (nvdiffrast), section 3.4.
    **Differs:** walks the silhouette edges instead of the pixel pairs, so that triangles smaller than a pixel
    (every face mesh) count; each edge blends along one axis, so that the gradient of the mean of the image is
    the exact change of the covered area.

    Args:
        image: a drawing of the fragments.
        fragments: what ``rasterize`` found for ``pixels`` and ``faces``.
        pixels: projected vertices (x px, y px, depth mm).
        faces: vertex indices.
        edges: ``edge_table(faces)`` if at hand (it costs a sort of all edges); made here otherwise.
        backend: as in ``rasterize``.

    Raises:
        InputError: image, fragments, pixels, faces and edges do not belong together.
    """
    table = edge_table(faces) if edges is None else edges
    _check(image, fragments, pixels, faces, table)
    kernels = select_backend(backend, pixels.device)
    crossings = kernels.find_crossings(pixels.detach(), faces, table, fragments)
    if crossings.shape[0] == 0:
        return image
    batch, height, width, channels = image.shape
    which, edge, inside_x, inside_y, step_x, step_y = crossings.unbind(1)
    ends = table.vertices[edge] + (which * pixels.shape[1])[:, None]
    flat = pixels.flatten(0, 1)
    start, end = take_rows(flat, ends[:, 0]), take_rows(flat, ends[:, 1])
    along_x = step_x != 0
    inside = (which * height + inside_y) * width + inside_x
    outside = inside + step_y * width + step_x
    # Position of the edge on the line through the two pixel centres, from the inner one (0) to the outer (1).
    across = torch.where(along_x[:, None], start[:, :2], start[:, [1, 0]])
    beyond = torch.where(along_x[:, None], end[:, :2], end[:, [1, 0]])
    center = torch.stack([inside_x, inside_y], dim=1).to(flat.dtype) + 0.5
    center = torch.where(along_x[:, None], center, center[:, [1, 0]])
    portion = (center[:, 1] - across[:, 1]) / (beyond[:, 1] - across[:, 1])
    position = across[:, 0] + portion * (beyond[:, 0] - across[:, 0])
    reach = (position - center[:, 0]) * (step_x + step_y)
    grows = reach > 0.5
    target, source = torch.where(grows, outside, inside), torch.where(grows, inside, outside)
    colors = image.reshape(-1, channels)
    # Not abs(): a cut exactly between two pixels must keep its gradient.
    weight = torch.where(grows, reach - 0.5, 0.5 - reach)[:, None].to(image.dtype)
    change = weight * (take_rows(colors, source) - take_rows(colors, target))
    return image + _SumRows.apply(target, change, batch * height * width).reshape(image.shape)


def _check(image: Tensor, fragments: Fragments, pixels: Tensor, faces: Tensor, table: EdgeTable) -> None:
    """Nothing that the kernels look up by may point outside of what they look up in."""
    check_faces(faces, pixels.shape[1])
    fragments.check(faces.shape[0])
    shape = tuple(fragments.triangle.shape)
    if tuple(image.shape[:3]) != shape or pixels.shape[0] != shape[0]:
        raise InputError(
            f"image and pixels must be of the fragments' batch and size {shape} (B, H, W), got "
            f"{tuple(image.shape[:3])} and a batch of {pixels.shape[0]}."
        )
    if table.vertices.numel() == 0:
        return
    if int(table.vertices.max()) >= pixels.shape[1] or int(table.faces.max()) >= faces.shape[0]:
        raise InputError("the edges are of another mesh: expected edge_table(faces) of these faces.")


class _SumRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, index, rows, count):  # noqa: ANN001, ANN205
        ctx.save_for_backward(index)
        return add_rows(index, rows, count)

    @staticmethod
    def backward(ctx, grad):  # noqa: ANN001, ANN205
        (index,) = ctx.saved_tensors
        return None, grad.index_select(0, index), None
