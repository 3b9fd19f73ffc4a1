"""What is told of an address at which nobody can listen."""

from __future__ import annotations

import socket

import pytest

from indexer.app.site import CannotListen, listen


@pytest.mark.parametrize("host", ["no-such-name.invalid", "203.0.113.7"])
def test_a_host_that_is_not_ours_is_no_matter_of_the_port(host: str) -> None:
    with pytest.raises(CannotListen) as caught:
        listen(host, 0)
    assert "set service.host to an address of this machine" in str(caught.value)
    assert "free the port" not in str(caught.value)


def test_a_port_that_is_taken_is_told_as_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CannotListen) as caught:
        listen("127.0.0.1", taken.getsockname()[1])
    assert "free the port, or set another one as service.port" in str(caught.value)
