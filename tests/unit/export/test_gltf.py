"""GLB files read back by hand: what a player would do with the weights must give the photo's head."""

import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tests.unit.export.glb_file import Glb

from facewright.core.errors import InputError
from facewright.export import AssetHair, AssetLamp, asset_of_fit, glb_of, head_asset, normal_texture
from facewright.geometry.mesh import Topology
from facewright.scene.camera import PerspectiveCamera
from facewright.scene.lighting import PointLight, SphericalHarmonicsLight
from facewright.scene.parameters import HeadParameters
from facewright.scene.pose import Pose


def part_corners(asset, names, vertices):
    faces = asset.topology.faces
    chosen = [faces[asset.parts[name][faces].all(1)] for name in names]
    return vertices[torch.cat(chosen)].numpy()


@pytest.mark.parametrize(
    ("node", "parts"),
    [("head", ["skin", "tongue"]), ("left_eye", ["left_eye"]), ("right_eye", ["right_eye"])],
)
def test_weights_reproduce_the_posed_head_in_metres(asset, glb, node, parts):
    expected = part_corners(asset, parts, asset.posed.vertices) / 1000
    assert np.abs(glb.played(node) - expected).max() < 2e-6  # 2 micrometres
    still = (
        part_corners(asset, parts, asset.neutral) / 1000
    )  # the control: without weights it is another head
    if node != "right_eye":
        assert np.abs(still - expected).max() > 1e-3


def test_rest_position_is_the_neutral_head(asset, glb):
    rest = glb.played("head", weights=[0] * 52)
    assert np.abs(rest - part_corners(asset, ["skin", "tongue"], asset.neutral) / 1000).max() < 1e-6


def test_head_has_every_expression_by_name_in_order(glb, miniature):
    mesh = glb.document["meshes"][glb.node("head")["mesh"]]
    assert mesh["extras"]["targetNames"] == list(miniature.expression_names)
    assert len(mesh["weights"]) == 52
    assert all(len(primitive["targets"]) == 52 for primitive in mesh["primitives"])


@pytest.fixture
def hairy(asset):
    """The head with a shell over some triangles of its skin, 5 mm above them."""
    skin = asset.parts["skin"][asset.topology.faces].all(1)
    rows = torch.nonzero(skin)[:, 0][:40]
    shell = Topology(asset.topology.faces[rows], asset.topology.uv, asset.topology.uv_faces[rows])
    generator = torch.Generator().manual_seed(0)
    texture = torch.randint(0, 256, (16, 16, 4), generator=generator, dtype=torch.uint8)
    offset = torch.tensor([0.0, 5.0, 0.0]).expand(len(asset.neutral), 3).contiguous()
    # Each vertex of the shell lies over the mean of two of the head's.
    own = torch.arange(len(asset.neutral))
    skin = torch.stack([own, own.roll(1)], 1)
    return replace(asset, hair=AssetHair(skin, offset, shell, texture))


def test_hair_is_a_node_that_follows_the_skin_below_it(hairy, glb):
    assert "hair" not in [node["name"] for node in glb.document["nodes"]]
    written = Glb(glb_of(hairy))
    expected = (hairy.posed.vertices[hairy.hair.skin].mean(1) + hairy.hair.offset)[
        hairy.hair.topology.faces
    ] / 1000
    targets = written.document["meshes"][written.node("hair")["mesh"]]["extras"]["targetNames"]
    assert 0 < len(targets) < 52  # what moves none of it is left out
    assert np.abs(written.played("hair") - expected.numpy()).max() < 1e-4  # targets of 0.05 mm are left out
    kind = written.document["meshes"][written.node("hair")["mesh"]]["primitives"][0]["material"]
    material = written.document["materials"][kind]
    assert (material["alphaMode"], material["doubleSided"]) == ("MASK", True)
    used = written.document["textures"][material["pbrMetallicRoughness"]["baseColorTexture"]["index"]]
    image = written.document["images"][used["source"]]
    read = np.asarray(Image.open(io.BytesIO(written.view(image["bufferView"]))))
    np.testing.assert_array_equal(read, hairy.hair.texture.numpy())


def test_hair_of_another_head_is_refused(hairy):
    foreign = replace(hairy.hair, skin=hairy.hair.skin + 1)
    with pytest.raises(InputError, match="indices must lie"):
        glb_of(replace(hairy, hair=foreign))
    broken = hairy.hair.offset.clone()
    broken[0, 0] = float("nan")
    with pytest.raises(InputError, match="not finite"):
        glb_of(replace(hairy, hair=replace(hairy.hair, offset=broken)))


def test_eyes_carry_only_what_moves_them(glb):
    left = glb.document["meshes"][glb.node("left_eye")["mesh"]]
    assert left["extras"]["targetNames"] == [
        "eyeLookDownLeft",
        "eyeLookInLeft",
        "eyeLookOutLeft",
        "eyeLookUpLeft",
    ]
    assert left["weights"] == pytest.approx([0, 0, 0, 0.6])


def test_eye_nodes_turn_about_the_middle_of_the_eyeball(glb):
    for name in ("left_eye", "right_eye"):
        mesh = glb.document["meshes"][glb.node(name)["mesh"]]
        local = glb.accessor(mesh["primitives"][0]["attributes"]["POSITION"])
        radii = np.linalg.norm(local, axis=1)
        assert radii.max() / radii.min() < 1.15  # a ball about the origin; an origin 1 mm away fails


def test_morphed_normals_are_those_of_the_morphed_head(asset, glb, miniature):
    """The stored change at weight 1 against normals computed from scratch on the moved mesh."""
    index = miniature.expression_names.index("jawOpen")
    weights = [float(i == index) for i in range(52)]
    stored = glb.played("head", "NORMAL", weights)
    moved = (asset.neutral + asset.deltas[index]).numpy()
    faces = asset.topology.faces.numpy()
    sums = np.zeros_like(moved)
    for corner in range(3):
        a, b, c = (moved[faces[:, k]] for k in range(3))
        np.add.at(sums, faces[:, corner], np.cross(b - a, c - a))
    expected = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)
    corners = part_corners(asset, ["skin", "tongue"], torch.from_numpy(expected))
    assert np.abs(stored - corners).max() < 5e-3
    assert np.abs(glb.played("head", "NORMAL", [0] * 52) - corners).max() > 0.05


def test_normals_point_outwards(glb, asset):
    corners, normals = glb.played("head", weights=[0] * 52), glb.played("head", "NORMAL", [0] * 52)
    skin = int(asset.parts["skin"][asset.topology.faces].all(1).sum())
    outward = (corners[:skin] * normals[:skin]).sum(-1)  # the skin is round about the origin
    assert (outward > 0).mean() > 0.99


def test_texture_row_0_is_v_1(glb, asset):
    primitive = glb.document["meshes"][0]["primitives"][0]
    v = glb.accessor(primitive["attributes"]["TEXCOORD_0"])[:, 1]
    y = glb.accessor(primitive["attributes"]["POSITION"])[:, 1]
    assert y[v < 0.05].min() > y[v > 0.5].max()  # the skin chart's top row is the crown of the head
    image = Image.open(io.BytesIO(glb.view(glb.document["images"][0]["bufferView"])))
    np.testing.assert_array_equal(np.asarray(image), asset.texture.numpy())


def test_seams_split_texture_coordinates_not_positions(glb, asset):
    primitive = glb.document["meshes"][0]["primitives"][0]
    positions = glb.accessor(primitive["attributes"]["POSITION"])
    assert len(positions) > int(asset.parts["skin"].sum())
    assert len(np.unique(positions, axis=0)) <= int(asset.parts["skin"].sum())


def test_sparse_targets_are_smaller(asset):
    accessors = Glb(glb_of(asset)).document["accessors"]
    assert sum("sparse" in accessor for accessor in accessors) > 50


@pytest.mark.parametrize("field", ["neutral", "deltas", "weights"])
def test_values_that_are_not_finite_are_refused(asset, field):

    broken = getattr(asset, field).clone()
    broken.view(-1)[0] = float("nan")
    with pytest.raises(InputError, match=field):
        glb_of(replace(asset, **{field: broken}))


def test_names_and_shapes_must_agree(asset):

    with pytest.raises(InputError, match="one name"):
        glb_of(replace(asset, expression_names=asset.expression_names[:-1]))


def test_gloss_that_was_fitted_shines(asset, miniature, texture):
    def skin(head):
        document = Glb(glb_of(head)).document
        (material,) = (each for each in document["materials"] if each["name"] == "skin")
        return material, document

    neutral = torch.zeros(3), torch.zeros(52), texture
    dull, shiny = (head_asset(miniature, *neutral, specular=torch.tensor([value])) for value in (-3.0, 1.0))
    factors = []
    for head in (dull, shiny):
        material, document = skin(head)
        assert document["extensionsUsed"] == ["KHR_materials_specular"]
        specular = material["extensions"]["KHR_materials_specular"]
        factors.append(specular["specularFactor"])
        assert (
            document["images"][document["textures"][specular["specularTexture"]["index"]]["source"]]["name"]
            == "specular"
        )
    # The miniature's intensity is 0.3, and 0.05 a standard deviation.
    np.testing.assert_allclose(factors, [0.7 * 0.15 / 0.3, 0.7 * 0.35 / 0.3], atol=2e-4)
    material, document = skin(asset)  # no photo told
    assert "extensions" not in material
    assert "extensionsUsed" not in document


def test_narrow_highlights_are_smooth_skin(asset):
    found = []
    for shininess in (None, 10.0, 60.0):
        materials = Glb(glb_of(replace(asset, shininess=shininess))).document["materials"]
        found.append({each["name"]: each["pbrMetallicRoughness"]["roughnessFactor"] for each in materials})
    assert found[0]["skin"] == 0.5
    assert found[1]["skin"] ** 4 == pytest.approx(2 / 12, rel=1e-3)
    assert found[2]["skin"] < found[0]["skin"] < found[1]["skin"]
    assert found[1]["eye"] == found[2]["eye"] == found[0]["eye"]


def test_without_a_lamp_no_photo_told_how_wide_highlights_are(miniature):
    def nothing(count):
        return torch.zeros(1, count)

    fit = HeadParameters(
        identity=nothing(miniature.identity_count),
        expression=nothing(miniature.expression_count),
        diffuse=nothing(miniature.diffuse_count),
        specular=nothing(miniature.specular_count),
        pose=Pose(torch.eye(3)[None], nothing(3)),
        camera=PerspectiveCamera(torch.ones(1), nothing(2), (4, 4)),
        light=SphericalHarmonicsLight(torch.zeros(1, 9, 3)),
        point_light=PointLight(nothing(3), torch.ones(1, 3)),
        shininess=torch.tensor([40.0]),
    )
    albedo = torch.full((8, 8, 3), 0.5)
    assert asset_of_fit(miniature, fit, albedo).shininess == 40.0
    dark = asset_of_fit(miniature, replace(fit, point_light=None), albedo)
    assert (dark.shininess, dark.gloss) == (None, None)


def test_gloss_varies_over_the_skin(miniature, texture):
    """Factor times alpha of the map is 0.7 of the intensity over the mean of the skin."""

    from facewright.uv.chart import UvChart

    height = miniature.mean[:, 1]
    basis = (0.1 * height / height.abs().max())[None]
    model = replace(miniature, specular_basis=basis)
    head = head_asset(model, torch.zeros(3), torch.zeros(52), texture, specular=torch.tensor([1.0]))
    glb = Glb(glb_of(head))
    (skin,) = (each for each in glb.document["materials"] if each["name"] == "skin")
    factor = skin["extensions"]["KHR_materials_specular"]["specularFactor"]
    data = glb.view(glb.document["images"][1]["bufferView"])
    alpha = np.asarray(Image.open(io.BytesIO(data)))[..., 3] / 255
    chart = UvChart.of(model.topology, len(alpha))
    shown = chart.where(model.parts["skin"][chart.corners].all(1))
    expected = shown.gather(0.7 * model.specular_albedo(torch.ones(1, 1))[0, :, None] / 0.3)[:, 0]
    found = factor * alpha.ravel()[shown.texel]
    assert np.abs(found - expected.clamp(max=1).numpy()).max() < 0.01
    assert found.max() - found.min() > 0.3  # the control: it is no constant


def test_a_head_around_given_vertices(miniature, texture):
    identity, expression = (
        torch.zeros(miniature.identity_count),
        torch.full((miniature.expression_count,), 0.3),
    )
    head = head_asset(miniature, identity, expression, texture)
    wanted = head.posed.vertices * 1.1 + torch.tensor([0.0, 0.0, 2.0])
    moved = head.around(wanted)
    torch.testing.assert_close(moved.posed.vertices, wanted, atol=1e-4, rtol=0)
    torch.testing.assert_close(moved.neutral - head.neutral, wanted - head.posed.vertices)
    eyes = [miniature.parts[part] for part in ("left_eye", "right_eye")]
    for row, eye in enumerate(eyes):
        shift = (wanted - head.posed.vertices)[eye].mean(0)
        torch.testing.assert_close(moved.eye_centers[row], head.eye_centers[row] + shift)


def test_a_lamp_stands_where_it_shines_from(asset):
    lamp = AssetLamp(torch.tensor([300.0, 0.0, 400.0]), torch.tensor([0.5, 0.25, 0.1]))
    document = Glb(glb_of(replace(asset, lamp=lamp))).document
    (node,) = [node for node in document["nodes"] if node["name"] == "lamp"]
    assert node["translation"] == pytest.approx([0.3, 0.0, 0.4])
    (light,) = document["extensions"]["KHR_lights_punctual"]["lights"]
    assert node["extensions"]["KHR_lights_punctual"]["light"] == 0
    assert document["nodes"].index(node) in document["nodes"][0]["children"]
    assert light["color"] == pytest.approx([1.0, 0.5, 0.2])
    # Half a meter away, a surface that faces it sends back half of its albedo: 0.5 pi over the square of 2.
    assert light["intensity"] == pytest.approx(0.5 * math.pi / 4)
    assert "KHR_lights_punctual" in document["extensionsUsed"]
    assert "extensions" not in Glb(glb_of(asset)).document


def test_relief_is_a_map_in_a_frame_that_the_file_tells(asset, miniature):
    """As a player reads it: along u and towards v, the surface rises where the slopes say so."""
    slopes = torch.zeros(4, 4, 2)
    slopes[..., 0], slopes[..., 1] = 0.5, -0.25
    glb = Glb(glb_of(replace(asset, normals=normal_texture(slopes)), image_format="png"))
    skin = next(m for m in glb.document["materials"] if m["name"] == "skin")
    others = [m for m in glb.document["materials"] if m["name"] != "skin"]
    assert others
    assert not any("normalTexture" in material for material in others)
    image = glb.document["images"][skin["normalTexture"]["index"]]
    assert image["name"] == "normals"
    decoded = np.asarray(Image.open(io.BytesIO(glb.view(image["bufferView"])))) / 255 * 2 - 1
    x, y, z = decoded[0, 0]
    assert (-x / z, -y / z) == pytest.approx((0.5, -0.25), abs=0.02)
    primitive = next(
        p
        for p in glb.document["meshes"][glb.node("head")["mesh"]]["primitives"]
        if glb.document["materials"][p["material"]]["name"] == "skin"
    )
    place, normal, tangent, uv = (
        glb.accessor(primitive["attributes"][name])
        for name in ("POSITION", "NORMAL", "TANGENT", "TEXCOORD_0")
    )
    triangles = glb.accessor(primitive["indices"]).reshape(-1, 3)
    np.testing.assert_allclose(np.linalg.norm(tangent[:, :3], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose((tangent[:, :3] * normal).sum(1), 0, atol=1e-5)
    assert set(np.unique(tangent[:, 3])) <= {-1.0, 1.0}
    across = np.cross(normal, tangent[:, :3]) * tangent[:, 3:]
    # Where the mesh goes on from a vertex along these directions, u and the height of the picture grow.
    edge = place[triangles[:, 1]] - place[triangles[:, 0]]
    grown = (uv[triangles[:, 1]] - uv[triangles[:, 0]]) * (1, -1)
    for axis, direction in ((0, tangent[:, :3]), (1, across)):
        along = (edge * direction[triangles[:, 0]]).sum(1) / np.linalg.norm(edge, axis=1)
        told = np.abs(along) > 0.9
        assert told.sum() > 10
        assert (np.sign(along[told]) == np.sign(grown[told, axis])).mean() > 0.95


def test_smooth_skin_needs_no_tangents(glb):
    assert not any(
        "TANGENT" in p["attributes"] for mesh in glb.document["meshes"] for p in mesh["primitives"]
    )
    assert not any("normalTexture" in material for material in glb.document["materials"])
