"""What a user may choose about a reconstruction."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReconstructionSettings:
    """Choices that change the result of a reconstruction.

    Attributes:
        photometric: find albedo and light from the pixels after the landmark fit.
        point_light: explain photos by one hard light as well where that is more probable; takes shading with
            hard edges and highlights out of the albedo.
        refine_shape: let shading move identity, expression and pose where light and albedo explain a photo.
        uncover: leave aside what lies before the face (hair, glasses, a hat, a hand) when light and skin are
            read; it is otherwise taken for skin.
        hair: give the head its hair as a shell; it is otherwise painted on the scalp alone.
        relief: guess folds, wrinkles and pores from how dark skin is; they are a map of normals, the mesh is
            left as it is.
        glasses: give the head its spectacles as an object; they are otherwise painted on the skin.
        texture_size: side of the square albedo map in pixels.
        model: a face model file in the base head's topology; the shipped head if None.
        method: how heads are found: a name of ``pipeline.methods.METHODS``.
        weights: file of the method's weights; the shipped ones if None.
    """

    photometric: bool = True
    point_light: bool = True
    refine_shape: bool = True
    uncover: bool = True
    hair: bool = True
    relief: bool = True
    glasses: bool = True
    texture_size: int = 1024
    model: str | None = None
    method: str = "fit"
    weights: str | None = None


@dataclass(frozen=True)
class BatchSettings:
    """Choices about a run over many photos.

    Attributes:
        all_faces: reconstruct every face of a photo, not only the main one.
        together: all photos show one person, who gets one identity and one albedo.
        force: redo what is already done.
    """

    all_faces: bool = False
    together: bool = False
    force: bool = False
