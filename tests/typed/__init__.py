"""What users write, for mypy: L{tests.test_typing} has it look."""
