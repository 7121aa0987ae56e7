"""What Blender sees: blender -b --python-exit-code 3 -P open_in_blender.py -- FILE.glb OUT.json."""

import json
import sys
from pathlib import Path

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np

if not hasattr(np, "bool"):
    np.bool = bool  # Blender 3.4's importer still asks for the alias that numpy 1.24 dropped
source, out = sys.argv[-2:]
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_scene.gltf(filepath=source)
meshes = {}
for thing in bpy.data.objects:
    if thing.type != "MESH":
        continue
    keys = thing.data.shape_keys.key_blocks[1:] if thing.data.shape_keys else []
    meshes[thing.name] = {
        "triangles": len(thing.data.polygons),
        "targets": {key.name: key.value for key in keys},
        "materials": [material.name for material in thing.data.materials],
        "dimensions": list(thing.dimensions),
    }
Path(out).write_text(json.dumps({"meshes": meshes, "images": [image.size[0] for image in bpy.data.images]}))
