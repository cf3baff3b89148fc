"""Listen to a microphone, a stream, a pipe, a file or a folder, and tell when something named, or anything unusual, is heard."""

from openclap.options import Rules, WatchOptions
from openclap.watch.clips import ClipWriter
from openclap.watch.command import Command
from openclap.watch.event import Event, WatchReport
from openclap.watch.loop import Watch, watch
from openclap.watch.mqtt import Mqtt
from openclap.watch.open_source import open_source
from openclap.watch.sinks import RetryingSink, Sink
from openclap.watch.sources import PushedSource, Source
from openclap.watch.webhook import Webhook

__all__ = [
    "ClipWriter",
    "Command",
    "Event",
    "Mqtt",
    "PushedSource",
    "RetryingSink",
    "Rules",
    "Sink",
    "Source",
    "Watch",
    "WatchOptions",
    "WatchReport",
    "Webhook",
    "open_source",
    "watch",
]
