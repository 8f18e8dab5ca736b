# ruff: noqa: N802, ARG002 - names and arguments are the protocol's
"""The smallest Python language host: runs the program in this process, on the SDK's own server.

`python -m point_local.preview.standin.language` prints its port and serves until its standard input ends; the engine
finds it by PULUMI_DEBUG_LANGUAGES. A user's machine has Pulumi's own.
"""

import os
import runpy
import sys
from concurrent import futures
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.automation._server import LanguageServer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS  # pyright: ignore[reportPrivateUsage]
from pulumi.runtime.proto import language_pb2, language_pb2_grpc


class LanguageHost(LanguageServer):
    """Runs the folder's `__main__.py`, as `python folder` does."""

    def __init__(self) -> None:
        super().__init__(self._program)
        self._engine, self._folder = "", ""

    def Handshake(self, request: Any, context: Any) -> Any:
        self._engine = request.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def Run(self, request: Any, context: Any) -> Any:
        self._folder = os.path.normpath(
            os.path.join(request.info.program_directory, request.info.entry_point or ".")
        )
        os.chdir(request.pwd or request.info.program_directory)
        request.args[:] = [self._engine]  # where the SDK's server looks for the engine
        return super().Run(request, context)

    def _program(self) -> None:
        sys.argv = [self._folder]
        runpy.run_path(self._folder, run_name="__main__")

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:
        return language_pb2.GetProgramDependenciesResponse()

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:
        return language_pb2.RuntimeOptionsResponse()

    def InstallDependencies(self, request: Any, context: Any) -> Any:
        return iter(())

    def Cancel(self, request: Any, context: Any) -> Any:
        return empty_pb2.Empty()


def main() -> None:
    """Serve until standard input ends, which it does when the process that started this one ends."""
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4), options=_GRPC_CHANNEL_OPTIONS)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(), server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(None)


if __name__ == "__main__":
    main()
