#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Does a document of iommuctl agree with docs/schema/iommuctl.json?

usage: schema.py [VERB FILE]...: prints what is wrong; status 1 if anything is

Stricter than the schema: here a member that the schema does not have is wrong,
too, so that none is added without being documented.
"""

import copy
import functools
import json
import os
import sys

import jsonschema

SCHEMA = os.path.join(os.path.dirname(os.path.realpath(__file__)),
                      "../../docs/schema/iommuctl.json")


def strict(node):
    """Objects whose members are listed have no others."""
    if isinstance(node, dict):
        if "properties" in node and node.get("type"):
            node["additionalProperties"] = False
        for value in node.values():
            strict(value)
    elif isinstance(node, list):
        for value in node:
            strict(value)
    return node


def once(pairs):
    """Of members of one name JSON takes the last, and nobody sees the others."""
    names = [name for name, _ in pairs]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError("more than once in one object: %s" % sorted(twice))
    return dict(pairs)


@functools.cache
def load():
    with open(SCHEMA, encoding="utf-8") as f:
        return json.load(f, object_pairs_hook=once)


def verbs():
    return set(load()["verbs"])


@functools.cache
def strictly():
    schema = strict(copy.deepcopy(load()))
    jsonschema.Draft202012Validator.check_schema(schema)
    return schema


@functools.cache
def validator(verb):
    schema = strictly()
    return jsonschema.Draft202012Validator(
        {**schema["verbs"][verb], "$defs": schema["$defs"]})


def verb_of(args):
    """The verb of a command line, or None."""
    words = [a for a in args if not a.startswith("-")]
    for name in (" ".join(words[:2]), "".join(words[:1])):
        if name in verbs():
            return name
    return None


def wrong(verb, doc):
    """What is wrong, as sentences."""
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}"
            for e in validator(verb).iter_errors(doc)]


def main():
    status = 0
    for verb, path in zip(sys.argv[1::2], sys.argv[2::2]):
        with open(path, encoding="utf-8") as f:
            for sentence in wrong(verb, json.load(f)):
                print(f"{verb}: {sentence}")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
