"""A new secret: its first password is made once, and nothing that Terraform does later replaces the one in use. Against moto."""

import json
import unittest
import uuid

from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT
from moto.backends import get_backend

import template
from on_moto import OnMoto

FOLDER = "modules/secret"
DOCUMENT = {"engine": "postgres", "host": "db.internal", "username": "orders"}


class Secret(OnMoto):
    folders = [FOLDER]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.store = cls.aws("secretsmanager")

    def setUp(self):
        self.name = f"orders-{uuid.uuid4()}/db"
        self.variables = {"secret_name": self.name, "secret_document": json.dumps(DOCUMENT)}
        (self.terraform.folder(FOLDER) / "terraform.tfstate").unlink(missing_ok=True)
        self.terraform.write(FOLDER, self.variables)
        self.apply()
        self.first = self.current()

    def apply(self, *arguments):
        self.terraform.done(FOLDER, "apply", "-auto-approve", "-no-color", *arguments)

    def current(self):
        return self.store.get_secret_value(SecretId=self.name, VersionStage="AWSCURRENT")  # moto checks the stage only if it is named

    def rotate(self, times):
        for number in range(times):
            value = json.dumps(DOCUMENT | {"password": f"rotated {number}"})
            current = self.current()["VersionId"]
            pending = self.store.put_secret_value(SecretId=self.name, SecretString=value, VersionStages=["AWSPENDING"])
            # not with the put alone: it makes moto take every label off the version that was current
            self.store.update_secret_version_stage(
                SecretId=self.name,
                VersionStage="AWSCURRENT",
                RemoveFromVersionId=current,
                MoveToVersionId=pending["VersionId"],
            )

    def purge(self, version):
        """Purges versions without a label, as Secrets Manager does at about a hundred."""
        del get_backend("secretsmanager")[ACCOUNT][template.REGION].secrets[self.name].versions[version]

    def changes(self):
        """What the next plan would do, by address."""
        changes = self.terraform.plan(FOLDER, self.variables)["resource_changes"]
        return {change["address"]: change["change"]["actions"] for change in changes if change["change"]["actions"] != ["no-op"]}

    def test_the_first_password_is_awscurrent(self):
        document = json.loads(self.first["SecretString"])
        self.assertEqual(len(document.pop("password")), 32)
        self.assertEqual(document, DOCUMENT)
        self.assertIn("AWSCURRENT", self.first["VersionStages"])
        self.variables["secret_document"] = json.dumps(DOCUMENT | {"host": "other.internal"})
        self.assertEqual(self.changes(), {}, "another document changes nothing")

    def test_a_plan_after_rotations_is_clean_and_the_first_version_keeps_a_label_so_that_it_is_not_purged(self):
        for service_labels in [["AWSPREVIOUS"], []]:
            self.rotate(1)
            self.assertEqual(self.changes(), {})
            stages = self.store.describe_secret(SecretId=self.name)["VersionIdsToStages"]
            self.assertEqual(set(stages[self.first["VersionId"]]), {"first", *service_labels})

    def test_a_first_version_that_is_gone_does_not_replace_the_password_in_use(self):
        self.rotate(3)
        current = self.current()
        self.purge(self.first["VersionId"])
        self.apply()
        self.assertEqual(self.current()["VersionId"], current["VersionId"])
        self.assertEqual(self.current()["SecretString"], current["SecretString"])
        self.assertEqual(self.changes(), {})

    def test_a_first_version_that_is_made_again_by_hand_does_not_replace_the_password_in_use(self):
        for rotations in [0, 2]:
            self.rotate(rotations)
            current = self.current()
            self.apply("-replace=aws_secretsmanager_secret_version.first")
            self.assertEqual(self.current()["VersionId"], current["VersionId"], rotations)

    def refused(self, **changes):
        """A plan's errors for these values. If the file held them, Terraform would show a value's own line."""
        self.terraform.env |= {f"TF_VAR_{name}": value for name, value in changes.items()}
        self.terraform.write(FOLDER, {name: value for name, value in self.variables.items() if name not in changes})
        result = self.terraform.run(FOLDER, "plan", "-no-color")
        for name in changes:
            del self.terraform.env[f"TF_VAR_{name}"]
        self.assertNotEqual(result.returncode, 0, changes)
        return " ".join(result.stderr.replace("│", " ").split())

    def test_another_name_and_a_document_without_a_username_or_with_a_password_are_refused(self):
        self.assertIn("a secret cannot be renamed", self.refused(secret_name="orders/other"))
        for document in ["orders", "{}", '{"username": ""}']:
            self.assertIn("no JSON object with a username", self.refused(secret_document=document))
        said = self.refused(secret_document=json.dumps(DOCUMENT | {"password": "any-password"}))
        self.assertIn("Leave it out", said)
        self.assertNotIn("any-password", said)


if __name__ == "__main__":
    unittest.main()
