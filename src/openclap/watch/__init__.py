"""A microphone, stream, pipe, file or folder comes in; events go out, when an alert or anything unusual is heard."""

from typing import Any

from openclap.options import Rules, WatchOptions
from openclap.renamed import find_renamed
from openclap.watch.clips import ClipWriter
from openclap.watch.command import Command
from openclap.watch.event import Event, WatchReport
from openclap.watch.loop import Watch, watch
from openclap.watch.mqtt import Mqtt
from openclap.watch.open_source import open_source
from openclap.watch.sinks import RetryingSink, Sink
from openclap.watch.sources import AudioSource, PushedSource
from openclap.watch.webhook import Webhook

__all__ = [
    "AudioSource",
    "ClipWriter",
    "Command",
    "Event",
    "Mqtt",
    "PushedSource",
    "RetryingSink",
    "Rules",
    "Sink",
    "Watch",
    "WatchOptions",
    "WatchReport",
    "Webhook",
    "open_source",
    "watch",
]


def __getattr__(name: str) -> Any:
    return find_renamed(
        __name__,
        name,
        {
            "Clips": "ClipWriter",
            "Delivery": "RetryingSink",
            "Pushed": "PushedSource",
            "Source": "AudioSource",
            "source_of": "open_source",
        },
    )
