"""An embedded, strict Databricks workspace for the demo and the tests."""
