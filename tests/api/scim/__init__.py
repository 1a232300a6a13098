"""Tests of SCIM, by which an identity provider keeps the directory up to date."""
