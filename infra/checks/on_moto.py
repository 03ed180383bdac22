"""Terraform in front of moto: a copy of infra/terraform, and a server for each class of tests."""

import contextlib
import json
import logging
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest
import zipfile

import boto3
from moto.core.responses import ActionResult
from moto.server import ThreadedMotoServer
from moto.stepfunctions.responses import StepFunctionResponse

import template

PROVIDER = "5.100.0"  # downloaded if none is installed; moto is known to serve it

# operations of Step Functions that Terraform calls and moto does not have; test_restart.py runs the definition
StepFunctionResponse.validate_state_machine_definition = lambda _: ActionResult({"result": "OK", "diagnostics": []})
StepFunctionResponse.list_state_machine_versions = lambda _: ActionResult({"stateMachineVersions": []})


def plugins():
    """The folder of a provider that is installed beside Terraform; None if it has to be downloaded."""
    if folder := os.environ.get("TF_PLUGIN_DIR"):
        return folder
    for root in [pathlib.Path.home() / ".terraform.d", *map(pathlib.Path, ["/opt", "/usr/local", "/usr/share"])]:
        with contextlib.suppress(OSError):
            for found in root.rglob("terraform-provider-aws*"):
                if found.is_file() and len(found.parts) > 6:
                    return str(found.parents[5])  # DIR/registry/hashicorp/aws/VERSION/PLATFORM/terraform-provider-aws
    return None


def by_address(values):
    return {item["address"]: item.get("values", {}) for item in values["root_module"]["resources"]}


class Terraform:
    """A copy of infra/terraform, with a package beside it, in front of moto."""

    def __init__(self, folder, endpoint):
        self.root = pathlib.Path(folder)
        self.env = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TF_VAR"))} | {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_REGION": template.REGION,
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_EC2_METADATA_DISABLED": "true",
            "CHECKPOINT_DISABLE": "1",
        }
        shutil.copytree(
            template.INFRA / "terraform", self.root / "infra/terraform", ignore=shutil.ignore_patterns(".terraform*")
        )
        self.package = self.root / "secret-rotation-arm64.zip"
        with zipfile.ZipFile(self.package, "w") as archive:
            archive.writestr("bootstrap", "moto runs nothing")

    def folder(self, name):
        return self.root / "infra/terraform" / name

    def run(self, folder, *arguments):
        return subprocess.run(
            ["terraform", *arguments], cwd=self.folder(folder), env=self.env, capture_output=True, text=True, timeout=300
        )

    def done(self, folder, *arguments):
        result = self.run(folder, *arguments)
        if result.returncode != 0:
            raise AssertionError(f"terraform {arguments[0]} in {folder}:\n{result.stdout}\n{result.stderr}")
        return result.stdout

    def init(self, folder):
        if found := plugins():
            return self.run(folder, "init", "-no-color", f"-plugin-dir={found}")
        pinned = {"terraform": {"required_providers": {"aws": {"source": "hashicorp/aws", "version": PROVIDER}}}}
        (self.folder(folder) / "provider_override.tf.json").write_text(json.dumps(pinned))
        return self.run(folder, "init", "-no-color")

    def write(self, folder, variables):
        (self.folder(folder) / "test.auto.tfvars.json").write_text(json.dumps(variables))

    def plan(self, folder, variables):
        """What will exist, in the file `plan` for apply."""
        self.write(folder, variables)
        self.done(folder, "plan", "-no-color", "-out=plan")
        return json.loads(self.done(folder, "show", "-json", "plan"))

    def apply(self, folder):
        self.done(folder, "apply", "-no-color", "plan")

    def destroy(self, folder):
        self.done(folder, "destroy", "-auto-approve", "-no-color")

    def resources(self, folder):
        """The existing resources, by address: the state's values."""
        return by_address(json.loads(self.done(folder, "show", "-json"))["values"])


class OnMoto(unittest.TestCase):
    """With Terraform ready in each of these folders."""

    folders = []

    @classmethod
    def setUpClass(cls):
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        server = ThreadedMotoServer(port=0, verbose=False)
        server.start()
        cls.addClassCleanup(server.stop)
        host, port = server.get_host_and_port()
        cls.endpoint = f"http://{host}:{port}"
        cls.terraform = Terraform(cls.enterClassContext(tempfile.TemporaryDirectory()), cls.endpoint)
        for folder in cls.folders:
            ready = cls.terraform.init(folder)
            if "Failed to query available provider packages" in ready.stderr and not plugins():
                raise unittest.SkipTest("no AWS provider for Terraform here, and none to be downloaded")
            if ready.returncode != 0:
                raise AssertionError(f"terraform init in {folder or 'the module'}:\n{ready.stderr}")

    @classmethod
    def aws(cls, service):
        return boto3.client(
            service,
            endpoint_url=cls.endpoint,
            region_name=template.REGION,
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
