"""Head models in words."""

from pathlib import Path

from facewright.core.assets import read_manifest
from facewright.models.base import load_base_model
from facewright.models.face_model import FaceModel
from facewright.models.storage import load_face_model, read_origin


def describe_base_model() -> str:
    """Sizes, names and licence of the shipped head model, as lines of text.

    Raises:
        AssetError: the model file is missing or damaged.
    """
    model = load_base_model()
    licences = [
        f"{name}: {entry['bytes'] / 1e6:.1f} MB, {entry['licence']}"
        for name, entry in read_manifest().items()
    ]
    return "\n".join([*describe(model), "files", *(f"  {line}" for line in sorted(licences))])


def describe_model_file(path: Path) -> str:
    """Sizes, names, licence and origin of a model file, as lines of text.

    Raises:
        AssetError: the file is missing, damaged, or no face model.
    """
    model, origin = load_face_model(path), read_origin(path)
    told = [f"licence       {origin.licence}", f"source        {origin.source} ({origin.made_by})"]
    return "\n".join([*describe(model), *told, *(f"note          {note}" for note in origin.notes)])


def describe(model: FaceModel) -> list[str]:
    """Sizes and names of a face model, one fact a line."""
    low, high = model.mean.min(0).values, model.mean.max(0).values
    extent = " x ".join(f"{float(side):.0f}" for side in high - low)
    names = ", ".join(model.expression_names)
    return [
        f"{model.name} {model.version}",
        f"vertices      {model.mean.shape[0]}",
        f"triangles     {model.topology.faces.shape[0]}",
        f"extent        {extent} mm (left-right, up, front-back)",
        f"identity      {model.identity_count} coefficients",
        f"expression    {model.expression_count}: {names}",
        f"albedo        {model.diffuse_count} diffuse, {model.specular_count} specular coefficients",
        f"landmark sets {', '.join(f'{n} ({len(s.triangle)})' for n, s in sorted(model.landmarks.items()))}",
        f"regions       {', '.join(sorted(model.regions))}",
        f"parts         {', '.join(sorted(model.parts))}",
    ]
