from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest
from typer.testing import CliRunner

import netvlad as package
from netvlad.cli import (
    compare,
    cutouts,
    demo,
    evaluate,
    fit,
    import_matconvnet,
    index,
    info,
    locate,
    main,
    models,
    synthesise,
    train,
)
from netvlad.pretrained import listing

MODULES = (index, locate, evaluate, compare, fit, models, import_matconvnet, info, demo, cutouts, synthesise, train)
COMMANDS = {module.__name__.rpartition(".")[2].replace("_", "-"): module for module in MODULES}


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example_and_is_not_cut(name):
    ran = CliRunner(env={"COLUMNS": "80"}).invoke(main.app, [name, "--help"])
    assert ran.exit_code == 0
    example = COMMANDS[name].EXAMPLE
    assert f"netvlad {name}" in example
    assert example in one_line(ran.output)
    assert one_line(COMMANDS[name].run.__doc__.splitlines()[0]) in one_line(ran.output)
    assert "…" not in ran.output


def test_help_lists_every_command(netvlad):
    ran = netvlad("--help")
    assert ran.code == 0
    for name, module in COMMANDS.items():
        assert name in ran.out
        assert one_line(module.run.__doc__.splitlines()[0])[:30] in ran.out


def test_help_imports_nothing_heavy():
    heavy = ("torch", "timm", "lance", "faiss", "numpy", "matplotlib", "pyarrow", "scipy", "PIL")
    script = f"""
import sys
from netvlad.cli.main import main
for arguments in (["--help"], ["index", "--help"], ["--version"], ["locate"]):
    sys.argv = ["netvlad", *arguments]
    try:
        main()
    except SystemExit:
        pass
print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stderr.splitlines()[-1] == "[]"


def test_version(netvlad):
    ran = netvlad("--version")
    assert (ran.code, ran.out) == (0, f"{package.__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["index"], "Missing argument 'photos'"),
        (["index", "photos"], "Missing option '--out'"),
        (["locate", "q.jpg"], "--index or --server"),
        (["locate", "q.jpg", "--index", "a.vpr", "--top", "0"], "'--top'"),
        (["locate", "q.jpg", "--index", "a.vpr", "--top", "many"], "'--top'"),
        (["index", "photos", "--out", "a.vpr", "--workers", "-1"], "'--workers'"),
        (["index", "photos", "--out", "a.vpr", "--resize", "-1"], "'--resize'"),
        (["fit", "--places", "p", "--out", "m", "--clusters", "1"], "'--clusters'"),
        (["models", "--json"], "No such option"),
        ([], "Usage"),
    ],
)
def test_wrong_use_ends_with_2(netvlad, arguments, words):
    ran = netvlad(*arguments)
    assert ran.code == 2
    assert words in ran.out + ran.err
    assert "Traceback" not in ran.err


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(netvlad, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(listing, "listed_backbones", interrupted)
    ran = netvlad("models")
    assert (ran.code, ran.err) == (130, "netvlad: interrupted; run the same command again to go on\n")


def test_what_the_disk_refuses_is_told_in_a_line(refused, town, index):
    photo = town / "0.jpg"
    assert "is a file" in refused("index", town, "--out", photo / "a.vpr", "--model", "test_resnet-max")
    assert "is a file" in refused("locate", photo, "--index", index, "--map", photo / "m.html")
    assert "is a folder" in refused("locate", photo, "--index", index, "--map", town)


def test_warnings_about_metadata_that_name_no_photo_are_not_shown(monkeypatch, capsys):
    def warned(*arguments, **options):
        for module in ("PIL.TiffImagePlugin", "netvlad.maps.index"):
            warnings.warn_explicit(f"a warning of {module}", UserWarning, "file.py", 1, module=module)
        return []

    monkeypatch.setattr(listing, "listed_backbones", warned)
    monkeypatch.setattr(sys, "argv", ["netvlad", "models"])
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        monkeypatch.setattr(warnings, "showwarning", lambda message, *_: print(f"shown: {message}"))
        with pytest.raises(SystemExit):
            main.main()
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("shown")]
    assert shown == ["shown: a warning of netvlad.maps.index"]


def test_an_error_of_the_program_is_not_hidden(monkeypatch):
    def bug():
        raise ZeroDivisionError

    monkeypatch.setattr(listing, "listed_backbones", bug)
    monkeypatch.setattr(sys, "argv", ["netvlad", "models"])
    with pytest.raises(ZeroDivisionError):
        main.main()


@pytest.mark.parametrize("buffering", [1, -1])  # found out while printing, or at the end
def test_a_reader_that_has_gone_is_no_error(monkeypatch, capsys, buffering):
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", buffering)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", sys.stderr)  # typer replaces both
    monkeypatch.setattr(sys, "argv", ["netvlad", "--version"])
    with pytest.raises(SystemExit) as end:
        main.main()
    stream.close()  # as the interpreter does at its end
    assert end.value.code == 0
    assert capsys.readouterr().err == ""


def run_module(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`python -m netvlad` in a process of its own."""
    command = [sys.executable, "-m", "netvlad", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def test_python_m_netvlad():
    ran = run_module("--version")
    assert (ran.returncode, ran.stdout) == (0, f"{package.__version__}\n")


def test_completion_in_a_shell():
    ran = run_module("--show-completion", "bash")
    assert ran.returncode == 0
    assert "_netvlad_completion" in ran.stdout
    ran = run_module(_NETVLAD_COMPLETE="complete_bash", COMP_WORDS="netvlad eval", COMP_CWORD="1")
    assert ran.stdout.split() == ["evaluate"]


def test_a_broken_plug_in_breaks_no_help(tmp_path):
    """Entry points that fail when they are imported, in every group."""
    groups = ("models", "poolings", "rankers", "benchmarks", "losses")
    lines = [line for group in groups for line in (f"[netvlad.{group}]", f"broken-{group} = broken_plug_in:anything")]
    facts = tmp_path / "broken_plug_in-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-plug-in\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "broken_plug_in.py").write_text("raise RuntimeError('broken')\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    for arguments in (["--help"], ["evaluate", "--help"], ["train", "--help"]):
        ran = run_module(*arguments, PYTHONPATH=path)
        assert (ran.returncode, ran.stderr) == (0, "")
