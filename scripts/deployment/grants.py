"""The grants of one account in iam.json, wherever in its tree they are."""


def of_account(iam, email):
    """Pairs of where and the roles there, in the order of the file."""
    found = {}
    for where, binding in bindings(iam, ()):
        if f"serviceAccount:{email}" in binding["members"]:
            found.setdefault(where, []).append(binding["role"].split("/")[-1])
    return list(found.items())


def bindings(tree, path):
    """Every binding with the place that it is about: `project`, `dataset organizations`, `table organizations.org_profiles`."""
    if isinstance(tree, list):
        for item in tree:
            yield from bindings(item, path)
    elif isinstance(tree, dict) and {"role", "members"} <= tree.keys():
        yield " ".join(path), tree
    elif isinstance(tree, dict):
        # The resource is what is created, and not what is granted.
        for key, value in tree.items():
            if key in ("resource", "accounts", "custom_roles"):
                continue
            place = path if key == "bindings" else (key.removesuffix("s"),) + path[1:]
            yield from bindings(value, (*place, tree["name"]) if key == "bindings" and "name" in tree else place)
