"""nginx as the plainest router, beside which ours is measured: a line of log, an id, connections that last."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.running import wait_for

#: What both do for a request: an id that the service, the client and the log have, who asks, a line of JSON, and
#: connections to the worker that last.
_CONFIG = """
{user}
daemon off;
worker_processes {threads};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  log_format json escape=json '{{"t":$msec,"id":"$request_id","address":"$remote_addr","status":$status,'
    '"total_ms":"$request_time","server":"$upstream_addr","method":"$request_method","host":"$host",'
    '"uri":"$request_uri","version":"$server_protocol","bytes_in":$request_length,"bytes_out":$bytes_sent,'
    '"answer_ms":"$upstream_response_time","agent":"$http_user_agent"}}';
  access_log {folder}/access.log json;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  scgi_temp_path {folder}/scgi;
  uwsgi_temp_path {folder}/uwsgi;
  keepalive_requests 100000000;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_set_header X-Request-Id $request_id;
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Proto $scheme;
  add_header X-Request-Id $request_id always;
{upstreams}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
{locations}
  }}
}}
"""
_UPSTREAM = "  upstream {name} {{ server unix:{socket}; keepalive 64; keepalive_requests 100000000; }}"
_LOCATION = "    location /{name}/ {{ proxy_set_header X-Forwarded-Prefix /{name}; proxy_pass http://{name}; }}"


def program() -> str | None:
    """Path of nginx; None where there is none."""
    return shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


@contextmanager
def running(folder: Path, port: int, workers: Mapping[str, Path], threads: int = 1) -> Iterator[int]:
    """An nginx while the block runs; the pid of its master.

    Args:
        folder: where it writes; it is made.
        port: of loopback, at which it listens.
        workers: the socket of the worker of each app, by its name, which is its path too.
        threads: how many processes of it serve requests.
    """
    folder.mkdir()
    config = folder / "nginx.conf"
    config.write_text(
        _CONFIG.format(
            # Otherwise it serves as somebody who may not reach the sockets.
            user=f"user {getpass.getuser()};" if os.geteuid() == 0 else "",
            folder=folder,
            port=port,
            threads=threads,
            upstreams="\n".join(_UPSTREAM.format(name=name, socket=path) for name, path in workers.items()),
            locations="\n".join(_LOCATION.format(name=name) for name in workers),
        )
    )
    words = [program() or "nginx", "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)]
    process = subprocess.Popen(words)
    try:
        wait_for(lambda: _listens(port) or process.poll() is not None)
        if process.poll() is not None:
            raise SystemExit(f"nginx does not run:\n{(folder / 'error.log').read_text()}")
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
