"""What people see while they wait and afterwards: progress with an ETA, tables."""
