"""Tests mirror the rooms; each test name is a sentence."""
