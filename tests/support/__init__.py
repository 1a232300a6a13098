"""PostgreSQL servers, prepared databases and proxies for all tests. Imports no test."""
