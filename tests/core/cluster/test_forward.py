"""Forwards as they are kept: presets, checks of own entries, JupyterLab's port file."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkdesk.core.cluster.forward import ForwardSpec, check_spec, find_jupyter_port, preset_specs, url_of
from sparkdesk.core.errors import SettingsError

OWN = ForwardSpec(id="f1", node_id="n1", kind="own", title="My page", port=3000)
# The form that owners of a Spark show.
PORTS_FILE = """
users:
    - username: nobody
      jupyterlab_port: 11001
    - username: nvidia   # the first account
      jupyterlab_port: 11002
    - username: 'second'
      jupyterlab_port: 11003
"""


def test_every_node_has_the_dashboard_and_four_more() -> None:
    specs = preset_specs("n1")
    assert [spec.kind for spec in specs] == ["dashboard", "jupyter", "open-webui", "comfyui", "tensorboard"]
    assert [spec.port for spec in specs] == [11000, 0, 8080, 8188, 6006]
    assert len({spec.id for spec in (*specs, *preset_specs("n2"))}) == 10
    assert not any(spec.is_wanted for spec in specs)


def test_a_forward_goes_through_json_unharmed() -> None:
    spec = replace(OWN, host="10.0.0.7", scheme="https", path="/a?b=c#d", is_wanted=True)
    assert ForwardSpec.from_json(spec.to_json() | {"later": 1}) == spec
    assert url_of(spec, 40123) == "https://127.0.0.1:40123/a?b=c#d"


def test_an_own_entry_is_trimmed() -> None:
    assert check_spec(replace(OWN, title="  My \t page ", host=" 127.0.0.1 ")) == OWN


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "fd00::17", "db.local", "my_box"])
def test_a_plain_host_is_taken(host: str) -> None:
    assert check_spec(replace(OWN, host=host)).host == host


@pytest.mark.parametrize(
    "changes",
    [
        {"port": 0},
        {"port": -1},
        {"port": 65536},
        {"host": ""},
        {"host": "-oProxyCommand=x"},
        {"host": "http://a"},
        {"host": "a b"},
        {"host": "a/b"},
        {"host": "a\nb"},
        {"host": "$(id)"},
        {"title": ""},
        {"title": "x" * 61},
        {"title": "a\x1b[31m"},
        {"title": "a\u202eb"},
        {"scheme": "javascript"},
        {"scheme": "file"},
        {"path": "no-slash"},
        {"path": "/a b"},
        {"path": "/a\nb"},
        {"path": "/" + "x" * 400},
    ],
)
def test_what_is_wrong_with_an_own_entry_is_said(changes: dict[str, object]) -> None:
    with pytest.raises(SettingsError):
        check_spec(replace(OWN, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("user", "port"), [("nobody", 11001), ("nvidia", 11002), ("second", 11003), ("third", None), ("", None)]
)
def test_a_users_jupyterlab_port_is_found(user: str, port: int | None) -> None:
    assert find_jupyter_port(PORTS_FILE, user) == port


@pytest.mark.parametrize("text", ["me: 11004\n", '"me" : 11004 # mine\n', "- username: me\n  jupyterlab_port: '11004'"])
def test_other_spellings_of_the_file_are_understood(text: str) -> None:
    assert find_jupyter_port(text, "me") == 11004


@pytest.mark.parametrize("value", ["0", "70000", "-5", "x", "", "1e4", "\u0661\u0661"])
def test_what_is_no_port_is_not_taken_for_one(value: str) -> None:
    assert find_jupyter_port(f"- username: me\n  jupyterlab_port: {value}\n", "me") is None


@given(st.text(), st.text(max_size=8))
def test_any_file_is_read_without_a_fall(text: str, user: str) -> None:
    port = find_jupyter_port(text, user)
    assert port is None or 0 < port < 65536
