"""Prints the documents of YAML files as one JSON array: for tests that run what examples say."""
import json
import sys

import yaml

print(json.dumps([document for name in sys.argv[1:] for document in yaml.safe_load_all(open(name))]))
