"""The forms of the console. They bound and shape what comes in; whether it is right, the inventory decides.

A key or passphrase field is never rendered with its value: the templates write an empty area.
"""

from __future__ import annotations

from typing import Final

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    HiddenField,
    IntegerField,
    PasswordField,
    RadioField,
    SelectField,
    StringField,
    TextAreaField,
)
from wtforms.validators import DataRequired, Length, NumberRange, Optional

MAX_NAME: Final = 120
"""Characters of a free-text name; the name in Vault that is made of it has at most 63."""
MAX_COMMENT: Final = 512
"""Vault keeps at most 512 bytes per custom_metadata value."""
MAX_PEM: Final = 512 * 1024
"""Characters of one PEM area; a chain of ten large certificates has about 25,000."""

ENROLMENT_TTLS_S: Final = {"900": "15 minutes", "3600": "1 hour", "86400": "1 day"}


def _stripped(value: str | None) -> str | None:
    return value.strip() if value else value


def _name(label: str) -> StringField:
    return StringField(label, filters=[_stripped], validators=[DataRequired("Enter a name."), Length(max=MAX_NAME)])


def _comment() -> StringField:
    return StringField("Comment", filters=[_stripped], validators=[Length(max=MAX_COMMENT)])


class SignInForm(FlaskForm):  # type: ignore[misc]
    """The first step: which of Vault's methods, and the credentials for it."""

    method = HiddenField()
    next = HiddenField()
    username = StringField(
        "User name", filters=[_stripped], validators=[DataRequired("Enter your user name."), Length(max=256)]
    )
    password = PasswordField("Password", validators=[DataRequired("Enter your password."), Length(max=1024)])


class CodeForm(FlaskForm):  # type: ignore[misc]
    """The second step, where Vault asks for one."""

    passcode = StringField("Code", filters=[_stripped], validators=[DataRequired("Enter the code."), Length(max=64)])


class NewCertificateForm(FlaskForm):  # type: ignore[misc]
    """Name, KEY, CERT, CA."""

    name = _name("Name")
    private_key = TextAreaField("KEY", validators=[Length(max=MAX_PEM)])
    passphrase = PasswordField("Passphrase", validators=[Length(max=1024)])
    certificate = TextAreaField("CERT", validators=[Length(max=MAX_PEM)])
    ca = TextAreaField("CA", validators=[Length(max=MAX_PEM)])
    comment = _comment()


class RotateForm(FlaskForm):  # type: ignore[misc]
    """The next version. `expect_version` is the version that the person looked at."""

    expect_version = HiddenField(validators=[DataRequired()])
    keep_key = BooleanField("Keep the current key")
    private_key = TextAreaField("KEY", validators=[Length(max=MAX_PEM)])
    passphrase = PasswordField("Passphrase", validators=[Length(max=1024)])
    certificate = TextAreaField("CERT", validators=[Length(max=MAX_PEM)])
    ca = TextAreaField("CA", validators=[Length(max=MAX_PEM)])
    remove_ca = BooleanField("Remove the CA")


class DescriptionForm(FlaskForm):  # type: ignore[misc]
    """What people read about a certificate; consumers do not see it."""

    display_name = _name("Name")
    comment = _comment()
    labels = TextAreaField("Labels", validators=[Length(max=8 * 1024)])


class ConfirmForm(FlaskForm):  # type: ignore[misc]
    """Destruction asks for the name."""

    confirm = StringField("Name", filters=[_stripped], validators=[DataRequired("Type the name to confirm.")])


class BindForm(FlaskForm):  # type: ignore[misc]
    """Which certificate a consumer reads. The choices are set by the page."""

    certificate = SelectField("Certificate", validate_choice=False)


class EnrolForm(FlaskForm):  # type: ignore[misc]
    """For how long the one-time token may be used."""

    ttl = SelectField("The token works for", choices=ENROLMENT_TTLS_S, default="3600")


class _RelayFields(FlaskForm):  # type: ignore[misc]
    host = StringField("Host", filters=[_stripped], validators=[DataRequired("Enter the host name."), Length(max=253)])
    port = IntegerField(
        "Port", default=443, validators=[NumberRange(1, 65535, message="A port is a number from 1 to 65535.")]
    )
    tls_mode = RadioField("Mode", choices={"tls": "TLS", "mtls": "mTLS"}, default="tls")
    provider = SelectField("Container provider", validate_choice=False)
    enabled = BooleanField("Enabled", default=True)
    comment = _comment()


class NewRelayForm(_RelayFields):
    """A relay to be, perhaps bound at once."""

    name = _name("Name")
    certificate = SelectField("Certificate", validate_choice=False)


class RelayForm(_RelayFields):
    """A relay that stands. Its name is part of its identity in Vault and stays."""

    expect_version = HiddenField(validators=[DataRequired()])
    name = None
    certificate = None


class _ProviderFields(FlaskForm):  # type: ignore[misc]
    multi_cluster = RadioField(
        "Multi-cluster",
        choices={"none": "Single", "active-passive": "Active-passive", "active-active": "Active-active"},
        default="none",
    )
    visibility = RadioField("Visibility", choices={"private": "Private", "public": "Public"}, default="private")
    comment = _comment()


class _ClusterFields(FlaskForm):  # type: ignore[misc]
    url = StringField(
        "URL", filters=[_stripped], validators=[DataRequired("Enter the cluster's URL."), Length(max=2048)]
    )
    server_name = StringField("Server name", filters=[_stripped], validators=[Length(max=253)])
    cert_auth = BooleanField("Certificate authentication")


class NewProviderForm(_ProviderFields, _ClusterFields):
    """A provider with its first cluster; the cluster may be left out and added later."""

    expect_version = None
    name = _name("Name")
    kind = RadioField("Kind", choices={"swarm": "Swarm", "kubernetes": "Kubernetes"}, default="swarm")
    cluster_name = StringField("Name", filters=[_stripped], validators=[Length(max=63)])
    url = StringField("URL", filters=[_stripped], validators=[Optional(), Length(max=2048)])
    certificate = SelectField("Certificate", validate_choice=False)


class ProviderForm(_ProviderFields):
    """A provider that stands."""

    expect_version = HiddenField(validators=[DataRequired()])
    name = None
    kind = None
    cluster_name = None
    url = None


class NewClusterForm(_ClusterFields):
    """One more cluster."""

    expect_version = HiddenField(validators=[DataRequired()])
    kind = None
    multi_cluster = None
    cluster_name = StringField("Name", filters=[_stripped], validators=[DataRequired("Enter a name."), Length(max=63)])
    certificate = SelectField("Certificate", validate_choice=False)


class ClusterForm(_ClusterFields):
    """A cluster that stands."""

    expect_version = HiddenField(validators=[DataRequired()])
    kind = None
    multi_cluster = None
    cluster_name = None
    certificate = None
