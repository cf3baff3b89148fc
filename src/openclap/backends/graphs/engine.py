"""OpenVINO, imported without its converter, which takes half of the import time and brings a telemetry package."""

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
        converter: ModuleType | None = sys.modules.get(CONVERTER)
        sys.modules[CONVERTER] = None  # type: ignore[assignment]  # its import fails, which openvino allows for
        try:
            import openvino
        finally:
            if converter is None:
                del sys.modules[CONVERTER]
            else:
                sys.modules[CONVERTER] = converter
    import openvino.opset13

    return openvino, openvino.opset13


ov, opset = _import()
