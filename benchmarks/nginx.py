"""nginx as the stub upstream that responds at once, with and without TLS, and as the floor that only relays."""

from pathlib import Path

# One process in the foreground that writes only into its own folder.
_COMMON = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; default_type application/json;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_timeout 3600s; keepalive_requests 100000000; tcp_nodelay on;
{servers}
}}
"""

_STUB = """
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    listen 127.0.0.1:{tls_port} ssl backlog=2048;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
    location /sms.json {{
      return 200 '{{"id":"$request_id","timestamp":"2025-01-01T00:00:00.0000000Z","responseCode":0,"responseText":"SMS sent","textLength":34,"messageParts":1}}';
    }}
    location /status {{ stub_status; }}
  }}
"""  # noqa: E501 - one line of JSON

_RELAY = """
  upstream mitto {{ server {upstream}; keepalive 512; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{
      proxy_pass http://mitto/sms.json; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Mitto-API-Key {api_key};
    }}
  }}
"""


def write_stub(folder: Path, port: int, tls_port: int) -> list[str]:
    """Write the configuration of the stub and return its command. ``folder`` must contain ``server.pem`` and ``server.key``."""
    return _write(folder, _STUB.format(port=port, tls_port=tls_port, folder=folder))


def write_relay(folder: Path, port: int, upstream: str, api_key: str) -> list[str]:
    """Write the configuration of a relay to ``upstream`` (host and port) and return its command."""
    return _write(folder, _RELAY.format(port=port, upstream=upstream, api_key=api_key))


def _write(folder: Path, servers: str) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "nginx.conf"
    path.write_text(_COMMON.format(folder=folder, servers=servers))
    return ["nginx", "-p", str(folder), "-c", str(path), "-e", str(folder / "error.log")]
