"""``placet-server people``: what a CSV file may hold, and what is said of one that is wrong."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from api.people_file import FileError, read_people
from domain.values import Role
from tests.api.test_cli import run
from tests.support.audit import findings

GOOD = (
    "\ufeffid,name,emails,groups\r\n"
    'ann,"Ann, the first",Ann@Example.org;a@example.org,finance;managers\r\n'
    "bob,,,finance\r\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


def people(*arguments: Any, url: str) -> subprocess.CompletedProcess[str]:
    return run("people", *map(str, arguments), url=url)


def listed(*arguments: str, url: str) -> list[Any]:
    return [json.loads(line) for line in people("list", *arguments, url=url).stdout.splitlines()]


def test_people_are_imported_listed_deactivated_and_reactivated(log_url: str, file: Path) -> None:
    file.write_text(GOOD, encoding="utf-8", newline="")
    assert people("import", file, url=log_url).stdout == "2 recorded, 0 unchanged, 0 refused\n"
    assert people("import", file, url=log_url).stdout == "0 recorded, 2 unchanged, 0 refused\n"

    ann, bob = listed(url=log_url)
    assert (ann["name"], ann["emails"]) == ("Ann, the first", ["Ann@Example.org", "a@example.org"])
    assert (ann["groups"], ann["roles"]) == (["finance", "managers"], ["APPROVER"])
    assert (bob["name"], bob["emails"], bob["source"]) == (None, [], "ADMIN")

    assert people("deactivate", "bob", "--reason=left", url=log_url).stdout == (
        "bob is deactivated\n"
    )
    assert "before" in people("deactivate", "bob", url=log_url).stdout
    assert [each["id"] for each in listed("--deactivated", url=log_url)] == ["bob"]
    assert [each["id"] for each in listed("--active", "--text=FIRST", url=log_url)] == ["ann"]
    assert people("reactivate", "bob", url=log_url).stdout == "bob is active again\n"
    assert [each["id"] for each in listed("--group=finance", url=log_url)] == ["ann", "bob"]
    unknown = people("deactivate", "tom", url=log_url)
    assert (unknown.returncode, unknown.stderr) == (
        1,
        "placet-server: the directory has no person 'tom'\n",
    )
    assert findings(log_url) == []


def test_of_a_wrong_file_nothing_is_recorded(log_url: str, file: Path) -> None:
    file.write_text("id,emails\nann,ann@example.org\nbob,bob\n")
    failed = people("import", file, url=log_url)
    assert failed.returncode == 1
    assert failed.stderr == (
        f"placet-server: {file}, line 3, column emails: 'bob' is not an e-mail address\n"
        "nothing was recorded\n"
    )
    assert listed(url=log_url) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"name\nAnn\n", "line 1: the column id is missing"),
        (b"id,team\nann,x\n", "line 1: there is no column 'team'"),
        (b"id,name,name\nann,x,y\n", "line 1: the column 'name' is there twice"),
        (b"id,name\n\nann,Ann\n,Bob\n", "line 4, column id: it must not be empty"),
        (b"id,groups\nann,a\nbob,b\nann,c\n", "line 4, column id: 'ann' is on line 2 already"),
        (b"id,groups\nann,a,b\n", "line 2, column roles: there are more values than columns"),
        (b"id,name,groups\nann,Ann\n", "line 2, column groups: the value is missing"),
        (b'id,name\nann,"Ann\nBob"x\n', "this is not CSV"),
        (b'id,groups\nann,"fin\nance"\n', "line 3, column groups: it holds a character"),
        (b"id,roles\nann,APPROVER;BOSS\n", "line 2, column roles: 'BOSS' is no role"),
        (b"id\nPlacet\n", "line 2, column id: the name 'Placet' is reserved"),
        (b"id,name\nann,\xc4nn\n", "line 2: this is not UTF-8"),
        (b"id\nann\x00\n", "line 2"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(content: bytes, said: str, file: Path) -> None:
    file.write_bytes(content)
    with pytest.raises(FileError) as refused:
        read_people(file)
    assert said in str(refused.value)


def test_only_so_many_problems_are_listed(file: Path) -> None:
    file.write_text("id,emails\n" + "".join(f"p{n},wrong\n" for n in range(50)))
    with pytest.raises(FileError, match="and 30 more problems"):
        read_people(file)


def test_an_empty_cell_of_roles_means_none_and_no_column_means_approvers(file: Path) -> None:
    file.write_text("id,roles\nann,\nbob,AUDITOR; ADMIN\n")
    ann, bob = (line.person for line in read_people(file))
    assert (set(ann.roles), set(bob.roles)) == (set(), {Role.AUDITOR, Role.ADMIN})
    file.write_text("id\nann\n")
    assert set(read_people(file)[0].person.roles) == {Role.APPROVER}
