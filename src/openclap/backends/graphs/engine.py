"""OpenVINO, imported without its converter: half of its import time, and the telemetry package comes with that half."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

__all__ = ["opset", "ov"]

CONVERTER = "openvino.tools.ovc"


def _import() -> tuple[Any, Any]:
    if "openvino" in sys.modules:
        import openvino
    else:
        before: ModuleType | None = sys.modules.get(CONVERTER)
        sys.modules[CONVERTER] = None  # type: ignore[assignment]  # its import fails, which openvino foresees
        try:
            import openvino
        finally:
            if before is None:
                del sys.modules[CONVERTER]
            else:
                sys.modules[CONVERTER] = before
    import openvino.opset13

    return openvino, openvino.opset13


ov, opset = _import()
