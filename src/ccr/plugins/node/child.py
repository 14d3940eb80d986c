"""The Node process: started, listened to, watched, ended.

It ends with ccr in every case: its standard input closes, and where the system can, that very event ends it
even while a plugin's endless loop keeps it from noticing (SIGIO, whose default is to end the process).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ccr.plugins.node.frames import Connection, FrameError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ccr.plugins.log import PluginLog

SCRIPT: Final = Path(__file__).with_name("host.js")
START_S: Final = 10.0
"""Less than `ccr start` waits for the service, so that it can tell why nothing comes."""
END_S: Final = 2.0
HEAP_MB: Final = 1024
FULL_HEAP: Final = "JavaScript heap out of memory"
"""What Node prints before it ends itself by a signal."""
RECORD_BYTES: Final = 1 << 20


class ChildError(Exception):
    """The process could not be started; the text says why."""


class Child:
    """One life of the process. ``ended`` is set when it is over; then ``reason`` says how, ``ended_s`` when.

    last_entered: plugin and hook that ran last, whom to name when the process ends.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        lifeline: int,
        socket: Path,
        log: PluginLog,
        hang_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._process = process
        self._lifeline = lifeline
        self._log = log
        self._clock = clock
        self.socket = socket
        self._hang_s = hang_s
        self._calls = 0
        self._is_busy = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self.ended_s = 0.0
        self.reason = ""
        self.last_entered: tuple[str, str] | None = None

    @classmethod
    async def start(
        cls,
        command: str,
        socket: Path,
        log: PluginLog,
        environ: Mapping[str, str],
        *,
        deadline_s: float,
        hang_s: float,
        clock: Callable[[], float],
    ) -> Child:
        """Start it and wait until it listens on ``socket``. Raises ChildError."""
        stdin, lifeline = os.pipe()
        records, log_fd = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(command, f"--max-old-space-size={HEAP_MB}", str(SCRIPT), str(socket)),
                *(str(log_fd), log.level_for(), str(round(deadline_s * 1000))),
                stdin=stdin,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(log_fd,),
                env=dict(environ),
                start_new_session=True,  # Ctrl-C in a terminal is ccr's to handle: it drains first
            )
        except BaseException as error:
            os.close(lifeline)  # which ends a process that was started all the same
            os.close(records)
            if isinstance(error, OSError):
                raise ChildError(f"{command} does not run ({error.strerror})") from error
            raise
        else:
            _end_with_writer(stdin, process.pid)
        finally:
            os.close(stdin)
            os.close(log_fd)
        child = cls(process, lifeline, socket, log, hang_s, clock)
        await child._begin(records)
        return child

    async def _begin(self, records: int) -> None:
        """Read what the child says until it is ready."""
        reader = asyncio.StreamReader(limit=RECORD_BYTES)
        pipe = os.fdopen(records, "rb", 0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        output = [asyncio.create_task(self._read_records(reader, transport))]
        for stream, level in ((self._process.stdout, "info"), (self._process.stderr, "error")):
            if stream is not None:
                output.append(asyncio.create_task(self._read_text(stream, level)))
        self._tasks = [*output, asyncio.create_task(self._wait(output)), asyncio.create_task(self._watch())]
        try:
            async with asyncio.timeout(START_S):
                await asyncio.shield(self._ready)
        except TimeoutError:
            self.kill(f"it was not ready within {START_S:g} s")
            await self.close()
            raise ChildError(self.reason) from None
        except BaseException:
            await self.close()
            raise

    def begin_call(self) -> None:
        """Watch the process from here on; each call ends with ``end_call``."""
        self._calls += 1
        self._is_busy.set()

    def end_call(self) -> None:
        """Stop watching the process, unless other calls are under way."""
        self._calls -= 1
        if not self._calls:
            self._is_busy.clear()

    async def close(self) -> None:
        """End the process and wait for its end."""
        if not self.ended.is_set():
            self._close_lifeline()
            try:
                async with asyncio.timeout(END_S):
                    await self.ended.wait()
            except TimeoutError:
                self.kill("it was ended")
                await self.ended.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _close_lifeline(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def kill(self, reason: str) -> None:
        """End the process at once; ``ended`` follows. reason: unless there is one already."""
        self.reason = self.reason or reason
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _wait(self, output: list[asyncio.Task[None]]) -> None:
        status = await self._process.wait()
        # A process the plugin left behind may hold the pipes open for ever.
        await asyncio.wait(output, timeout=END_S)
        how = f"ended by signal {-status}" if status < 0 else f"ended with exit code {status}"
        self.reason = self.reason or how
        self._close_lifeline()
        if not self._ready.done():
            self._ready.set_exception(ChildError(self.reason))
            self._ready.exception()  # it may be that nobody waits any more
        self.ended_s = self._clock()
        self.socket.unlink(missing_ok=True)
        self.ended.set()

    async def _watch(self) -> None:
        """Kill the process when it does not answer although calls are under way."""
        while True:
            await self._is_busy.wait()
            await asyncio.sleep(self._hang_s / 3)
            if not self._calls or self.ended.is_set():
                continue
            try:
                async with asyncio.timeout(self._hang_s):
                    await _ping(self.socket)
            except TimeoutError:
                self.kill(f"did nothing for {self._hang_s:g} s and was killed")
                return
            except FrameError:
                continue  # it is ending; the calls see that themselves

    async def _read_records(self, reader: asyncio.StreamReader, transport: asyncio.BaseTransport) -> None:
        try:
            while line := await reader.readline():
                self._take(msgspec.json.decode(line))
        except (ValueError, msgspec.DecodeError) as error:  # a plugin wrote to the pipe itself
            self._log.step("plugins").write("error", f"the records of the Node process are broken: {error}")
        finally:
            transport.close()

    def _take(self, record: dict[str, Any]) -> None:
        if "ready" in record:
            self._ready.set_result(None)
        elif "fatal" in record:
            self.reason = record["fatal"]
        else:
            # what is written was decided there, by the level of each plugin
            self._log.step(record["plugin"], debug=True).write(record["level"], record["text"])

    async def _read_text(self, stream: asyncio.StreamReader, level: str) -> None:
        """Log what is written past the loggers: by Node itself, by programs a plugin starts."""
        log = self._log.step("node")
        while data := await stream.read(8192):
            for line in data.decode(errors="replace").splitlines():
                if FULL_HEAP in line:
                    self.reason = self.reason or f"ran out of memory (its heap has {HEAP_MB} MB)"
                if line.strip():
                    log.write(level, line)


async def _ping(socket: Path) -> None:
    connection = await Connection.open(socket)
    try:
        await connection.send_json({"do": "ping"})
        await connection.read()
    finally:
        connection.close()


def _end_with_writer(descriptor: int, pid: int) -> None:
    """Have the system end process ``pid`` when the other end of the pipe ``descriptor`` closes."""
    with contextlib.suppress(OSError):  # where pipes cannot do that, the process's own listening is left
        fcntl.fcntl(descriptor, fcntl.F_SETOWN, pid)
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
