"""What an author's modules define of the contract: FOLDER and the .py files in it, policy.py first.

Prints `defines NAME` for each, and `calls NAME` for each import of the server that they call. Errors and advice go to standard error, for people; then it fails.
"""

import ast
import difflib
import os
import sys

# By the names of their arguments.
ASKED = {
    "validate": ["request"],
    "mutate": ["request"],
    "authenticate": ["review"],
    "authorize": ["review"],
    "handle_event": ["event"],
    "handle_change": ["change"],
}
ALL = {**ASKED, "init": ["settings"], "cleanup": []}

# What the SDK has for each import of the server.
IMPORTS = {"log": "log", "audit": "audit-log", "raw_review": "review"}


def main(folder, files):
    trees, wrong = {}, []
    for file in files:
        with open(os.path.join(folder, file), "rb") as source:
            try:
                trees[file] = ast.parse(source.read(), file)
            except SyntaxError as error:
                wrong.append(syntax(file, error))
            except ValueError as error:
                wrong.append(f"{file}: {error}")
    if wrong:
        sys.exit("\n".join(wrong))
    for file, tree in trees.items():
        for line in late_imports(tree):
            say(f"{file}:{line}: imported in a function: a module of Python's own is there only if it is also imported at the "
                "top of a module, since a component has no files")
    names, wrong = {}, []
    definitions(trees["policy.py"].body, names)
    for name, node in names.items():
        if name in ALL and (problem := signature(name, node)):
            wrong.append(f"policy.py:{node.lineno}: {problem}")
    if wrong:
        sys.exit("\n".join(wrong))
    meant = misspelt(names)
    if not ASKED.keys() & names.keys():
        expected = "policy.py: expected a function that answers reviews, at least one of " + ", ".join(
            f"def {name}({', '.join(arguments)})" for name, arguments in ASKED.items()
        )
        sys.exit("\n".join([expected, *meant]))
    for line in meant:
        say(line)
    for name in ALL:
        if name in names:
            print("defines", name)
    for name in sorted({name for tree in trees.values() for name in calls(tree)}):
        print("calls", name)


def definitions(body, names):
    """The names that a module has when it is imported."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names[node.name] = node
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                names[alias.asname or alias.name] = node
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name):
                    names[target.id] = node
        elif isinstance(node, (ast.If, ast.Try, ast.With)):
            for part in ("body", "orelse", "finalbody"):
                definitions(getattr(node, part, []), names)
            for handler in getattr(node, "handlers", []):
                definitions(handler.body, names)


def signature(name, node):
    wanted = f"def {name}({', '.join(ALL[name])})"
    if isinstance(node, ast.ClassDef):
        return f"{name} is a class: expected {wanted}"
    if isinstance(node, ast.AsyncFunctionDef):
        return f"{name} is async, and there is nothing to wait for: expected {wanted}"
    if not isinstance(node, ast.FunctionDef) or node.decorator_list:
        return None
    arguments = node.args
    most = len(arguments.posonlyargs) + len(arguments.args)
    least = most - len(arguments.defaults)
    needed = [it.arg for it, default in zip(arguments.kwonlyargs, arguments.kw_defaults) if default is None]
    count = len(ALL[name])
    if least > count or (most < count and not arguments.vararg) or needed:
        return f"{name} has other arguments: expected {wanted}"
    return None


def misspelt(names):
    lines = []
    for name, node in names.items():
        if name in ALL or not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        spelt = name.lower().strip("_").replace("handleevent", "handle_event").replace("handlechange", "handle_change")
        close = difflib.get_close_matches(spelt, ALL, 1, 0.85)
        if close and close[0] not in names:
            lines.append(f"policy.py:{node.lineno}: {name} is called by nobody: is {close[0]} meant?")
    return lines


def calls(tree):
    """What modules take of the SDK that stands for an import of the server."""
    modules = {"verdict_policy"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {it.asname for it in node.names if it.name == "verdict_policy" and it.asname}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "verdict_policy":
            yield from (IMPORTS[it.name] for it in node.names if it.name in IMPORTS)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            if node.attr in IMPORTS:
                yield IMPORTS[node.attr]


def late_imports(tree):
    """Lines of imports in functions, of modules of Python's own that no top level imports. Others are kept in the component."""
    def modules(nodes):
        for node in nodes:
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield node.module, node.lineno

    top = {name for name, _ in modules(tree.body)}
    for function in ast.walk(tree):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for name, line in modules(ast.walk(function)):
                if name not in top and name.partition(".")[0] in sys.stdlib_module_names:
                    yield line


def syntax(file, error):
    lines = [f"{file}:{error.lineno}: {type(error).__name__}: {error.msg}"]
    if error.text:
        text = error.text.rstrip("\n")
        indent = len(text) - len(text.lstrip())
        lines.append("    " + text.lstrip())
        lines.append("    " + " " * max((error.offset or 1) - 1 - indent, 0) + "^")
    return "\n".join(lines)


def say(line):
    print(line, file=sys.stderr)


main(sys.argv[1], sys.argv[2:])
