"""The pages: each function answers one request, and all of them are in ``routes``."""
