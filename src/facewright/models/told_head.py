"""Which head the weights of a network belong to, as the header of their file tells it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from facewright.core.errors import AssetError, InputError
from facewright.models.face_model import FaceModel

HEAD = "head"  # in the header of a weight file


def told_head(model: FaceModel) -> dict[str, str]:
    """Header by which a weight file says of which head it is."""
    told = {"name": model.name, "version": model.version, "faces": _faces(model)}
    return {HEAD: json.dumps(told)}


def check_head(path: Path, header: Mapping[str, str], model: FaceModel, task: str | None = None) -> None:
    """Refuse weights whose coefficients mean something else.

    Args:
        path: of the weights, for the message.
        header: of their file.
        model: the head that they are asked for.
        task: whose runs tell name and version of the head among their settings; None: the file itself must
            tell it by ``told_head``.

    Raises:
        AssetError: the file does not say of which head it is.
        InputError: it is of another head than the model, or of another version of it.
    """
    try:
        if HEAD in header or task is None:
            told = json.loads(header[HEAD])
            name, version, faces = (str(told[key]) for key in ("name", "version", "faces"))
        else:
            told = json.loads(header.get("training", header["settings"]))
            name, version = map(str, told[f"{task}.model"])
            faces = None
    except (LookupError, ValueError, TypeError, RecursionError) as error:
        raise AssetError(f"{path} does not say of which head it is ({error}): ship it again.") from error
    if (model.name, model.version) != (name, version):
        raise InputError(
            f"{path} was trained for the head {name!r} (version {version}), got "
            f"{model.name!r}, version {model.version}: use that head."
        )
    if faces is not None and _faces(model) != faces:
        raise InputError(f"{model.name!r} is in another topology than the head of {path}: use that head.")


def is_of(path: Path, header: Mapping[str, str], model: FaceModel) -> bool:
    """Whether weights are of a model; see ``check_head``.

    Raises:
        AssetError: the file does not say of which head it is.
    """
    try:
        check_head(path, header, model)
    except InputError:
        return False
    return True


def _faces(model: FaceModel) -> str:
    return hashlib.sha256(model.topology.faces.cpu().contiguous().numpy().tobytes()).hexdigest()
