"""Listen to a microphone, a stream, a pipe, a file or a folder, and tell when something named, or anything unusual, is heard."""

from openclap.watch.clips import Clips
from openclap.watch.command import Command
from openclap.watch.event import Event, WatchReport
from openclap.watch.hysteresis import Rules
from openclap.watch.loop import Watch, watch
from openclap.watch.mqtt import Mqtt
from openclap.watch.open import source_of
from openclap.watch.sinks import Delivery, Sink
from openclap.watch.sources import Pushed, Source
from openclap.watch.webhook import Webhook

__all__ = [
    "Clips",
    "Command",
    "Delivery",
    "Event",
    "Mqtt",
    "Pushed",
    "Rules",
    "Sink",
    "Source",
    "Watch",
    "WatchReport",
    "Webhook",
    "source_of",
    "watch",
]
