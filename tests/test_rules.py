"""What rule files must not share: names, of which the last silently wins, and files that one job locks."""

import ast
import re
from collections import Counter

import pytest

from tropism.fingerprint import Fingerprints


def test_no_function_of_the_rules_is_defined_twice(root):
    files = [root / "Snakefile", *sorted((root / "workflow" / "rules").glob("*.smk"))]
    names = Counter(name for file in files for name in re.findall(r"^def (\w+)", file.read_text(), re.MULTILINE))
    assert [name for name, count in names.items() if count > 1] == []
    assert len(names) > 10


def test_no_constant_of_one_rule_file_is_set_in_another(root):
    homes: dict[str, set[str]] = {}
    for file in sorted((root / "workflow" / "rules").glob("*.smk")):
        for name in re.findall(r"^([A-Z_]+) = ", file.read_text(), re.MULTILINE):
            homes.setdefault(name, set()).add(file.name)
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}


def test_no_rule_has_two_bare_numbers_as_parameters(root):
    """Snakemake keeps parameters as a set, in which 2 and 3 are the same as 3 and 2, and 2 and 2 the same as 2."""
    for file in sorted((root / "workflow" / "rules").glob("*.smk")):
        for rule in file.read_text().split("\nrule ")[1:]:
            bare = re.findall(r"^ {8}(\w+)=\(?\w+\.\w+ if \w+ else 0\)?,$", rule, re.MULTILINE)
            assert len(bare) < 2, f"{file.name}: {rule.partition(':')[0]}: {bare}"


def test_no_source_is_no_file_and_walks_no_folder(root, monkeypatch):
    text = (root / "workflow" / "rules" / "common.smk").read_text()
    function = "def source_file(" + text.split("def source_file(")[1].split("\n\n\n")[0]
    names = {"registered": lambda _: None, "on_hub": lambda _: False, "Path": pytest.fail}
    exec(function, names)  # the rules are no module
    assert names["source_file"](None) == []


def modules_of(fingerprint):
    return {f"tropism.{entry.partition('=')[0]}" for entry in fingerprint.split()}


def imported_by(package, program, command):
    """Project modules that a command of a room imports, near or far: inside its function, or above and used there."""
    tree = ast.parse((package / program).read_text())
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    body = [functions[command]]
    used = {node.id for node in ast.walk(body[0]) if isinstance(node, ast.Name)}
    own = {argument.arg for argument in body[0].args.args}
    own |= {node.id for node in ast.walk(body[0]) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    body += [functions[name] for name in used - own if name in functions]
    used |= {node.id for function in body for node in ast.walk(function) if isinstance(node, ast.Name)}
    lines = [node for node in tree.body if isinstance(node, ast.ImportFrom) and {a.name for a in node.names} & used]
    lines += [node for function in body for node in ast.walk(function) if isinstance(node, ast.ImportFrom)]
    names = {line.module for line in lines if line.module.startswith("tropism.")}
    return set().union(*(modules_of(Fingerprints(package).take(name)) for name in names))


@pytest.mark.parametrize("room", ["sae", "steer", "detect", "geometry", "dynamics", "dynamics.pairs", "judge"])
def test_a_rule_that_lists_its_modules_lists_all_that_its_command_imports(root, room):
    """Else an edit of one that is left out would rerun nothing."""
    package = root / "workflow" / "tropism"
    program = f"{room.replace('.', '/')}.py" if "." in room else f"{room}/__main__.py"
    rules = "".join(path.read_text() for path in sorted((root / "workflow" / "rules").glob("*.smk")))
    tree = ast.parse((package / program).read_text())
    commands = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    found = 0
    for text in re.split(r"^rule ", rules, flags=re.MULTILINE):
        command = re.search(rf"python -m tropism\.{room} (\w+)", text)
        listed = re.search(r"code=(code\(.*?\)),\n    message", text, re.DOTALL)
        if command and listed and command[1] in commands:
            call = ast.parse(listed[1], mode="eval").body
            names = [argument.value for argument in call.args]
            also = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
            covered = modules_of(Fingerprints(package).take(*names, **also))
            needed = imported_by(package, program, command[1])
            for name in names[1:]:  # of those that are listed alone the imports do not count
                if not name.endswith((".__main__", f".{room}")):
                    needed -= modules_of(Fingerprints(package).take(name)) - {name}
            if "--no-figures" in text:  # what the command would draw by hand
                needed -= modules_of(Fingerprints(package).take("tropism.geometry.draw")) - covered
            assert needed <= covered, f"{text.partition(':')[0]} leaves out {sorted(needed - covered)}"
            found += 1
    assert found > 1
