"""What is measured: suites as the YAML files beside this one declare them. Data only."""
