"""What a model is, as frozen data: `config.json` of a checkpoint in, a checked configuration out.

    CLAPConfig ─┬─ front_end    FrontEnd                                             (front_end)
                ├─ audio        HTSATConfig, PANNConfig, MobileNetConfig or another  (audio_encoders)
                ├─ text         TextConfig, WordsConfig or another                   (text_encoders)
                └─ confidence   ConfidenceCurves                                     (confidence_curves)

`encoders` is the table of what builds them, openclap's own and those of other packages. A `CustomModel` is computed by
another package as a whole (custom_model); what such packages bring is found by `entry_points`.
Everything that builds, loads or feeds a model reads it from here. Nothing here imports torch.
"""

from openclap.config.activations import ACTIVATIONS
from openclap.config.audio_encoders import (
    AudioConfig,
    Fusion,
    HTSATConfig,
    InvertedResidual,
    MobileNetConfig,
    NoAudioConfig,
    PANNConfig,
)
from openclap.config.confidence_curves import ConfidenceCurves
from openclap.config.custom_model import CustomModel
from openclap.config.encoders import AUDIO, TEXT, Encoder
from openclap.config.front_end import FrontEnd
from openclap.config.model import FORMAT_NAME, FORMAT_VERSION, MAX_LOGIT_SCALE, CLAPConfig
from openclap.config.text_encoders import AnyTextConfig, NoTextConfig, TextConfig, WordsConfig

__all__ = [
    "ACTIVATIONS",
    "AUDIO",
    "FORMAT_NAME",
    "FORMAT_VERSION",
    "MAX_LOGIT_SCALE",
    "TEXT",
    "AnyTextConfig",
    "AudioConfig",
    "CLAPConfig",
    "ConfidenceCurves",
    "CustomModel",
    "Encoder",
    "FrontEnd",
    "Fusion",
    "HTSATConfig",
    "InvertedResidual",
    "MobileNetConfig",
    "NoAudioConfig",
    "NoTextConfig",
    "PANNConfig",
    "TextConfig",
    "WordsConfig",
]
