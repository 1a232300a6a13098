"""The commands by which an operator tries mail, and keeps messages back after a restore."""

import json
import re
from pathlib import Path

import psycopg

from tests.api.channels.email.postbox import postbox
from tests.support.forked import PLACET_SERVER, run

SETTINGS = {
    "PLACET_MAIL_FROM": "Placet <placet@example.com>",
    "PLACET_PUBLIC_URL": "https://placet.example.com",
}


def test_a_trial_mail_arrives_and_what_is_wrong_is_said_in_one_line() -> None:
    with postbox() as box:
        env = {**SETTINGS, "PLACET_SMTP_URL": box.url}
        done = run(PLACET_SERVER, "mail-test", "ops@example.com", env=env)
        assert done.returncode == 0, done.stderr
        assert done.stdout == (
            f"127.0.0.1:{box.port} took the mail to ops@example.com and answered: taken\n"
        )
        assert box.received[0].recipient == "ops@example.com"
        box.recipient_answer = lambda _: "550 no such person"
        for address, said in (("ops", "is not an address"), ("ops@example.com", "550 no such")):
            failed = run(PLACET_SERVER, "mail-test", address, env=env)
            assert failed.returncode == 1
            assert said in failed.stderr
            assert failed.stderr.count("\n") == 1
    missing = run(PLACET_SERVER, "mail-test", "ops@example.com", env=SETTINGS)
    assert "set PLACET_SMTP_URL" in missing.stderr


def test_what_waits_can_be_kept_back(log_url: str) -> None:
    with psycopg.connect(log_url) as connection:
        connection.execute(
            "INSERT INTO outbox_messages (id, kind, recipient, channel, version, position, due_at)"
            " VALUES (gen_random_uuid(), 'OPENED', 'ann', 'email', 1, 1, clock_timestamp())"
        )
    env = {"PLACET_DATABASE_URL": log_url}
    done = run(PLACET_SERVER, "outbox", "hold", env=env)
    assert done.stdout.startswith("1 messages are kept back"), done.stderr
    dead = json.loads(run(PLACET_SERVER, "outbox", "dead", env=env).stdout)
    assert (dead["recipient"], dead["channel"], dead["approval"]) == ("ann", "email", None)
    assert "after a restore" in dead["reason"]
    neither = run(PLACET_SERVER, "outbox", "resend", env=env)
    assert neither.returncode == 1
    assert "give the ids of dead letters, or --channel" in neither.stderr
    for arguments in (["--channel", "slack"], [dead["id"]], ["--channel", "email"]):
        again = run(PLACET_SERVER, "outbox", "resend", *arguments, env=env)
        count = 1 if arguments == [dead["id"]] else 0
        assert again.stdout == f"{count} messages are sent again\n", again.stderr


def test_the_set_up_of_the_documentation_sends_a_mail() -> None:
    page = (Path(__file__).parents[2] / "docs/notifications.md").read_text()
    first = page.partition("```sh\n")[2].partition("```")[0]
    variables = dict(re.findall(r"^export (\w+)='?(.*?)'?$", first, re.MULTILINE))
    assert "@mail.example.com:587" in variables["PLACET_SMTP_URL"]
    command = first.splitlines()[-1].split()
    assert command[0] == "placet-server"
    with postbox() as box:
        env = {**variables, "PLACET_SMTP_URL": box.url}
        done = run(PLACET_SERVER, *command[1:], env=env)
        assert done.returncode == 0, done.stderr
        assert box.received[0].recipient == "you@example.com"
        assert variables["PLACET_PUBLIC_URL"] in box.received[0].body("plain")
