"""What people see: figures and tables of results."""
