"""FLAME without running its pickle, and raw model files that were made to do harm or are damaged."""

# The pure-Python pickler, whose parts have no stubs:
# pyright: reportAttributeAccessIssue=false, reportAssignmentType=false, reportOptionalMemberAccess=false

import os
import pickle
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.io import savemat
from tests.unit.models.raw_head import raw_head
from tests.unit.models.test_importers import basel_2009_file, basel_hdf5_file, ict_file, surrey_file

from facewright.core.errors import AssetError
from facewright.models.importers.basel_2009 import read_basel_2009
from facewright.models.importers.basel_hdf5 import read_basel_hdf5
from facewright.models.importers.flame import read_flame
from facewright.models.importers.ict import read_ict
from facewright.models.importers.inert_pickle import Inert, as_array, read_inert_pickle
from facewright.models.importers.raw import face_model
from facewright.models.importers.surrey import read_surrey

h5py = pytest.importorskip("h5py")
HEAD = raw_head(components=303)


class Ch:
    """What chumpy's objects leave in a pickle: their state, with the numbers as ``x``."""

    def __init__(self, x: np.ndarray) -> None:
        self.__dict__ = {
            "x": x,
            "_dirty_vars": {"x"},
            "_itr": None,
            "_depends_on_deps": {"r": {"deps": ("x",)}},
        }


Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"


class PythonTwo(pickle._Pickler):
    """Writes texts and bytes as Python 2 did: one kind of string, latin-1."""

    def save_text(self, value) -> None:
        data = value.encode("latin-1") if isinstance(value, str) else value
        if self.proto == 0:
            self.write(b"S" + repr(data)[1:].encode("ascii") + b"\n")
        else:
            self.write(b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    def save_class(self, value) -> None:
        module = {"builtins": "__builtin__", "copyreg": "copy_reg"}.get(value.__module__, value.__module__)
        module = module.replace("numpy._core", "numpy.core")
        self.write(f"c{module}\n{value.__name__}\n".encode())
        self.memoize(value)

    def save_array(self, value) -> None:
        version, shape, dtype, fortran, data = value.__reduce__()[2]
        self.save_reduce(value.__reduce__()[0], (np.ndarray, (0,), "b"))
        self.memoize(value)
        self.save((version, shape, dtype, fortran, data))
        self.write(b"b")

    dispatch = {  # noqa: RUF012
        **pickle._Pickler.dispatch,
        str: save_text,
        bytes: save_text,
        type: save_class,
        type(len): save_class,
        np.ndarray: save_array,
    }


def flame_contents() -> dict:
    basis = np.concatenate([HEAD.identity[:300], HEAD.identity[300:303]]) * np.sqrt(303 / 300)
    count = len(HEAD.mean)
    return {
        "f": HEAD.faces.astype(np.uint32),
        "v_template": HEAD.mean / 1000,
        "shapedirs": Ch(np.asfortranarray(np.moveaxis(basis, 0, 2) / 1000)),
        "posedirs": np.zeros((count, 3, 36)),
        "J_regressor": sparse.csc_matrix(np.eye(5, count)),
        "J": np.array([[0, 0, 0], [0, 0, 0], [0, 0, 0], [0.03, 0.02, 0.07], [-0.03, 0.02, 0.07]]),
        "weights": np.zeros((count, 5)),
        "kintree_table": np.zeros((2, 5), dtype=np.int64),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }


def write_flame(path: Path, protocol: int, python_two: bool = False) -> Path:
    with path.open("wb") as stream:
        pickler = PythonTwo(stream, protocol) if python_two else pickle.Pickler(stream, protocol)
        # Class names are looked up while writing; reading does not.
        pickler.dump(flame_contents())
    return path


@pytest.fixture(autouse=True)
def chumpy_while_writing(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    module = types.ModuleType("chumpy.ch")
    module.Ch = Ch
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)


@pytest.mark.parametrize(("protocol", "python_two"), [(2, True), (2, False), (4, False)])
def test_flame(tmp_path: Path, protocol: int, python_two: bool) -> None:
    path = write_flame(tmp_path / "flame2023.pkl", protocol, python_two)
    raw = read_flame(path, anchors=HEAD.anchors)
    model = face_model(raw, path)
    assert raw.version == "2023"
    assert model.identity_count == 300
    assert model.expression_names == ("expression000", "expression001", "expression002")
    assert np.allclose(model.mean, HEAD.mean, atol=1e-3)
    basis = HEAD.identity * np.sqrt(303 / 300)
    assert np.allclose(model.identity_basis, basis[:300], atol=1e-3 * np.abs(basis).max())
    assert np.allclose(model.eye_centers, [[30, 20, 70], [-30, 20, 70]], atol=1e-4)


def test_flame_landmarks(tmp_path: Path) -> None:
    embedding = tmp_path / "embedding.pkl"
    stored = {"lmk_face_idx": np.arange(51), "lmk_b_coords": np.full((51, 3), 1 / 3)}
    embedding.write_bytes(pickle.dumps(stored, 2))
    path = write_flame(tmp_path / "a.pkl", 2)
    raw = read_flame(path, embedding=embedding, anchors=HEAD.anchors)
    assert face_model(raw, path).landmarks["ibug51"].weights.shape == (51, 3)
    embedding.write_bytes(pickle.dumps({**stored, "lmk_face_idx": np.arange(50)}, 2))
    with pytest.raises(AssetError, match="expected 51"):
        read_flame(path, embedding=embedding)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_plain_values_come_back(tmp_path: Path, protocol: int) -> None:
    values = {
        "numbers": [1, -2, 300, 70_000, 1 << 40, 1.5, True, None],
        "texts": ("a", "é", b"bytes"),
        "nested": {"empty": {}, 3: [(), [], (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)]},
        "integers": np.arange(6, dtype=">i2").reshape(2, 3),
        "twice": [array := np.ones(2), array],
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "scalar": np.float64(2.5),
    }
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(values, protocol))
    if protocol < 3:
        values["texts"] = ("a", "é", b"bytes")
    read = read_inert_pickle(path)
    for name in ("numbers", "texts", "nested", "scalar"):
        assert read[name] == values[name], name
    for name in ("integers", "fortran"):
        assert np.array_equal(as_array(read[name]), values[name])
    assert as_array(read["twice"][1]) is read["twice"][0]


def test_python_two_protocol_zero(tmp_path: Path) -> None:
    with (tmp_path / "a.pkl").open("wb") as stream:
        PythonTwo(stream, 0).dump({"a": np.array([1.5, -2.0])})
    assert np.array_equal(read_inert_pickle(tmp_path / "a.pkl")["a"], [1.5, -2.0])


def test_instances_stay_inert(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(Ch(np.ones(3)), 2))
    read = read_inert_pickle(tmp_path / "a.pkl")
    assert isinstance(read, Inert)
    assert np.array_equal(as_array(read), np.ones(3))


class Harm:
    def __init__(self, function, *arguments) -> None:
        self.reduced = (function, arguments)

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("function", "arguments"), [(os.system, ("touch HARM",)), (eval, ("open('HARM', 'w')",)), (Path, ("a",))]
)
def test_code_in_a_pickle_is_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int, function, arguments
) -> None:
    monkeypatch.chdir(tmp_path)
    data = pickle.dumps({"v_template": Harm(function, *arguments)}, protocol)
    Path("a.pkl").write_bytes(data)
    with pytest.raises(AssetError, match="asks for"):
        read_flame(Path("a.pkl"))
    assert not Path("HARM").exists()
    if function is eval:  # the control: the same bytes do harm where they are run
        pickle.loads(data)
        assert Path("HARM").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a pickle",
        b"\x80\x02}q\x00",  # ends early
        b"\x80\x02.",  # nothing on the stack
        b"\x80\x02e.",  # no mark
        b"\x80\x02cnumpy\ndtype\n(U\x01OK\x00K\x01tR.",  # a type is no model
        b"(i__main__\nA\n.",  # INST
        b"\x80\x02Ppersistent\n.",
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01K\xff\x85"
        b"cnumpy\ndtype\nU\x02f8K\x00K\x01\x87R\x89U\x04abcdtb.",  # four bytes for 255 numbers
    ],
)
def test_damaged_pickles_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.pkl").write_bytes(data)
    with pytest.raises(AssetError):
        read_flame(tmp_path / "a.pkl")


ENCODE = b"\x80\x02c_codecs\nencode\nq\x00X" + struct.pack("<i", 1 << 19) + b"a" * (1 << 19) + b"q\x01"
ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01%s"
ARRAY += b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R\x89%stb"
LONG = b"J" + struct.pack("<i", 1 << 19) + b"\x85"


@pytest.mark.parametrize("step", [b"h\x00h\x01\x85R", ARRAY % (LONG, b"h\x01")])
def test_a_pickle_cannot_multiply_its_bytes(tmp_path: Path, step: bytes) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(ENCODE + 4 * step + b".")
    read_inert_pickle(path)  # the control; and what is imported is not counted
    path.write_bytes(ENCODE + 100 * step + b".")
    tracemalloc.start()
    try:
        with pytest.raises(AssetError, match="more bytes than it has"):
            read_inert_pickle(path)
        assert tracemalloc.get_traced_memory()[1] < 20 * path.stat().st_size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "data",
    [
        ENCODE + ARRAY % (b"G\x7f\xf0" + bytes(6) + b"\x85", b"h\x01") + b".",  # an infinite axis
        ENCODE + ARRAY % (LONG, b"J" + struct.pack("<i", 1 << 19)) + b".",  # a number in place of bytes
    ],
)
def test_arrays_that_cannot_be_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.pkl").write_bytes(data)
    with pytest.raises(AssetError, match="cannot be read as a pickle"):
        read_inert_pickle(tmp_path / "a.pkl")


def test_hdf5_links_are_not_followed(tmp_path: Path) -> None:
    path = basel_hdf5_file(tmp_path / "a.h5")
    for link in (h5py.ExternalLink("b.h5", "shape/model/mean"), h5py.SoftLink("/color/model/mean")):
        with h5py.File(path, "r+") as stored:
            del stored["shape/model/mean"]
            stored["shape/model/mean"] = link
        basel_hdf5_file(tmp_path / "b.h5")
        with pytest.raises(AssetError, match="a link, which is not followed"):
            read_basel_hdf5(path, year=2017)


def test_hdf5_bombs_are_refused(tmp_path: Path) -> None:
    path = basel_hdf5_file(tmp_path / "a.h5")
    with h5py.File(path, "r+") as stored:
        del stored["shape/model/pcaBasis"]
        stored.create_dataset("shape/model/pcaBasis", (300_000, 1_900_000), "f4", chunks=True, compression=9)
    with pytest.raises(AssetError, match="no face model does"):
        read_basel_hdf5(path, year=2017)


def test_a_matlab_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    empty = np.zeros((3_000_000, 4), dtype=np.uint8)
    savemat(path, dict.fromkeys(("shapeMU", "shapePC", "shapeEV", "texMU", "texPC", "texEV", "tl"), empty))
    with pytest.raises(AssetError, match="no face model does"):
        read_basel_2009(path)


@pytest.mark.parametrize("name", ["shapeMU", "shapeEV", "texMU", "texPC", "texEV", "tl"])
def test_no_array_of_a_matlab_file_is_unpacked_unseen(tmp_path: Path, name: str) -> None:
    path = basel_2009_file(tmp_path / "a.mat")
    read_basel_2009(path)  # the control; and what is imported is not counted
    # Noise, as SciPy unpacks some of each array for its shape, and that would be all of what packs well.
    noise = np.random.default_rng(0).integers(0, 256, (3_000_000, 1), dtype=np.uint8)
    basel_2009_file(path, HEAD, **{name: noise})
    tracemalloc.start()
    try:
        with pytest.raises(AssetError, match=r"no BFM 2009|no face model does"):
            read_basel_2009(path)
        assert tracemalloc.get_traced_memory()[1] < 1_500_000
    finally:
        tracemalloc.stop()


def halved(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    files = {
        read_basel_2009: basel_2009_file(tmp_path / "a.mat"),
        read_surrey: surrey_file(tmp_path / "a.bin"),
        read_ict: ict_file(tmp_path / "a.npz"),
        read_flame: write_flame(tmp_path / "a.pkl", 2),
    }
    for read, path in files.items():
        read(path)  # the whole file is read
        with pytest.raises(AssetError):
            read(halved(path))
        path.unlink()
        with pytest.raises(AssetError):
            read(path)
    with pytest.raises(AssetError):
        read_basel_hdf5(halved(basel_hdf5_file(tmp_path / "a.h5")), year=2017)


def test_a_surrey_file_cannot_ask_for_more_than_it_has(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    for data in (
        struct.pack("<Iii", 4, 2**31 - 1, 2**31 - 1),
        struct.pack("<Iii", 4, -1, 4),
        struct.pack("<I", 9),
        struct.pack("<Iii", 4, 0, 1) + struct.pack("<ii", 0, 0) + struct.pack("<ii", 0, 1) + b"\xff" * 8,
    ):
        path.write_bytes(data)
        with pytest.raises(AssetError, match="no face model of eos"):
            read_surrey(path)
