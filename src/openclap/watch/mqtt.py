"""Publishes an event as one MQTT message with QoS 1, through paho-mqtt; `sinks.RetryingSink` tries again.

An address is mqtt://broker:1883/some/topic, or mqtts:// with TLS. User and password stand in the address, or in
OPENCLAP_MQTT_USER and OPENCLAP_MQTT_PASSWORD.
"""

from __future__ import annotations

import os
import threading
from typing import Any
from urllib.parse import unquote, urlsplit

from openclap.errors import MissingExtra, UsageError
from openclap.watch.sinks import Outcome
from openclap.watch.sources import Tell
from openclap.watch.streams import redact_url

__all__ = ["Mqtt"]

PORTS = {"mqtt": 1883, "mqtts": 8883}
TOPIC = "openclap/events"
LONGEST_TOPIC = 65_535  # bytes
TIMEOUT = 10.0  # seconds to connect, and for the broker to acknowledge a message


class Mqtt:
    """Publishes to one topic; a message counts as taken once the broker has acknowledged it."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS.get(parts.scheme, 0)
        except ValueError:  # no number for a port, half an IPv6 address
            parts, port = urlsplit(""), 0
        topic = unquote(parts.path.strip("/")) or TOPIC
        wrong = any(sign in topic for sign in "+#\0") or len(topic.encode("utf-8", "replace")) > LONGEST_TOPIC
        if not port or not parts.hostname or "#" in url or parts.query or wrong:
            raise UsageError(
                f"mqtt {redact_url(url)!r} is no broker and topic; give one like mqtt://broker.local/house/alarms"
            )
        self.name, self.address = redact_url(url), url
        self._host, self._port, self._topic, self._timeout = parts.hostname, port, topic, timeout
        self._login = parts.scheme == "mqtts", parts.username, parts.password
        self._client = _make_client(*self._login)
        self._connected = threading.Event()
        self._answer = ""
        self._running = False

    def send(self, key: str, body: bytes, tell: Tell) -> Outcome:
        """Try once, as `sinks.Sender` says; `key` is not sent, as the message holds it as `id` and `state`."""
        if not self._connect(tell):
            return "later"
        try:
            message = self._client.publish(self._topic, body, qos=1)
            message.wait_for_publish(self._timeout)
            taken = message.is_published()
        except (RuntimeError, ValueError) as error:
            tell(f"{self.name}: takes no event now ({error}); events are kept and sent later")
            return "later"
        if not taken:
            tell(f"{self.name}: does not say that it has an event; it is sent again")
            self._stop()  # else paho would send it as well, so that it came twice
            return "later"
        return "taken"

    def close(self) -> None:
        """Disconnect from the broker."""
        self._stop()

    def _connect(self, tell: Tell) -> bool:
        if self._connected.is_set():
            return True
        self._stop()
        self._client = _make_client(*self._login)  # the old one may hold messages that are sent anew
        self._client.on_connect, self._client.on_disconnect = self._on_connect, self._on_disconnect
        try:
            self._client.connect(self._host, self._port, keepalive=30)
        except (OSError, ValueError) as error:
            tell(f"{self.name}: cannot be reached ({error}); events are kept and sent later")
            return False
        self._client.loop_start()
        self._running = True
        if self._connected.wait(self._timeout):
            return True
        tell(f"{self.name}: does not let us in ({self._answer or 'no answer'}); events are kept and sent later")
        self._stop()
        return False

    def _stop(self) -> None:
        self._connected.clear()
        if self._running:
            self._client.disconnect()
            self._client.loop_stop()
            self._running = False

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._answer = str(reason)
        if not reason.is_failure:
            self._connected.set()

    def _on_disconnect(self, *_: Any) -> None:
        self._connected.clear()


def _make_client(secure: bool, user: str | None, password: str | None) -> Any:
    try:
        import paho.mqtt.client as mqtt
    except ImportError:
        raise MissingExtra("mqtt needs paho-mqtt: install openclap's extra 'watch' (docs/install.md)") from None
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect_timeout = TIMEOUT
    if secure:
        client.tls_set()
    user = unquote(user) if user else os.environ.get("OPENCLAP_MQTT_USER")
    password = unquote(password) if password else os.environ.get("OPENCLAP_MQTT_PASSWORD")
    if user:
        client.username_pw_set(user, password)
    return client
