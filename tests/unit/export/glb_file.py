"""A GLB file read back by hand."""

import json
import struct

import numpy as np

DTYPES = {5126: "<f4", 5123: "<u2", 5125: "<u4"}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


class Glb:
    """A reader of its own, from the specification, that shares no line with the writer."""

    def __init__(self, content):
        magic, version, length = struct.unpack_from("<4sII", content)
        assert (magic, version, length) == (b"glTF", 2, len(content))
        size, kind = struct.unpack_from("<I4s", content, 12)
        assert kind == b"JSON"
        self.document = json.loads(content[20 : 20 + size])
        self.binary = content[28 + size :]

    def view(self, index):
        view = self.document["bufferViews"][index]
        return self.binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]

    def accessor(self, index):
        described = self.document["accessors"][index]
        width, count = WIDTHS[described["type"]], described["count"]
        if "bufferView" in described:
            values = np.frombuffer(
                self.view(described["bufferView"]), DTYPES[described["componentType"]]
            ).copy()
        else:
            values = np.zeros(width * count, "<f4")
        values = values.reshape(count, width)
        if "sparse" in described:
            sparse = described["sparse"]
            rows = np.frombuffer(
                self.view(sparse["indices"]["bufferView"]), DTYPES[sparse["indices"]["componentType"]]
            )
            values[rows] = np.frombuffer(self.view(sparse["values"]["bufferView"]), "<f4").reshape(-1, width)
        if "min" in described:
            np.testing.assert_array_equal(values.min(0), np.float32(described["min"]))
            np.testing.assert_array_equal(values.max(0), np.float32(described["max"]))
        return values

    def node(self, name):
        return next(node for node in self.document["nodes"] if node["name"] == name)

    def played(self, name, attribute="POSITION", weights=None):
        """Corners (F, 3, 3) of a node's triangles with its morph weights applied, in world space."""
        node = self.node(name)
        mesh = self.document["meshes"][node["mesh"]]
        weights = mesh.get("weights", []) if weights is None else weights
        corners = []
        for primitive in mesh["primitives"]:
            values = self.accessor(primitive["attributes"][attribute])
            for weight, target in zip(weights, primitive["targets"], strict=True):
                values = values + weight * self.accessor(target[attribute])
            corners.append(values[self.accessor(primitive["indices"]).reshape(-1, 3)])
        place = np.array(node.get("translation", [0, 0, 0])) if attribute == "POSITION" else 0
        return np.concatenate(corners) + place
