"""The only way to onnxruntime: on the CPU, with threads that wait, and without its reports to its makers."""

import os
from typing import Any


def onnx_session(model: bytes, threads: int) -> Any:
    """An ``onnxruntime.InferenceSession`` of a model's bytes; its errors are exceptions, and not printed.

    onnxruntime 1.29 and later give each installation an identifier and send what was run, and how long it
    took, to Microsoft. Nothing of anybody's photos is to be told to anyone: it is switched off, unless the
    process that imported onnxruntime before, or its ``ORT_DISABLE_TELEMETRY``, wanted it otherwise.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read once, when it is imported
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    # Threads that spin for more work would take the cores from torch and numba.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
