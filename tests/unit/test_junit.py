from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from pytest_reseval.outcomes import Cause
from pytest_reseval.records import Manifest
from pytest_reseval.reports.junit import enrich
from tests.unit.builders import make_manifest, make_record


def report(path: Path, *cases: tuple[str, str], body: str = "<error message='m'>t</error>") -> Path:
    """A file as pytest writes it, with cases of a class name and a name."""
    suite = ElementTree.Element("testsuite", name="pytest")
    for classname, name in cases:
        case = ElementTree.SubElement(suite, "testcase", classname=classname, name=name)
        case.append(ElementTree.fromstring(body))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    file = path / "report.xml"
    ElementTree.ElementTree(root).write(file)
    return file


def types(file: Path) -> list[str | None]:
    return [error.get("type") for error in ElementTree.parse(file).iter("error")]


def lost(trial: str, cause: Cause = Cause.OOM_LIMIT) -> dict[str, Any]:
    return make_record(cause=cause, trial=trial).builtins()


@pytest.mark.parametrize(
    ("trial", "classname", "name"),
    [
        ("tasks/a/task.toml::run[3x-s0]", "tasks.a.task.toml", "run[3x-s0]"),
        ("test_a.py::test_x[3x-s0]", "test_a", "test_x[3x-s0]"),
        ("t/test_a.py::TestA::TestB::test_x[3x-s0]", "t.test_a.TestA.TestB", "test_x[3x-s0]"),
        ("test_a.py::test_x[a/b::c[d]-3x-s0]", "test_a", "test_x[a/b::c[d]-3x-s0]"),
        ("tasks/a[1]/task.toml::run[3x-s0]", "tasks.a[1].task.toml", "run[3x-s0]"),
        ("test_a.py::test_x", "test_a", "test_x"),
    ],
)
@pytest.mark.parametrize("prefix", [None, "nightly"])
def test_a_case_is_found_by_its_address(
    tmp_path: Path, trial: str, classname: str, name: str, prefix: str | None
) -> None:
    file = report(tmp_path, (f"{prefix}.{classname}" if prefix else classname, name))
    enrich(file, [lost(trial)], None, prefix)
    assert types(file) == ["oom-limit"]


def test_pytest_itself_gives_these_addresses(pytester: pytest.Pytester) -> None:
    source = (
        "import pytest\n"
        "class TestA:\n"
        "    @pytest.fixture(params=['a/b', 'c::d', 'e[f]', '\\x1b'])\n"
        "    def broken(self, request): assert 0\n"
        "    def test_x(self, broken): pass\n"
    )
    (pytester.path / "sub").mkdir()
    (pytester.path / "sub" / "test_a.py").write_text(source)
    result = pytester.runpytest_subprocess("--junitxml=report.xml", "--junitprefix=p", "-rE")
    result.assert_outcomes(errors=4)
    ids = ["a/b", "c::d", "e[f]", r"\x1b"]
    verdicts = [lost(f"sub/test_a.py::TestA::test_x[{name}]") for name in ids]
    enrich(pytester.path / "report.xml", verdicts, None, "p")
    assert types(pytester.path / "report.xml") == ["oom-limit"] * 4


def test_only_infra_errors_get_a_type(tmp_path: Path) -> None:
    file = report(tmp_path, ("tasks.a.task.toml", "run[3x-s0]"), ("test_b", "test_other"))
    enrich(file, [lost("tasks/a/task.toml::run[3x-s0]", Cause.WRONG)], None)
    assert types(file) == [None, None]


def test_each_case_gets_its_own_cause(tmp_path: Path) -> None:
    file = report(tmp_path, ("a", "run[1x-s0]"), ("a", "run[3x-s0]"), ("a", "run[3x-s1]"))
    verdicts = [
        lost("a::run[3x-s0]", Cause.START),
        lost("a::run[1x-s0]"),
        lost("a::run[3x-s1]", Cause.WORKER_CRASH),
    ]
    enrich(file, verdicts, None)
    assert types(file) == ["oom-limit", "start", "worker-crash"]


def test_an_error_says_what_the_record_says(tmp_path: Path) -> None:
    setup = "<error message='failed on setup with &quot;x&quot;'>t</error>"
    file = report(tmp_path, ("a", "run[1x-s0]"), body=setup)
    enrich(
        file, [make_record(cause=Cause.START, trial="a::run[1x-s0]", message="no").builtins()], None
    )
    [error] = ElementTree.parse(file).iter("error")
    assert (error.get("message"), error.text) == ("start: no", "t")


def test_another_error_of_the_same_case_is_left_alone(tmp_path: Path) -> None:
    file = report(tmp_path, ("a", "run[1x-s0]"))
    text = file.read_text()
    file.write_text(text.replace("</testcase>", "<error message='a crash' /></testcase>"))
    enrich(file, [lost("a::run[1x-s0]")], None)
    first, second = ElementTree.parse(file).iter("error")
    assert first.get("type") == "oom-limit"
    assert (second.get("type"), second.get("message")) == (None, "a crash")


def test_a_long_message_is_cut(tmp_path: Path) -> None:
    file = report(tmp_path, ("a", "run[1x-s0]"))
    record = make_record(cause=Cause.START, trial="a::run[1x-s0]", message="no " * 1000)
    enrich(file, [record.builtins()], None)
    [error] = ElementTree.parse(file).iter("error")
    assert len(error.get("message", "")) == 500


def test_an_error_of_the_teardown_is_left_alone(tmp_path: Path) -> None:
    teardown = "<error message='failed on teardown with &quot;x&quot;'>t</error>"
    file = report(tmp_path, ("a", "run[1x-s0]"), body=teardown)
    enrich(file, [lost("a::run[1x-s0]")], None)
    [error] = ElementTree.parse(file).iter("error")
    assert (error.get("type"), error.get("message")) == (None, 'failed on teardown with "x"')


def properties(file: Path, manifest: Manifest) -> dict[str | None, str | None]:
    enrich(file, [], manifest)
    return {
        one.get("name"): one.get("value")
        for one in ElementTree.parse(file).iterfind("testsuite/properties/property")
    }


def test_the_suite_gets_the_manifest(tmp_path: Path) -> None:
    told = properties(report(tmp_path), make_manifest(not_run=3))
    assert told["reseval.agent"] == "oracle"
    assert told["reseval.not_run"] == "3"
    assert told["reseval.options"] == '{"headroom":"3x"}'


def test_properties_that_are_there_stay(tmp_path: Path) -> None:
    file = tmp_path / "report.xml"
    file.write_text(
        "<testsuites><testsuite><properties><property name='mine' value='1'/></properties>"
        "</testsuite></testsuites>"
    )
    told = properties(file, make_manifest())
    assert told["mine"] == "1"
    assert told["reseval.workers"] == "2"


def test_an_agent_named_in_control_characters_leaves_xml_that_can_be_read(tmp_path: Path) -> None:
    told = properties(report(tmp_path), make_manifest(agent="cmd:\x1b[31m \x00 \udcff é 漢 <&>"))
    assert told["reseval.agent"] == r"cmd:\x1b[31m \x00 \udcff é 漢 <&>"
