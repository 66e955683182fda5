"""``--trace`` and ``dyadnet replay``: mistakes are told in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dyadnet.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["train", "--trace", "x.trace"], "record.trace: 'x.trace' is not legal; only mode free needs a trace"),
        (["train", "--engine", "local", "--trace", "x.trace"], "only mode free needs a trace"),
        (["train", "--mode", "free", "--trace", "there"], "it exists already; name a new file"),
        (
            ["train", "--mode", "free", "--trace", "no/x.trace"],
            "it cannot be written there (No such file",
        ),
        (
            ["train", "--mode", "free", "--trace", "x.trace", "--detach", "--address", "auto"],
            "the driver writes the trace, and a run that is left has none",
        ),
        (["replay", "nothing"], "nothing: no trace here (No such file or directory)"),
        (["replay", "."], "no trace here (Is a directory)"),
        (["replay", "there"], "there: this is no trace; dyadnet train --trace writes one"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there").write_text("something else")
    with pytest.raises(SystemExit) as ended:
        main([*arguments, *(["--out", "run"] if arguments[0] == "train" else [])])
    assert ended.value.code == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert line.startswith("dyadnet: ")
    assert why in line
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
