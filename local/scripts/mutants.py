#!/usr/bin/env python3
"""Builds all mutants of cargo-mutants at once. A build of each takes minutes, because its tests link the AWS SDK.

mutants.py build LIST COPY     LIST: the output of `cargo mutants --list --json`; COPY: a copy of the tree, without changes
mutants.py try LIST COPY TESTS  TESTS: test executables of that copy, which run from its root; stops at the first that fails

In the copy each changed expression asks the variable MUTANT which one it is. A mutant that does not compile is left out, and so
is one in a constant: cargo-mutants itself has to try those. It needs tree-sitter and tree-sitter-rust, from PyPI.
"""

import json
import os
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

TIMEOUT = 600
CHOICE = """
/// Whether this mutant is chosen.
#[allow(unreachable_pub)]
pub fn mutated(number: u32) -> bool {
    static CHOSEN: std::sync::OnceLock<Option<u32>> = std::sync::OnceLock::new();
    *CHOSEN.get_or_init(|| std::env::var("MUTANT").ok()?.parse().ok()) == Some(number)
}
"""
# the part of the syntax that a mutant of each kind changes
KINDS = {
    "FnValue": ["block"],
    "BinaryOperator": ["binary_expression", "compound_assignment_expr"],
    "UnaryOperator": ["unary_expression"],
    "MatchArm": ["match_pattern"],
    "MatchArmGuard": ["match_pattern"],
    "StructField": ["struct_expression"],
}


def parsed(source):
    import tree_sitter_rust
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_rust.language())).parse(source).root_node


def smallest(root, start, end, types):
    found, nodes = None, [root]
    while nodes:
        node = nodes.pop()
        if node.start_byte <= start and node.end_byte >= end:
            nodes += node.children
            if node.type in types and (found is None or found.end_byte - found.start_byte >= node.end_byte - node.start_byte):
                found = node
    return found


class File:
    """A file, and for each part of it the mutants that change it."""

    def __init__(self, source, mutants):
        self.source, self.left_out, self.parts = source, [], defaultdict(list)
        root = parsed(source)
        lines = source.decode().splitlines(keepends=True)
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line.encode()))
        for number, mutant in mutants:
            at = lambda end: starts[end["line"] - 1] + len(lines[end["line"] - 1][: end["column"] - 1].encode())
            start, end, genre = at(mutant["span"]["start"]), at(mutant["span"]["end"]), mutant["genre"]
            if genre == "MatchArm":
                end = start  # the pattern is at its start
            node = smallest(root, start, end, KINDS[genre])
            while genre == "FnValue" and node.parent.type != "function_item":
                node = node.parent
            # `&&` of a let chain has no other operator
            operator = node.child_by_field_name("operator") if node and genre == "BinaryOperator" else None
            constant = genre == "FnValue" and b"const " in source[node.parent.start_byte : node.start_byte]
            if node is None or constant or (genre == "BinaryOperator" and operator.start_byte != start):
                self.left_out.append(number)
                continue
            self.parts[(node.start_byte, -node.end_byte, genre.replace("Guard", ""))].append((number, mutant["replacement"], node, start, end))

    def text(self, start, end, after=None):
        """The text between two places, with the mutants of all parts in it that come after this one."""
        out, at = "", start
        for part in sorted(self.parts):
            if part[0] >= at and -part[1] <= end and (after is None or part > after):
                out += self.source[at : part[0]].decode() + self.mutated(part)
                at = part[0] + 1 if part[2] == "FnValue" else -part[1]
        return out + self.source[at:end].decode()

    def mutated(self, part):
        start, end, genre = part[0], -part[1], part[2]
        mutants = self.parts[part]
        _, _, node, first, last = mutants[0]
        if genre == "FnValue":
            return "{" + "".join(f" if crate::mutated({number}) {{ return {value}; }}" for number, value, *_ in mutants)
        if genre == "MatchArm":
            guard = node.child_by_field_name("condition")
            condition = self.text(guard.start_byte, end, part) if guard else "true"
            pattern = self.source[start : guard.start_byte if guard else end].decode()
            deleted = ""
            for number, value, *_ in mutants:
                if value == "true":
                    condition = f"crate::mutated({number}) || {condition}"
                else:
                    deleted += f"!crate::mutated({number}) && "
            return f"{pattern if guard else pattern + ' if'} {deleted}({condition})"
        before, behind = self.text(start, first, part), self.text(last, end, part)
        out = ""
        for number, value, _, first, last in mutants:
            if genre == "StructField":
                before = self.source[start:first].decode()
                behind = self.source[last:end].decode().lstrip().removeprefix(",")
                value = ""
            out += f"if crate::mutated({number}) {{ {before}{value or ''}{behind} }} else "
        kept = self.text(start, end, part) if genre == "StructField" else before + self.source[first:last].decode() + behind
        out += f"{{ {kept} }}"
        return out if node.type == "compound_assignment_expr" else f"({out})"


def write(mutants, originals, copy, left_out):
    for file, source in originals.items():
        of_it = [(number, mutant) for number, mutant in enumerate(mutants, 1) if mutant["file"] == file and number not in left_out]
        changed = File(source, of_it)
        left_out.update(changed.left_out)
        (copy / file).write_text(changed.text(0, len(source)))


def blamed(message, copy):
    """The mutant that an error of the compiler is about: the last one before it."""
    for span in message["spans"]:
        file = copy / span["file_name"]
        if span["is_primary"] and file.exists():
            numbers = re.findall(rb"mutated\((\d+)\)", file.read_bytes()[: span["byte_end"]])
            return int(numbers[-1]) if numbers else None
    return None


def build(mutants, copy):
    files = {mutant["file"] for mutant in mutants}
    for package in {file.split("src/")[0] for file in files}:
        with open(copy / package / "src/lib.rs", "a") as library:
            library.write(CHOICE)
    # the local world starts the function with an environment of its own
    world = copy / "local/src/lambda/environment.rs"
    cleared = "command.env_clear();"
    passed = cleared + 'command.envs(std::env::vars().filter(|(name, _)| name == "MUTANT"));'
    world.write_text(world.read_text().replace(cleared, passed))
    originals = {file: (copy / file).read_bytes() for file in files}
    left_out, packages = set(), sorted({mutant["package"] for mutant in mutants})
    selected = [argument for package in packages for argument in ("-p", package)]
    while True:
        write(mutants, originals, copy, left_out)
        command = ["cargo", "check", "--lib", "--all-features", "--message-format=json", *selected]
        lines = subprocess.run(command, cwd=copy, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        errors = [line["message"] for line in map(json.loads, lines) if line.get("message", {}).get("level") == "error"]
        found = {blamed(error, copy) for error in errors} - {None}
        if not found:
            break
        left_out |= found
    for number in sorted(left_out):
        print(number, "left out", mutants[number - 1]["name"], sep="\t")
    return 1 if errors else 0


def attempt(mutants, copy, tests):
    for number, mutant in enumerate(mutants, 1):
        if f"mutated({number})" not in (copy / mutant["file"]).read_text():
            continue
        result = "survived"
        for test in tests:
            try:
                run = subprocess.run([test], cwd=copy, env=os.environ | {"MUTANT": str(number)}, capture_output=True, timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                result = "timeout"
                break
            if run.returncode:
                result = "killed"
                break
        print(number, result, mutant["name"], sep="\t", flush=True)
    return 0


if __name__ == "__main__":
    todo, listed, copy, *tests = sys.argv[1:]
    mutants, copy = json.loads(Path(listed).read_text()), Path(copy).resolve()
    sys.exit(build(mutants, copy) if todo == "build" else attempt(mutants, copy, [Path(test).resolve() for test in tests]))
