"""The blueprint that every page hangs on."""

from __future__ import annotations

from typing import Final

from flask import Blueprint

pages: Final = Blueprint("pages", __name__)
