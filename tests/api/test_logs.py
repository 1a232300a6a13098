"""No line of the log has a secret of a URL in it, whoever writes the line."""

import json
import subprocess
import sys

PROGRAM = """
import logging, structlog
from api import logs
logs.configure("debug")
url = "wss://slack.example/link/?ticket=SECRET"
structlog.get_logger("placet").warning("slack_socket_failed", error=f"403, url='{url}'")
logging.getLogger("a.library").error("can't reach %s", "https://ann:SECRET@hooks.example/in")
logging.getLogger("apprise").info("SECRET")
try:
    raise OSError(url)
except OSError:
    structlog.get_logger("placet").exception("slack_click_failed")
"""


def test_no_line_has_a_secret_of_a_url() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["warning", "error", "error"]
    assert lines[0]["error"] == "403, url='wss://slack.example/link/?***'"
    assert lines[1]["event"] == "can't reach https://***@hooks.example/in"
    assert "OSError: wss://slack.example/link/?***" in lines[2]["exception"]
    assert "SECRET" not in done.stderr
