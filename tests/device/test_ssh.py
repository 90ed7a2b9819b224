"""device/ssh.py: a real sshd is reached or refuses, each refusal with what to do."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekd.device.host import check_host, connect
from edgekd.device.ssh import Line, refused
from edgekd.errors import DeviceError, MissingError, UsageError
from tests.device.sshd import Sshd, served
from tests.needs import need_tool


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    """A machine that `ssh device` reaches."""
    with served(tmp_path) as machine:
        monkeypatch.setenv("EDGEKD_SSH", machine.client)
        yield machine


@pytest.mark.parametrize("host", ["", "-oProxyCommand=reboot", "user@orin; reboot", "a\nb"])
def test_what_can_be_no_host(host: str) -> None:
    """Neither an option of ssh nor two words reach the client."""
    with pytest.raises(UsageError, match=r"a host is 'local' or what `ssh` takes, as user@orin or a name in ~/\.ssh/config; got"):
        check_host(host)


def test_a_command_over_there(machine: Sshd) -> None:
    """Its words arrive as they are, whatever the shell makes of such signs, over one shared connection."""
    line = Line("device")
    try:
        line.open()
        assert line.run("printf", "%s|", "a b", "$HOME", "it's", '"', "*") == "a b|$HOME|it's|\"|*|"
        before = (machine.folder / "log").read_text().count("Accepted publickey")
        line.run("true")
        assert (machine.folder / "log").read_text().count("Accepted publickey") == before == 1
        with pytest.raises(DeviceError, match=r"device must give commands a POSIX shell; `sh` ended with code 3: no such luck"):
            line.run("sh", "-c", "echo no such luck >&2; exit 3")
    finally:
        line.close()


def test_another_key_than_the_known_one(machine: Sshd) -> None:
    """The line to look at it by hand, or to take the old key away."""
    other = machine.folder / "other"
    subprocess.run([need_tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    (machine.folder / "known").write_text(f"[127.0.0.1]:{machine.port} {other.with_suffix('.pub').read_text()}")
    with pytest.raises(DeviceError, match=r"device cannot be reached: .*REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed"):
        with connect("device"):
            pass


def test_a_host_that_nobody_knows_yet(machine: Sshd) -> None:
    """Its key is never taken unseen."""
    (machine.folder / "known").write_text("")
    with pytest.raises(DeviceError, match=r"Host key verification failed.* Connect once by hand and check its key: ssh device"):
        with connect("device"):
            pass


def test_a_key_that_is_not_let_in(machine: Sshd) -> None:
    """No password is asked for; the line that puts the key there is named."""
    (machine.folder / "authorized").write_text("")
    with pytest.raises(DeviceError, match=r"Permission denied.*No password is asked for here\. Put your key there: ssh-copy-id device"):
        with connect("device"):
            pass


def test_nobody_listens(machine: Sshd) -> None:
    """The port is shut."""
    machine.stop()
    with pytest.raises(DeviceError, match=r"Connection refused\. Start sshd there, or name its port in ~/\.ssh/config\."):
        with connect("device"):
            pass


def test_words_that_are_not_known() -> None:
    """They are passed on, with the way to try it by hand."""
    assert str(refused("orin", "kex_exchange_identification: banner\n")) == (
        "orin cannot be reached: kex_exchange_identification: banner. Try it by hand: ssh orin"
    )


@pytest.mark.parametrize("name", ["with spaces", "100%"])
def test_a_temporary_folder_of_any_name(machine: Sshd, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The socket's path stands in a line of ssh's configuration, where spaces part words and % begins a token."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:  # a socket's path is short
        (Path(folder) / name).mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(Path(folder) / name))
        line = Line("device")
        line.open()
        assert line.run("echo", "there") == "there"
        line.close()


def test_an_empty_wish_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """EDGEKD_SSH of nothing is ssh."""
    monkeypatch.setenv("EDGEKD_SSH", "")
    assert Line("orin").command("true")[0] == "ssh"


def test_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package that has it is named."""
    monkeypatch.setenv("EDGEKD_SSH", "no-such-client -v")
    with pytest.raises(MissingError, match=r"orin is reached by OpenSSH's client, and there is no 'no-such-client' here\. Install openssh-client\."):
        Line("orin")


def test_a_closed_line_leaves_nothing(machine: Sshd, tmp_path: Path) -> None:
    """Neither the shared connection nor its socket."""
    line = Line("device")
    line.open()
    socket = next(word.partition("=")[2].strip('"') for word in line.command("true") if word.startswith("-oControlPath="))
    assert Path(socket).exists()
    line.close()
    assert not Path(socket).parent.exists()


def test_the_python_of_these_tests_is_found(machine: Sshd) -> None:
    """The first on the path over there that has numpy and ONNX Runtime."""
    with connect("device") as session, session.start() as agent:
        assert agent.ask("start")["runtimes"]["onnxruntime"]
        assert agent.ask("facts")["python"].startswith(".".join(map(str, sys.version_info[:2])))
