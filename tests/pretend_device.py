"""A device that is not there: tensors that say they are elsewhere, compute here, and refuse to be mixed.

What runs on it without a fault names its device in every tensor that it makes, copies to the CPU before it
asks for NumPy, and never lets tensors of two devices meet: most of what breaks on the first day on a GPU.
"""

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

# The type of device without hardware that torch always has; used as it is meant, its tensors have no numbers.
DEVICE = torch.device("meta")
_ATEN = torch.ops.aten
_COPIES = {_ATEN._to_copy.default, _ATEN.copy_.default}
_INDEXING = {_ATEN.index.Tensor, _ATEN.index_put_.default, _ATEN.index_put.default}


class _Elsewhere(Tensor):
    """A tensor that claims to lie on ``DEVICE``; its numbers are in ``here``."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> "_Elsewhere":
        strided = here.layout == torch.strided
        place = {"strides": here.stride(), "storage_offset": here.storage_offset()} if strided else {}
        wrapped = Tensor._make_wrapper_subclass(  # pyright: ignore[reportAttributeAccessIssue]
            cls, here.size(), dtype=here.dtype, layout=here.layout, device=DEVICE, **place
        )
        wrapped.here = here
        return wrapped

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    def __getitem__(self, index: Any) -> Any:
        return super().__getitem__(_listed(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(_listed(index), value)

    def new_tensor(self, data: Any, *, dtype: torch.dtype | None = None) -> Any:
        return torch.tensor(data, dtype=dtype or self.dtype).to(DEVICE)

    def tolist(self) -> Any:
        return self.here.tolist()

    def numpy(self) -> Any:
        raise TypeError(f"a tensor on {DEVICE} must be copied to the CPU before it can become an array")

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        return self.numpy()

    def __repr__(self) -> str:
        return f"elsewhere({self.here!r})"


class _Constructors(TorchFunctionMode):
    """What makes tensors of lists, and sparse ones, behind the back of a dispatch mode."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor):
            device = options.pop("device", None)
            made = func(*args, **options)
            return made if device is None else made.to(device)
        parts = args[:2]
        if func is torch.sparse_coo_tensor and any(isinstance(part, _Elsewhere) for part in parts):
            if not all(isinstance(part, _Elsewhere) for part in parts):
                raise RuntimeError(f"sparse_coo_tensor: tensors of two devices, {DEVICE} and cpu")
            return _Elsewhere(func(parts[0].here, parts[1].here, *args[2:], **options))
        return func(*args, **options)


class PretendDevice(TorchDispatchMode):
    """While entered, ``DEVICE`` can be used like any other device."""

    def __enter__(self) -> Any:
        self.constructors = _Constructors()
        self.constructors.__enter__()
        return super().__enter__()

    def __exit__(self, *reason: Any) -> None:
        super().__exit__(*reason)
        self.constructors.__exit__(*reason)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, Tensor)]
    elsewhere = [tensor for tensor in tensors if isinstance(tensor, _Elsewhere)]
    here = [tensor for tensor in tensors if not isinstance(tensor, _Elsewhere)]
    target = kwargs.get("device")
    if any(tensor.device.type == DEVICE.type for tensor in here):
        raise RuntimeError(f"{func}: a tensor was made on {DEVICE} in a way that this mode does not see")
    if not elsewhere and (target is None or torch.device(target).type != DEVICE.type):
        return func(*args, **kwargs)
    if elsewhere and any(tensor.ndim for tensor in here) and not _may_cross(func, args):
        raise RuntimeError(f"{func}: tensors of two devices, {DEVICE} and cpu")
    inner = dict(tree_map(_here, kwargs))
    if target is not None:
        inner["device"] = torch.device("cpu")
    result = func(*tree_map(_here, args), **inner)
    if target is not None and torch.device(target).type == "cpu":
        return result
    if func is _ATEN.copy_.default and not isinstance(args[0], _Elsewhere):
        return args[0]
    wrapped = tree_map(lambda leaf: _Elsewhere(leaf) if isinstance(leaf, Tensor) else leaf, result)
    return return_and_correct_aliasing(func, args, kwargs, wrapped) if elsewhere else wrapped


def _listed(index: Any) -> Any:
    """Lists within an index as tensors on the device: torch would make them where no mode sees it."""
    if isinstance(index, tuple):
        return tuple(_listed(part) for part in index)
    return torch.tensor(index).to(DEVICE) if isinstance(index, list) else index


def _may_cross(func: Any, args: Any) -> bool:
    """Whether torch lets tensors of two devices meet here: in copies, and indices that lie on the CPU."""
    if func in _INDEXING:
        return all(isinstance(part, _Elsewhere) or part.ndim == 0 for part in (args[0], *args[2:3]))
    return func in _COPIES


def _here(leaf: Any) -> Any:
    return leaf.here if isinstance(leaf, _Elsewhere) else leaf
