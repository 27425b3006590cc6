"""A plan as a text to read: what will run, and the way back."""

from __future__ import annotations

from sparkdesk.core.command import Command
from sparkdesk.core.step import Keep, Playbook, Push, PutFile, PutSecrets, Relay, Run, Serve, Stage, Step
from ui.playbook.plan_text import MAX_FILE_LINES, plan_text, undo_text

UNDO = (Run(Command(("rm", "/etc/x")), as_root=True),)
STEPS = (
    Step("a", "Write the file", "node0", (PutFile("/etc/x", b"one\ntwo\n", 0o644, as_root=True),), undo=UNDO),
    Step("b", "Look at it", "node0", (Run(Command(("cat", "/etc/x"))),), check=(Run(Command(("true",))),)),
)
PLAYBOOK = Playbook("Two steps", tuple(Stage(step.title, (step,)) for step in STEPS))


def test_the_plan_shows_commands_files_and_where_root_is_used() -> None:
    plan = plan_text(PLAYBOOK, lambda _node: "spark-5c2d")
    assert plan.text == (
        "1. Write the file · spark-5c2d\n# as root, through sudo:\nwrite /etc/x (mode 644, 8 bytes)\n+ one\n+ two\n"
        "\n2. Look at it · spark-5c2d\n# first: is there anything to do?\ntrue\n# if so:\ncat /etc/x"
    )
    assert plan.line_of("b") == 6


def test_another_node_that_takes_part_is_called_by_its_name() -> None:
    names = {"node0": "spark-5c2d", "node1": "spark-bd26"}
    hand_on = Relay("node1", Command(("cat", "key.pub")), "public_key", Command(("tee", "peer.pub")))
    serve = Serve("node1", Command(("iperf3", "-s")), Command(("iperf3", "-c", "192.168.100.31")))
    playbook = Playbook("Mesh", (Stage("Keys", (Step("k", "Bring the key", "node0", (hand_on, serve)),)),))
    said = plan_text(playbook, names.__getitem__).text
    assert "# on spark-bd26 (what it prints must pass the reader public_key):\ncat key.pub" in said
    assert "# on spark-bd26:\niperf3" in said
    assert "node1" not in said


def test_the_way_back_is_shown_from_the_last_step_to_the_first() -> None:
    plan = undo_text(PLAYBOOK, str)
    assert plan.text.startswith("1. Look at it · node0\n# nothing to take back\n\n2. Write the file")
    assert plan.text.endswith("# as root, through sudo:\nrm /etc/x")


def test_a_file_that_a_command_will_write_is_said_to_be_kept_as_root() -> None:
    step = Step("k", "Tell docker", "n", (Keep("/etc/docker/daemon.json", as_root=True),))
    said = plan_text(Playbook("p", (Stage("s", (step,)),)), str).text
    assert said.endswith("# as root, through sudo:\nkeep /etc/docker/daemon.json as it is, for undo")


def test_a_file_that_is_long_or_no_text_says_so() -> None:
    long = PutFile("~/x", b"row\n" * (MAX_FILE_LINES + 2))
    step = Step("f", "Files", "n", (long, PutFile("~/y", b"\xff\xfe")))
    said = plan_text(Playbook("p", (Stage("s", (step,)),)), str).text
    assert "# 2 more lines" in said
    assert said.endswith("write ~/y (mode 600, 2 bytes), which is no text")


def test_hostile_output_and_titles_cannot_break_the_text() -> None:
    step = Step("h", "a\n2. Fake · spark", "n", (Run(Command(("echo", "\x1b[2J"))),))
    said = plan_text(Playbook("p", (Stage("s", (step,)),)), str).text
    assert "\x1b" not in said
    assert "\n2. Fake" not in said


def test_secrets_are_named_never_shown_and_what_is_sent_says_from_where() -> None:
    secrets = PutSecrets("~/job/secrets.json", (("HF_TOKEN", "hub_token?"), ("VLLM_API_KEY", "api_key:j1")))
    step = Step("a", "Bring it", "n", (secrets, Push("o/n@main", "~/hub", "repo")))
    said = plan_text(Playbook("p", (Stage("s", (step,)),)), str).text
    assert "write ~/job/secrets.json (mode 600) with the secrets HF_TOKEN, VLLM_API_KEY" in said
    assert "send the model files of o/n@main from this computer to ~/hub" in said
