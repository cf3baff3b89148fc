"""watch: listen to a source, and tell when something is heard."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from platformdirs import user_data_path

from openclap.cli.options import Detectors, Json, TextModelOptions, Verbs, read_lines
from openclap.cli.show import emit, err, out, plain, print_uncalibrated, span
from openclap.errors import UsageError
from openclap.options import WatchOptions
from openclap.plurals import count_noun

if TYPE_CHECKING:
    from openclap.watch import ClipWriter, Event, Sink, WatchReport
    from openclap.watch.sinks import Sender

__all__ = ["VERBS"]

CLIPS, RECEIVERS, INPUT = "Clips of events", "Receivers of events", "The sound that is read"  # panels of --help
FLUSH = 10.0  # seconds that receivers are given at the end


def watch(
    source: Annotated[
        str,
        typer.Argument(
            help=(
                "A file, a folder that grows, mic or mic:DEVICE, - for a pipe of PCM, or an http(s), rtsp or rtmp"
                " address"
            )
        ),
    ],
    alerts: Annotated[
        list[str] | None, typer.Option("--alert", help="What should be heard, in words; may be repeated")
    ] = None,
    detectors: Detectors = None,
    alerts_file: Annotated[Path | None, typer.Option("--alerts-file", help="A text file, one alert a line")] = None,
    *,
    options: WatchOptions,
    clips: Annotated[
        Path | None, typer.Option("--clips", help="Keep a FLAC of every event in this folder", rich_help_panel=CLIPS)
    ] = None,
    budget: Annotated[
        float,
        typer.Option("--clips-mb", min=0.001, max=1e9, help="Megabytes of clips; the oldest go", rich_help_panel=CLIPS),
    ] = 256.0,
    before: Annotated[
        float, typer.Option("--pre-roll", min=0, help="Seconds before an event in its clip", rich_help_panel=CLIPS)
    ] = 2.0,
    after: Annotated[float, typer.Option("--post-roll", min=0, help="Seconds after it", rich_help_panel=CLIPS)] = 2.0,
    webhook: Annotated[
        list[str] | None,
        typer.Option(
            "--webhook",
            help="POST every event here; signed where OPENCLAP_WEBHOOK_SECRET is set",
            rich_help_panel=RECEIVERS,
        ),
    ] = None,
    mqtt: Annotated[
        list[str] | None,
        typer.Option("--mqtt", help="Publish every event: mqtt://broker/topic", rich_help_panel=RECEIVERS),
    ] = None,
    command: Annotated[
        list[str] | None,
        typer.Option(
            "--command",
            help="Run this for every event: a program and its arguments, no shell; the event is on its standard input",
            rich_help_panel=RECEIVERS,
        ),
    ] = None,
    spool: Annotated[
        Path | None,
        typer.Option(
            "--spool",
            help="Where events wait for a receiver that is down (default: in your data folder)",
            rich_help_panel=RECEIVERS,
        ),
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", help="Of PCM on standard input, Hz", rich_help_panel=INPUT)
    ] = None,
    channels: Annotated[int, typer.Option("--channels", help="Of PCM on standard input", rich_help_panel=INPUT)] = 1,
    format: Annotated[
        str, typer.Option("--format", help="Of PCM on standard input: s16le, s32le, f32le, …", rich_help_panel=INPUT)
    ] = "s16le",
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Standard input does not wait: where the model is too slow, skip windows",
            rich_help_panel=INPUT,
        ),
    ] = False,
    existing: Annotated[
        bool,
        typer.Option("--existing", help="Of a folder: the files that are already there, too", rich_help_panel=INPUT),
    ] = False,
    loading: TextModelOptions,
    as_json: Json = False,
) -> None:
    """Listen to a microphone, a stream, a pipe, a file or a folder, and tell when something is heard."""
    from openclap.confidence import has_own_curves
    from openclap.detector import Detector
    from openclap.watch import ClipWriter, open_source
    from openclap.watch import watch as run

    stop = threading.Event()
    from_file = read_lines(alerts_file, "alerts") if alerts_file is not None else []
    names: list[str | Detector] = [*(alerts or []), *from_file, *map(Detector.load, detectors or [])]
    sound = open_source(source, rate=rate, channels=channels, format=format, live=live, existing=existing)
    kept: ClipWriter | None = (
        None if clips is None else ClipWriter(clips, _tell, budget=round(budget * 2**20), before=before, after=after)
    )
    sinks: list[Sink] = []
    clap = loading.load()
    if (alerts or from_file) and not has_own_curves(clap):
        print_uncalibrated()
    watching = run(
        sound,
        names,
        model=clap,
        **vars(options),
        clips=kept,
        sinks=sinks,
        stop=stop,
        tell=_tell,
    )
    # last of all, as an error after it would leave what it starts running
    sinks += _sinks(webhook or [], mqtt or [], command or [], spool)
    _until_signalled(stop)
    try:
        for event in watching:
            _show(event, as_json)
    finally:
        stop.set()
        left = _close_sinks(sinks)
        report = watching.report()
        report.undelivered = left
        if report.heard or left:
            _summary(report)
    if left:
        raise typer.Exit(1)


def _close_sinks(sinks: list[Sink]) -> dict[str, int]:
    """Close all receivers at once, `FLUSH` seconds each → how many events each has not taken, where any."""
    left: dict[str, int] = {}

    def close(sink: Sink) -> None:
        left[sink.name] = left.get(sink.name, 0) + sink.close(FLUSH)

    closing = [threading.Thread(target=close, args=(sink,), daemon=True) for sink in sinks]
    try:
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
    except KeyboardInterrupt:  # nobody waits for them any more, but nothing is left running
        for sink in sinks:
            sink.close(0.0)
        raise
    return {sink.name: left[sink.name] for sink in sinks if left[sink.name]}


def _sinks(webhooks: list[str], brokers: list[str], commands: list[str], spool: Path | None) -> list[Sink]:
    from openclap.watch import Command, Mqtt, RetryingSink, Webhook
    from openclap.watch.webhook import SECRET

    folder = spool or user_data_path("openclap") / "watch"
    senders: list[Sender] = [
        *(Webhook(url, os.environ.get(SECRET)) for url in webhooks),
        *(Mqtt(url) for url in brokers),
    ]
    runs = [Command(_arguments(line), _tell) for line in commands]
    return [*(RetryingSink(sender, folder, _tell) for sender in senders), *runs]


def _arguments(line: str) -> list[str]:
    try:
        if sys.platform == "win32":  # a backslash parts folders there, and quotes stay in the words
            return [word.strip('"') for word in shlex.split(line, posix=False)]
        return shlex.split(line)
    except ValueError as error:
        raise UsageError(f"command {line!r} cannot be split into arguments ({error}); close its quotes") from None


def _until_signalled(stop: threading.Event) -> None:
    """End the watch at the first Ctrl-C or SIGTERM as if its source had ended; the second one interrupts."""

    def end(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, end)
        signal.signal(signal.SIGTERM, end)


def _tell(message: str) -> None:
    err.print("[yellow]watch:[/yellow]", plain(message))


def _show(event: Event, as_json: bool) -> None:
    if as_json or not out.is_terminal:
        emit([event.to_dict()])
        return
    shown = plain(f"{event.alert}  ({event.confidence:.2f}, {event.state}{', ' + event.clip if event.clip else ''})")
    out.print(plain(event.time or ""), span(event.start, event.end), shown)


def _summary(report: WatchReport) -> None:
    times = (
        ""
        if report.latency_median is None
        else f"; decided {report.latency_median:.1f} s after it began (median; worst {report.latency_worst:.1f} s)"
    )
    lost = f", {report.lost:.0f} s lost in {count_noun(report.cuts, 'cut')}" if report.cuts else ""
    skipped = f", {count_noun(report.skipped, 'window')} skipped" if report.skipped else ""
    err.print(
        plain(f"{count_noun(report.events, 'event')} in {report.heard:.0f} s of {report.source}{lost}{skipped}{times}")
    )
    for name, number in report.undelivered.items():
        later = "; what is spooled is sent by the next watch" if "://" in name else ""
        _tell(f"{name}: {count_noun(number, 'event was', 'events were')} not taken{later}")


VERBS: Verbs = {
    watch: (
        'openclap watch mic --alert "glass breaking" --alert "a baby crying"',
        'openclap watch rtsp://camera/stream --alert "a dog barking" --mqtt mqtt://broker/sounds',
    ),
}
