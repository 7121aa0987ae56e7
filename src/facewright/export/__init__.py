"""Heads as files: OBJ, PLY, GLB."""

from facewright.export.asset import AssetGlasses, AssetHair, AssetLamp, HeadAsset, asset_of_fit, head_asset
from facewright.export.gltf import glb_of, write_glb
from facewright.export.maps import (
    encode_image,
    normal_texture,
    texture_from_linear,
    write_png,
    write_unit_png,
)
from facewright.export.obj import write_obj
from facewright.export.parameters import SavedParameters, read_parameters, write_parameters
from facewright.export.ply import write_ply

__all__ = [
    "AssetGlasses",
    "AssetHair",
    "AssetLamp",
    "HeadAsset",
    "SavedParameters",
    "asset_of_fit",
    "encode_image",
    "glb_of",
    "head_asset",
    "normal_texture",
    "read_parameters",
    "texture_from_linear",
    "write_glb",
    "write_obj",
    "write_parameters",
    "write_ply",
    "write_png",
    "write_unit_png",
]
