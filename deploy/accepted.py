"""Checks that the program accepts the configuration of each of its containers.

accepted.py PROGRAM FILE...: the files are what compose and helm make of their input.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROLES = {"release", "forum", "chat", "notify", "gateway"}


def containers(document):
    """The role and the environment of each container of the program in a document."""
    for service in (document.get("services") or {}).values():
        role = (service.get("command") or [""])[0]
        given = service.get("environment") or {}
        if isinstance(given, list):
            # A name alone has no value.
            given = {name: value if at else None for name, at, value in (one.partition("=") for one in given)}
        yield role, given
    if document.get("kind") == "Deployment":
        for container in document["spec"]["template"]["spec"]["containers"]:
            variables = container.get("env") or []
            yield container["args"][0], {one["name"]: one["value"] for one in variables}


def secrets(directory):
    """Files in place of the mounted secrets, by the end of the names of their variables."""
    subprocess.run([program, "secrets", directory], check=True, stdout=subprocess.DEVNULL)
    made = {
        "MONGODB_URL_FILE": "mongodb://mongodb.example:27017",
        "SMTP_URL_FILE": "smtp://mail.example:25",
        "KAFKA_SASL_PASSWORD_FILE": "a password",
    }
    for name, text in made.items():
        Path(directory, name).write_text(text, encoding="utf-8")
    for name, file in {
        "SERVICE_SECRET_FILE": "service-secret",
        "WEBHOOK_SECRET_FILE": "webhook-secret",
        "ADMIN_PASSWORD_FILE": "admin-password",
        "JWT_KEY_FILE": "jwt-key.pem",
    }.items():
        os.symlink(file, Path(directory, name))


program, *files = map(os.path.abspath, sys.argv[1:])
failed = False
with tempfile.TemporaryDirectory() as directory:
    secrets(directory)
    for file in files:
        found = set()
        for document in yaml.safe_load_all(Path(file).read_text(encoding="utf-8")):
            for role, given in containers(document or {}):
                if role not in ROLES:
                    continue
                found.add(role)
                environment = {name: value for name, value in given.items() if value is not None}
                for name in environment:
                    if environment[name].startswith("/run/") and "CA_FILE" not in name:
                        environment[name] = str(Path(directory, name.removeprefix("SLIPWAY_")))
                check = subprocess.run(
                    [program, "config", "check", "--strict", "--role", role],
                    env=environment,
                    cwd=directory,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if check.returncode != 0 or "does not use" in check.stderr:
                    failed = True
                    print(f"{file}, {role}: {check.stderr}", file=sys.stderr)
        if found != ROLES:
            failed = True
            print(f"{file} has the roles {found}", file=sys.stderr)
sys.exit(failed)
